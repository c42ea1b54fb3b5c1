//! What a module receives, with its payload parsed.

use serde::de::DeserializeOwned;

use crate::bindings::pelton::plugin::types;
pub use crate::bindings::pelton::plugin::types::Attribute;
use crate::{Failure, json};

/// What a module receives: a CloudEvent with its position in the input stream and its payload parsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event<P> {
    /// The CloudEvents id. A message that has none gets one made of its stream and sequence.
    pub id: String,
    /// The CloudEvents source: who produced the event.
    pub source: String,
    /// The CloudEvents type, for example `invoice.cancelled`.
    pub kind: String,
    /// The CloudEvents subject: what in the source the event is about.
    pub subject: Option<String>,
    /// The module's key of this event: what order is kept by, and what view keys begin with.
    pub key: String,
    /// The name of the input stream.
    pub stream: String,
    /// The position in the input stream, from 1.
    pub sequence: u64,
    /// When it happened, in RFC 3339 and UTC: the CloudEvents time, or else when the stream stored it.
    pub time: String,
    /// The media type of the payload, for example `application/json`. Empty if the producer named none.
    pub content_type: String,
    /// The id of the event that began this chain of events.
    pub correlation: String,
    /// The id of the event that directly caused this one, if one did.
    pub causation: Option<String>,
    /// Everything else that the envelope carries: CloudEvents extensions, trace context, unknown headers.
    pub attributes: Vec<Attribute>,
    /// What the producer says.
    pub payload: P,
}

impl<P> Event<P> {
    /// The value of the first attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|a| a.name == name)?;
        Some(&found.value)
    }
}

/// What a payload can be: any type that serde can read from JSON, or [`Raw`].
pub trait Payload: Sized {
    /// Parses the bytes of an event; what does not parse is rejected.
    fn parse(data: Vec<u8>) -> Result<Self, Failure>;
}

impl<T: DeserializeOwned> Payload for T {
    fn parse(data: Vec<u8>) -> Result<Self, Failure> {
        json::read_payload(&data)
    }
}

/// A payload as it came, for plugins that read something else than JSON.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Raw(pub Vec<u8>);

impl Payload for Raw {
    fn parse(data: Vec<u8>) -> Result<Self, Failure> {
        Ok(Self(data))
    }
}

impl<P: Payload> TryFrom<types::Event> for Event<P> {
    type Error = Failure;

    fn try_from(event: types::Event) -> Result<Self, Failure> {
        Ok(Self {
            id: event.id,
            source: event.source,
            kind: event.kind,
            subject: event.subject,
            key: event.key,
            stream: event.stream,
            sequence: event.sequence.parse().map_err(|_| Failure::reject("the position is no number"))?,
            time: event.time,
            content_type: event.content_type,
            correlation: event.correlation,
            causation: event.causation,
            attributes: event.attributes,
            payload: P::parse(event.data)?,
        })
    }
}
