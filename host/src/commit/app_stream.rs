//! Makes the app stream, or verifies that the one that is there can be trusted with a commit.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, ErrorCode};
use tracing::{info, warn};

use crate::commit::read::Reader;
use crate::subject::Subjects;

/// The oldest server whose batches take several guarded checkpoints.
pub const OLDEST_SERVER: (u64, u64, u64) = (2, 14, 4);
/// How long the marker of an expired key stays, for watchers to see: without one an expiry leaves nothing. The server has no
/// message expire sooner than this, whatever its `Nats-TTL` says, so it is the shortest that there is.
pub const MARKER_TTL: Duration = Duration::from_secs(1);
/// No real limit; but clients refuse to bind to a bucket that has -1.
const MESSAGES_PER_SUBJECT: i64 = 1_000_000_000;

/// Why an app stream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server is too old.
    #[error("nats-server {found} is too old: Pelton needs {}.{}.{} or newer", OLDEST_SERVER.0, OLDEST_SERVER.1, OLDEST_SERVER.2)]
    Server {
        /// The server's version.
        found: String,
    },
    /// The stream has a setting that a commit cannot live with.
    #[error(
        "app stream {stream}: {setting} is {found}, but must be {wanted}; mend it with `nats stream edit {stream}`"
    )]
    Setting {
        /// The stream.
        stream: String,
        /// The setting, as the server names it.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: String,
    },
    /// The server said no, or nothing.
    #[error("app stream {stream}: {cause}")]
    Api {
        /// The stream.
        stream: String,
        /// What it said.
        cause: String,
    },
}

/// Refuses a server that lacks what a commit stands on.
pub fn check_server(client: &Client) -> Result<(), Error> {
    let found = client.server_info().version;
    if parse_version(&found).is_some_and(|version| version >= OLDEST_SERVER) {
        Ok(())
    } else {
        Err(Error::Server { found })
    }
}

fn parse_version(text: &str) -> Option<(u64, u64, u64)> {
    let release = text.split(['-', '+']).next()?;
    let mut numbers = release.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

/// The app stream, if it exists.
pub async fn find(context: &jetstream::Context, subjects: &Subjects) -> Result<Option<Reader>, Error> {
    match context.get_stream(subjects.stream()).await {
        Ok(stream) => Ok(Some(Reader::new(stream))),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(ref e) if e.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            kind => Err(failed(subjects, &kind)),
        },
    }
}

/// Makes the app stream.
pub async fn create(context: &jetstream::Context, subjects: &Subjects, replicas: usize) -> Result<Reader, Error> {
    let stream = context.create_stream(wanted(subjects, replicas)).await.map_err(|e| failed(subjects, &e))?;
    Ok(Reader::new(stream))
}

/// Has markers of a stream of Pelton's own stay no longer than they must. Earlier versions made streams that keep everything
/// for as long as markers, a heartbeat too.
pub async fn shorten_markers(context: &jetstream::Context, found: &Config) {
    if found.subject_delete_marker_ttl.is_none_or(|ttl| ttl <= MARKER_TTL) {
        return;
    }
    let config = Config { subject_delete_marker_ttl: Some(MARKER_TTL), ..found.clone() };
    match context.update_stream(config).await {
        Ok(_) => info!(stream = found.name, "markers of what expires stay a second from now on"),
        Err(error) => warn!(stream = found.name, %error, "what expires stays as long as its marker, which is too long"),
    }
}

fn failed(subjects: &Subjects, cause: &impl std::fmt::Display) -> Error {
    Error::Api { stream: subjects.stream(), cause: cause.to_string() }
}

fn wanted(subjects: &Subjects, replicas: usize) -> Config {
    Config {
        name: subjects.stream(),
        description: Some("Pelton: events, views and checkpoints of one app".to_owned()),
        subjects: subjects.all().to_vec(),
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        num_replicas: replicas,
        allow_atomic_publish: true,
        allow_direct: true,
        allow_rollup: true,
        allow_message_ttl: true,
        allow_message_schedules: true,
        subject_delete_marker_ttl: Some(MARKER_TTL),
        max_messages_per_subject: MESSAGES_PER_SUBJECT,
        max_messages: -1,
        max_bytes: -1,
        max_age: Duration::ZERO,
        ..Config::default()
    }
}

/// Verifies the settings that a commit stands on. Replicas and placement are the operator's.
pub fn verify(found: &Config, subjects: &Subjects) -> Result<(), Error> {
    let wanted = wanted(subjects, found.num_replicas);
    let mut found_subjects = found.subjects.clone();
    found_subjects.sort();
    let check = |setting, found: String, wanted: String| {
        let stream = subjects.stream();
        if found == wanted { Ok(()) } else { Err(Error::Setting { stream, setting, found, wanted }) }
    };
    let flag = |setting, found: bool| check(setting, found.to_string(), "true".to_owned());
    check("subjects", format!("{found_subjects:?}"), format!("{:?}", wanted.subjects))?;
    check("storage", format!("{:?}", found.storage), format!("{:?}", wanted.storage))?;
    check("retention", format!("{:?}", found.retention), format!("{:?}", wanted.retention))?;
    flag("allow_atomic", found.allow_atomic_publish)?;
    flag("allow_direct", found.allow_direct)?;
    flag("allow_rollup_hdrs", found.allow_rollup)?;
    flag("allow_msg_ttl", found.allow_message_ttl)?;
    flag("allow_msg_schedules", found.allow_message_schedules)?;
    flag("subject_delete_marker_ttl (set)", found.subject_delete_marker_ttl.is_some_and(|ttl| !ttl.is_zero()))?;
    flag("max_msgs_per_subject (at least a million)", found.max_messages_per_subject >= 1_000_000)?;
    check("max_msgs", found.max_messages.to_string(), "-1".to_owned())?;
    check("max_bytes", found.max_bytes.to_string(), "-1".to_owned())?;
    check("max_age", format!("{:?}", found.max_age), format!("{:?}", Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A setting's name, and how it is spoilt.
    type Spoilt = (&'static str, fn(&mut Config));

    #[test]
    fn server_versions_compare_by_number() {
        for (text, new_enough) in [
            ("2.14.3", false),
            ("2.14.4", true),
            ("2.15.0-RC.1", true),
            ("3.0.0", true),
            ("2.9.20", false),
            ("?", false),
        ] {
            assert_eq!(parse_version(text).is_some_and(|version| version >= OLDEST_SERVER), new_enough, "{text}");
        }
    }

    #[test]
    fn each_setting_that_would_eat_checkpoints_is_refused_by_name() {
        let subjects = Subjects::new(&"shop".parse().unwrap());
        let good = wanted(&subjects, 3);
        verify(&good, &subjects).unwrap();
        let spoilt: [Spoilt; 8] = [
            ("max_age", |c| c.max_age = Duration::from_secs(1)),
            ("max_bytes", |c| c.max_bytes = 1 << 30),
            ("max_msgs", |c| c.max_messages = 5),
            ("max_msgs_per_subject", |c| c.max_messages_per_subject = 1),
            ("allow_atomic", |c| c.allow_atomic_publish = false),
            ("allow_rollup", |c| c.allow_rollup = false),
            ("storage", |c| c.storage = StorageType::Memory),
            ("subjects", |c| c.subjects.push("more".to_owned())),
        ];
        for (setting, spoil) in spoilt {
            let mut config = good.clone();
            spoil(&mut config);
            let error = verify(&config, &subjects).unwrap_err().to_string();
            assert!(error.contains(setting) && error.contains("KV_shop"), "{error}");
        }
    }
}
