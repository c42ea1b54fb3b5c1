//! Reads the app stream back: from the leader where a decision hangs on it, by direct get where a guard will tell.

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    DirectGetErrorKind, LastRawMessageErrorKind, RawMessageErrorKind, Stream as JetStream,
};
use async_nats::{HeaderMap, jetstream::stream::Info};
use bytes::Bytes;
use futures::TryStreamExt;

use crate::commit::checkpoint::Stored;
use crate::commit::format::{self, Versioned};
use crate::event::Sequence;

/// Reading failed for now: NATS does not answer, or answers that it cannot.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot read {subject} of stream {stream}: {cause}")]
pub struct Unreadable {
    subject: String,
    stream: String,
    cause: String,
}

/// Something in the stream that is not what Pelton wrote there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading failed for now.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The value is not of the expected form.
    #[error("{subject} of stream {stream} holds something else than Pelton wrote: {cause}")]
    Malformed {
        /// The subject.
        subject: String,
        /// The stream.
        stream: String,
        /// What is wrong.
        cause: String,
    },
    /// A newer version wrote it.
    #[error(
        "{subject} of stream {stream} is of format {found}, and this version of Pelton reads formats up to {known}: a newer \
         one wrote it. Upgrade this host"
    )]
    Newer {
        /// The subject.
        subject: String,
        /// The stream.
        stream: String,
        /// Its format.
        found: u32,
        /// The latest that is known here.
        known: u32,
    },
}

/// A handle to read one stream.
#[derive(Clone, Debug)]
pub struct Reader {
    stream: JetStream<Info>,
}

impl Reader {
    /// A reader of `stream`.
    pub fn new(stream: JetStream<Info>) -> Self {
        Self { stream }
    }

    /// The stream's name.
    pub fn name(&self) -> &str {
        &self.stream.cached_info().config.name
    }

    /// What the server knew of the stream when this reader was made.
    pub fn info(&self) -> &Info {
        self.stream.cached_info()
    }

    /// What the server knows of the stream now.
    pub async fn fresh_info(&self) -> Result<Info, Unreadable> {
        self.stream.get_info().await.map_err(|e| self.unreadable("its info", &e))
    }

    /// The last message on `subject`, from the leader: never stale.
    pub async fn last(&self, subject: &str) -> Result<Option<StreamMessage>, Unreadable> {
        match self.stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(self.unreadable(subject, &error)),
        }
    }

    /// The last value on `subject`, from the leader, unless it was deleted.
    pub async fn last_value(&self, subject: &str) -> Result<Option<StreamMessage>, Unreadable> {
        Ok(self.last(subject).await?.filter(|last| !is_deletion(&last.headers)))
    }

    /// The last value on `subject`, from the leader, as the JSON that Pelton writes.
    pub async fn last_json<T: Versioned>(&self, subject: &str) -> Result<Option<Stored<T>>, Error> {
        let Some(message) = self.last_value(subject).await? else { return Ok(None) };
        let (subject, stream) = (subject.to_owned(), self.name().to_owned());
        let value = format::read(&message.payload).map_err(|error| match error {
            format::Error::Newer { found, known } => Error::Newer { subject, stream, found, known },
            format::Error::Malformed(cause) => Error::Malformed { subject, stream, cause },
        })?;
        Ok(Some(Stored { value, revision: Sequence(message.sequence) }))
    }

    /// The subjects under `filter` that hold something, in order, as the leader knows them.
    pub async fn subjects(&self, filter: &str) -> Result<Vec<String>, Unreadable> {
        let listed = self.stream.info_with_subjects(filter).await.map_err(|e| self.unreadable(filter, &e))?;
        let pairs: Vec<(String, usize)> = listed.try_collect().await.map_err(|e| self.unreadable(filter, &e))?;
        let mut subjects: Vec<String> = pairs.into_iter().map(|(subject, _)| subject).collect();
        subjects.sort();
        Ok(subjects)
    }

    /// The first message on `subject` at or behind `from`, from the leader.
    pub async fn next_on(&self, subject: &str, from: Sequence) -> Result<Option<StreamMessage>, Unreadable> {
        match self.stream.get_first_raw_message_by_subject(subject, from.0).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(self.unreadable(subject, &error)),
        }
    }

    /// The message at `sequence`, from the leader.
    pub async fn at(&self, sequence: Sequence) -> Result<Option<StreamMessage>, Unreadable> {
        match self.stream.get_raw_message(sequence.0).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(self.unreadable(&format!("message {sequence}"), &error)),
        }
    }

    /// The value of a view key with its revision: 0 if it was never written. From the leader, or else from any replica,
    /// whose answer may be old: the guard of a write that builds on it will tell.
    pub async fn view(&self, subject: &str, from_leader: bool) -> Result<Stored<Option<Bytes>>, Unreadable> {
        let message = if from_leader {
            self.last(subject).await?
        } else {
            match self.stream.direct_get_last_for_subject(subject).await {
                Ok(message) => Some(message),
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => None,
                Err(error) => return Err(self.unreadable(subject, &error)),
            }
        };
        let Some(message) = message else { return Ok(Stored { value: None, revision: Sequence(0) }) };
        let value = (!is_deletion(&message.headers)).then_some(message.payload);
        Ok(Stored { value, revision: Sequence(message.sequence) })
    }

    fn unreadable(&self, subject: &str, cause: &impl std::fmt::Display) -> Unreadable {
        let (subject, stream) = (subject.to_owned(), self.name().to_owned());
        Unreadable { subject, stream, cause: cause.to_string() }
    }
}

/// Whether a message says that its key has no value: a client's deletion, or the server's marker of an expiry.
pub fn is_deletion(headers: &HeaderMap) -> bool {
    headers.get("Nats-Marker-Reason").is_some()
        || headers.get("KV-Operation").is_some_and(|operation| matches!(operation.as_str(), "DEL" | "PURGE"))
}
