//! What flows from a source to a lane: stored messages, positions, and the CloudEvents decoded from them. Plain data.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use xxhash_rust::xxh64::Xxh64;

/// A position in a stream, from 1; 0 is before the first message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The position after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Sequence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A message as an input stream stores it.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where it stands in its stream.
    pub sequence: Sequence,
    /// When the stream stored it.
    pub stored: OffsetDateTime,
    /// The subject that it was published to.
    pub subject: String,
    /// Names and values, ordered by name, so that a run sees them as every other run does.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub payload: Bytes,
}

impl Message {
    /// A fingerprint that tells this message from any other at the same position: XXH64 over subject, storage time in
    /// nanoseconds and payload. Headers are left out, since their order is not kept.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = Xxh64::new(0);
        hash.update(self.subject.as_bytes());
        hash.update(&[0]);
        hash.update(&self.stored.unix_timestamp_nanos().to_le_bytes());
        hash.update(&self.payload);
        Fingerprint(hash.digest())
    }

    /// Where it stands, and what stands there.
    pub fn mark(&self) -> Mark {
        Mark { sequence: self.sequence, fingerprint: Some(self.fingerprint()) }
    }

    /// The value of the header `name`, whose letters match in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What [`Message::fingerprint`] gives; 16 hex digits as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint(pub u64);

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        format!("{:016x}", fingerprint.0)
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        u64::from_str_radix(&text, 16).map(Self)
    }
}

/// A position together with what stood there: valid only for the stream that it was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The position.
    pub sequence: Sequence,
    /// The message there; none at position 0 or where a module began in the middle.
    pub fingerprint: Option<Fingerprint>,
}

/// Positions of a stream whose messages were removed before a reader had them: from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The first one.
    pub first: Sequence,
    /// The last one.
    pub last: Sequence,
}

impl Gap {
    /// How many positions that are.
    pub fn positions(&self) -> u64 {
        (self.last.0 + 1).saturating_sub(self.first.0)
    }

    /// The mark behind it: nothing is left to recognise it by.
    pub fn mark(&self) -> Mark {
        Mark { sequence: self.last, fingerprint: None }
    }
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.positions() {
            1 => write!(f, "message {}", self.last),
            many => write!(f, "messages {} to {} ({many})", self.first, self.last),
        }
    }
}

/// A CloudEvent, whatever form it arrived in.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Unique within `source`.
    pub id: String,
    /// Who produced it.
    pub source: String,
    /// The CloudEvents type.
    pub kind: String,
    /// What in the source it is about.
    pub subject: Option<String>,
    /// When it happened, RFC 3339 in UTC.
    pub time: String,
    /// The media type of `data`; empty if unknown.
    pub content_type: String,
    /// The id of the event that began the chain.
    pub correlation: String,
    /// The id of the event that caused it.
    pub causation: Option<String>,
    /// Extensions, trace context and unknown headers, ordered by name.
    pub attributes: Vec<(String, String)>,
    /// The payload.
    pub data: Bytes,
}

impl Event {
    /// The attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// One input of one lane: the message, the event in it, and the module's key.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message as stored.
    pub message: Arc<Message>,
    /// What the module receives, or why the message gives no event or no key.
    pub input: Result<(Arc<Event>, Arc<str>), Undecodable>,
}

impl Delivery {
    /// Where the input stands in its stream.
    pub fn sequence(&self) -> Sequence {
        self.message.sequence
    }

    /// The module's key, if it is an event that has one.
    pub fn key(&self) -> Option<&Arc<str>> {
        self.input.as_ref().ok().map(|(_, key)| key)
    }

    /// What picks its lane: its key, or else its subject.
    pub fn lane_key(&self) -> &str {
        self.input.as_ref().map_or(&self.message.subject, |(_, key)| key)
    }

    /// The position and fingerprint of the input.
    pub fn mark(&self) -> Mark {
        self.message.mark()
    }
}

/// Why a message is no input that a plugin could see. It becomes a dead letter.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Undecodable {
    /// The envelope is broken.
    #[error(transparent)]
    Envelope(#[from] crate::cloudevents::Error),
    /// The module's key cannot be taken from it.
    #[error(transparent)]
    Key(#[from] crate::route::KeyError),
}

/// `time` in RFC 3339 and UTC, with the digits that it has.
pub fn rfc3339(time: OffsetDateTime) -> String {
    // Formatting fails only for years beyond 9999, which no server clock shows.
    time.to_offset(time::UtcOffset::UTC).format(&Rfc3339).unwrap_or_default()
}
