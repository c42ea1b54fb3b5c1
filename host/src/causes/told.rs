//! A message as it is told of: where it stands, the event in it, its data. Pure.

use serde::Serialize;

use crate::cloudevents;
use crate::event::{Event, Message, Sequence, rfc3339};
use crate::tap::Data;

/// A message as it is told of.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// The stream that holds it.
    pub stream: String,
    /// Where it stands there.
    pub sequence: Sequence,
    /// When it was stored, RFC 3339.
    pub time: String,
    /// Its subject.
    pub subject: String,
    /// The event in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Attributes>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The bytes of its payload.
    pub size: usize,
    /// The event's data; the payload, if there is no event.
    #[serde(flatten)]
    pub data: Data,
}

/// What an event says besides its data.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "as in Event")]
pub struct Attributes {
    pub id: String,
    pub source: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    pub time: String,
    pub content_type: String,
    pub correlation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation: Option<String>,
    pub attributes: Vec<(String, String)>,
}

impl Told {
    /// Tells of `message` of `stream`, with at most `largest` bytes of its data.
    pub fn of(stream: &str, message: &Message, largest: usize) -> Self {
        let decoded = cloudevents::decode(stream, message);
        let (event, problem, data) = match decoded {
            Ok(event) => {
                let data = Data::of(&event.data, largest);
                (Some(Attributes::from(event)), None, data)
            }
            Err(problem) => (None, Some(problem.to_string()), Data::of(&message.payload, largest)),
        };
        Self {
            stream: stream.to_owned(),
            sequence: message.sequence,
            time: rfc3339(message.stored),
            subject: message.subject.clone(),
            event,
            problem,
            size: message.payload.len(),
            data,
        }
    }
}

impl From<Event> for Attributes {
    fn from(event: Event) -> Self {
        let Event { id, source, kind, subject, time, content_type, correlation, causation, .. } = event;
        Self { id, source, kind, subject, time, content_type, correlation, causation, attributes: event.attributes }
    }
}
