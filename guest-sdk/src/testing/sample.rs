//! The event of a test: sensible fields, of which a test sets those that matter to it.

use serde::Serialize;

use super::case::defaults;
use super::to_json;
use crate::Attribute;
use crate::bindings::pelton::plugin::types;

/// An event with `payload` as JSON.
pub fn event<P: Serialize + ?Sized>(payload: &P) -> Sample {
    event_raw(to_json(payload))
}

/// An event with these bytes as its payload, for example damaged ones.
pub fn event_raw(payload: impl Into<Vec<u8>>) -> Sample {
    Sample(types::Event {
        id: defaults::ID.into(),
        source: defaults::SOURCE.into(),
        kind: defaults::KIND.into(),
        subject: None,
        key: defaults::KEY.into(),
        stream: defaults::STREAM.into(),
        sequence: defaults::SEQUENCE.to_string(),
        time: defaults::TIME.into(),
        content_type: defaults::CONTENT_TYPE.into(),
        correlation: defaults::ID.into(),
        causation: None,
        attributes: Vec::new(),
        data: payload.into(),
    })
}

/// An event on its way to a plugin under test.
#[derive(Clone, Debug)]
pub struct Sample(pub(super) types::Event);

impl Sample {
    /// Sets the key; `key` if not set.
    pub fn key(mut self, key: &str) -> Self {
        self.0.key = key.into();
        self
    }

    /// Sets the id, and the correlation with it; `test-1` if not set.
    pub fn id(mut self, id: &str) -> Self {
        self.0.id = id.into();
        self.0.correlation = id.into();
        self
    }

    /// Sets the CloudEvents source; `test` if not set.
    pub fn source(mut self, source: &str) -> Self {
        self.0.source = source.into();
        self
    }

    /// Sets the CloudEvents type; `test` if not set.
    pub fn kind(mut self, kind: &str) -> Self {
        self.0.kind = kind.into();
        self
    }

    /// Sets the CloudEvents subject; none if not set.
    pub fn subject(mut self, subject: &str) -> Self {
        self.0.subject = Some(subject.into());
        self
    }

    /// Sets the time, in RFC 3339 and UTC; `2026-01-01T00:00:00Z` if not set.
    pub fn time(mut self, time: &str) -> Self {
        self.0.time = time.into();
        self
    }

    /// Sets the position in the stream; 1 if not set.
    pub fn sequence(mut self, sequence: u64) -> Self {
        self.0.sequence = sequence.to_string();
        self
    }

    /// Sets the media type of the payload; `application/json` if not set.
    pub fn content_type(mut self, content_type: &str) -> Self {
        self.0.content_type = content_type.into();
        self
    }

    /// Adds an attribute; none if not set.
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        let (name, value) = (name.into(), value.into());
        self.0.attributes.push(Attribute { name, value });
        self
    }
}
