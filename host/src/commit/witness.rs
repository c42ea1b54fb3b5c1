//! The witness: a second bucket remembers the app stream, so that one that was recreated, restored or rolled back is
//! noticed instead of trusted.

use async_nats::jetstream::{self, kv, stream::Info};
use serde::{Deserialize, Serialize};

use crate::commit::app_stream;
use crate::commit::checkpoint::Stored;
use crate::commit::format::{self, Versioned};
use crate::commit::read::Reader;
use crate::event::{Sequence, rfc3339};
use crate::subject::Subjects;

/// The key that holds it.
const KEY: &str = "witness";

/// What was last seen of the app stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The version of this format; those that did not keep it wrote the first.
    #[serde(default = "format::first")]
    pub format: u32,
    /// When the app stream was created.
    pub created: String,
    /// Its last sequence.
    pub last: Sequence,
}

impl Versioned for Seen {}

/// Why the app stream is not the one that was seen.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(
        "app stream {stream} is gone, though this app ran before (created {created}, {last} messages). Restore it from \
         a backup; or, to start over and lose what it held, delete the bucket {bucket} first"
    )]
    Gone { stream: String, created: String, last: Sequence, bucket: String },
    #[error(
        "app stream {stream} was created {found}, but this app ran on one created {created}: it was deleted and made \
         anew. Restore it from a backup; or, to go on with this one, delete the bucket {bucket} first"
    )]
    Recreated { stream: String, created: String, found: String, bucket: String },
    #[error(
        "app stream {stream} ends at {found}, but was seen at {last}: it was rolled back or restored from an older \
         copy, and effects after {found} are lost. To go on from there, delete the bucket {bucket} first"
    )]
    RolledBack { stream: String, found: Sequence, last: Sequence, bucket: String },
    #[error("bucket {bucket}: {cause}")]
    Api { bucket: String, cause: String },
}

/// The witness bucket of one app.
#[derive(Clone, Debug)]
pub struct Witness {
    bucket: kv::Store,
    stream: String,
    name: String,
}

impl Witness {
    /// Opens the bucket, or makes it.
    pub async fn open(context: &jetstream::Context, subjects: &Subjects, replicas: usize) -> Result<Self, Error> {
        let name = subjects.hosts_bucket();
        let config = kv::Config {
            bucket: name.clone(),
            description: "Pelton: hosts of an app, and a witness of its stream".to_owned(),
            history: 1,
            num_replicas: replicas,
            limit_markers: Some(app_stream::MARKER_TTL),
            ..kv::Config::default()
        };
        let bucket = match context.get_key_value(&name).await {
            Ok(bucket) => {
                app_stream::shorten_markers(context, &bucket.stream.cached_info().config).await;
                bucket
            }
            Err(_) => context.create_key_value(config).await.map_err(|e| api(&name, &e))?,
        };
        Ok(Self { bucket, stream: subjects.stream(), name })
    }

    /// The bucket, if there is one.
    pub async fn find(context: &jetstream::Context, subjects: &Subjects) -> Option<Self> {
        let name = subjects.hosts_bucket();
        let bucket = context.get_key_value(&name).await.ok()?;
        Some(Self { bucket, stream: subjects.stream(), name })
    }

    /// Compares what was [`seen`](Self::seen) with what was there after that: the app stream's info, or none if it does not
    /// exist. Other hosts may have made it newer meanwhile, never older.
    pub fn check(&self, seen: Option<&Seen>, found: Option<&Info>) -> Result<(), Error> {
        let Some(seen) = seen.cloned() else { return Ok(()) };
        let (stream, bucket) = (self.stream.clone(), format!("KV_{}", self.name));
        let Some(found) = found else {
            return Err(Error::Gone { stream, created: seen.created, last: seen.last, bucket });
        };
        let (created, last) = (rfc3339(found.created), Sequence(found.state.last_sequence));
        if created != seen.created {
            return Err(Error::Recreated { stream, created: seen.created, found: created, bucket });
        }
        if last < seen.last {
            return Err(Error::RolledBack { stream, found: last, last: seen.last, bucket });
        }
        Ok(())
    }

    /// What was last seen of the app stream; none if it never was.
    pub async fn seen(&self) -> Result<Option<Stored<Seen>>, Error> {
        // The bucket's own `get` asks any server that has a copy: it may be behind, and a new bucket has none that answers.
        let reader = Reader::new(self.bucket.stream.clone());
        let stored = reader.last_json(&format!("{}{KEY}", self.bucket.prefix)).await;
        stored.map_err(|e| api(&self.name, &e))
    }

    /// Remembers the app stream as `info` tells, unless another host has done so since it was `seen`.
    pub async fn note(&self, seen: Option<Stored<Seen>>, info: &Info) -> Result<(), Error> {
        let format = Seen::FORMAT;
        let now = Seen { format, created: rfc3339(info.created), last: Sequence(info.state.last_sequence) };
        let bytes = serde_json::to_vec(&now).map_err(|e| api(&self.name, &e))?;
        let noted = match seen {
            Some(seen) if seen.value == now => return Ok(()),
            Some(seen) => self.bucket.update(KEY, bytes.into(), seen.revision.0).await.map_err(|e| {
                let is_late = e.kind() == kv::UpdateErrorKind::WrongLastRevision;
                (is_late, e.to_string())
            }),
            None => self.bucket.create(KEY, bytes.into()).await.map_err(|e| {
                let is_late = e.kind() == kv::CreateErrorKind::AlreadyExists;
                (is_late, e.to_string())
            }),
        };
        match noted {
            Err((false, cause)) => Err(api(&self.name, &cause)),
            Ok(_) | Err((true, _)) => Ok(()),
        }
    }
}

fn api(bucket: &str, cause: &impl std::fmt::Display) -> Error {
    Error::Api { bucket: bucket.to_owned(), cause: cause.to_string() }
}
