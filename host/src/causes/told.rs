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
    pub bytes: usize,
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
            bytes: message.payload.len(),
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

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn the_bytes_of_the_message_are_told_apart_from_those_of_data_that_is_cut() {
        let message = Message {
            sequence: Sequence(7),
            stored: OffsetDateTime::UNIX_EPOCH,
            subject: "in.a".to_owned(),
            headers: vec![("content-type".to_owned(), "application/cloudevents+json".to_owned())],
            payload: r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data":"long enough"}"#.into(),
        };
        let told = serde_json::to_string(&Told::of("IN", &message, 4)).unwrap();
        let read: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&read["bytes"], told.matches("\"size\"").count()), (&message.payload.len().into(), 1), "{told}");
        assert!(read["size"].as_u64().is_some_and(|size| size < 20), "{told}");
    }
}
