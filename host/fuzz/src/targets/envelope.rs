//! What a message says of its event, and the key and lane that it gets.

use bytes::Bytes;
use pelton::cloudevents::{self, decode, encode, is_extension};
use pelton::event::{Event, Message};
use pelton::route::{KeyError, KeyExpr, lane_of};
use serde_json::Value;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::message::{STREAM, message, received};
use super::source::Source;

const HEADERS: [&str; 4] = ["ce-id", "X-Tenant", "ce-tenant", "Content-Type"];
const POINTERS: [&str; 10] = ["/id", "/data", "/", "/0", "/a~1b/0", "/tenant/~0", "/-", "/00", "/+0", "/~01"];
const PAYLOADS: [&str; 6] = [
    r#"{"id":"x","data":{"id":[1,true,null,"y"]},"":0.5}"#,
    r#"[{"0":"a"},"b",-1e3]"#,
    r#"{"a/b":["c"],"tenant":{"~":"d"},"~1":"e","id":1,"id":{}}"#,
    "[[[[[[[[0]]]]]]]]",
    "\"text\"",
    "nul",
];

/// A message is either refused with a reason, or gives an event that is whole, travels on, and has a lane.
pub fn envelope(data: &[u8]) {
    let mut source = Source::new(data);
    let message = message(&mut source);
    let decoded = decode(STREAM, &message);
    assert_eq!(decoded, decode(STREAM, &message), "decoded twice");
    match decoded {
        Ok(event) => {
            is_whole(&event);
            travels(event.clone(), &message);
            key(&mut source, &message, event);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn is_whole(event: &Event) {
    assert!(!event.id.is_empty() && !event.source.is_empty() && !event.kind.is_empty(), "{event:?}");
    assert!(!event.correlation.is_empty() && event.subject.as_deref() != Some(""), "{event:?}");
    let time = OffsetDateTime::parse(&event.time, &Rfc3339);
    assert!(time.is_ok_and(|time| time.offset() == UtcOffset::UTC && event.time.ends_with('Z')), "{}", event.time);
    assert!(event.attributes.is_sorted(), "{:?}", event.attributes);
    let steers = |name: &str| name.to_ascii_lowercase().starts_with("nats-");
    assert!(!event.attributes.iter().any(|(name, _)| steers(name)), "{:?}", event.attributes);
}

/// What of an event a guest could emit comes back from its headers as it was.
fn travels(mut event: Event, message: &Message) {
    event.attributes.retain(|(name, value)| is_extension(name) || (is_trace(name) && is_plain(value)));
    let structured = event.content_type.to_ascii_lowercase().starts_with(cloudevents::STRUCTURED);
    if structured || !is_plain(&event.content_type) {
        event.content_type.clear();
    }
    let headers = encode(&event);
    let clean = |text: &str| text.is_ascii() && !text.contains(|c: char| c.is_ascii_control());
    assert!(headers.iter().all(|(name, value)| clean(name) && clean(value)), "{headers:?}");
    let headers = headers.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
    let again = Message { headers: received(headers), payload: event.data.clone(), ..message.clone() };
    assert_eq!(decode("OTHERS", &again), Ok(event));
}

fn is_trace(name: &str) -> bool {
    ["traceparent", "tracestate"].contains(&name)
}

/// Trace context and media types are written as they are, so that only those of printable ASCII come back.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && text.trim() == text
}

/// Whatever the key expression, an event has a key with a lane, or there is a reason.
fn key(source: &mut Source<'_>, message: &Message, mut event: Event) {
    if source.flag() {
        event.data = Bytes::from(source.text(&PAYLOADS));
    }
    let expression = expression(source);
    let lanes = source.one_of(&[1, 2, 16, 256, 0, u16::MAX]);
    let key = expression.key_of(message, &event);
    if let KeyExpr::Json { pointer, missing } = &expression {
        let pointer = String::from(pointer.clone());
        agrees_with_serde_json(&key.as_deref().map_err(Clone::clone), &pointer, missing.as_deref(), &event.data);
    }
    match key {
        Ok(key) => {
            assert!(!key.is_empty());
            assert!(lane_of(&key, lanes) < lanes.max(1));
            assert_eq!(lane_of(&key, lanes), lane_of(&format!("{key}/{}", source.text(&HEADERS)), lanes), "{key:?}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn expression(source: &mut Source<'_>) -> KeyExpr {
    match source.number(0, 5) {
        0 => KeyExpr::Subject,
        1 => KeyExpr::Token(source.one_of(&[1, 2, 5, 0, u16::MAX])),
        2 => KeyExpr::Header(source.text(&HEADERS)),
        _ => match source.text(&POINTERS).try_into() {
            Ok(pointer) => KeyExpr::Json { pointer, missing: source.perhaps(|source| source.text(&HEADERS)) },
            Err(_) => KeyExpr::Subject,
        },
    }
}

/// The walk that builds nothing finds what a pointer finds in the whole document.
fn agrees_with_serde_json(key: &Result<&str, KeyError>, pointer: &str, missing: Option<&str>, data: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(data) else { return };
    let expected = match document.pointer(pointer) {
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(Value::Bool(true)) => Ok("true"),
        Some(Value::Bool(false)) => Ok("false"),
        Some(Value::Number(_)) => return assert!(key.is_ok(), "{key:?}"),
        Some(Value::Array(_) | Value::Object(_)) => Err(KeyError::Pointer(pointer.to_owned())),
        Some(Value::Null) | None => missing.ok_or_else(|| KeyError::Pointer(pointer.to_owned())),
    };
    let expected = expected.and_then(|key| if key.is_empty() { Err(KeyError::Empty) } else { Ok(key) });
    assert_eq!(*key, expected, "{pointer}");
}
