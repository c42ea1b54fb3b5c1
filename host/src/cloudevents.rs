//! CloudEvents 1.0 on NATS: reads binary, structured and bare messages, writes binary ones. Pure.
//!
//! In binary mode attributes are headers `ce-…` whose values are percent-encoded as the specification says, and the
//! payload is the data. In structured mode the payload is the whole event as JSON. Anything else is a bare message: it
//! gets its id from its stream and sequence.

use std::borrow::Cow;
use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, value::RawValue};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use crate::effects::Headers;
use crate::event::{Event, Message, rfc3339};
use crate::traces::context::{TRACEPARENT, TRACESTATE};

/// Attributes that have a field of their own in [`Event`].
const FIELDS: [&str; 9] =
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", CORRELATION, CAUSATION];
/// The extension that holds the id of the event that began a chain.
const CORRELATION: &str = "correlationid";
/// The extension that holds the id of the event that caused this one.
const CAUSATION: &str = "causationid";
/// The attributes of W3C trace context. They travel as attributes, as CloudEvents has it, and as plain headers of those
/// names, which tracing tools read.
const TRACE: [&str; 2] = [TRACEPARENT, TRACESTATE];
/// What the specification has percent-encoded in a header, besides all that is not ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');
const CONTENT_TYPE: &str = "content-type";
/// How the media types of structured mode begin.
pub const STRUCTURED: &str = "application/cloudevents";

/// Why a message is no CloudEvent, though it says that it is one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// An attribute that every event must have is absent or empty.
    #[error("CloudEvents attribute {0:?} is missing")]
    Missing(&'static str),
    /// Only version 1 of the specification is read.
    #[error("CloudEvents specversion {0:?} is not supported: publish version 1.0")]
    Version(String),
    /// A header's percent-encoding is broken.
    #[error("CloudEvents attribute {name:?} is not percent-encoded UTF-8: {value:?}")]
    Percent {
        /// The attribute.
        name: String,
        /// The header's value.
        value: String,
    },
    /// `time` is no RFC 3339 time.
    #[error("CloudEvents attribute \"time\" is no RFC 3339 time: {0:?}")]
    Time(String),
    /// The payload is no event in JSON.
    #[error("structured CloudEvent: {0}")]
    Json(String),
    /// A structured mode that Pelton does not read.
    #[error("structured CloudEvent of media type {0:?} is not supported: publish application/cloudevents+json")]
    Format(String),
}

/// Decodes `message` of the stream `stream`.
pub fn decode(stream: &str, message: &Message) -> Result<Event, Error> {
    let content_type = message.header(CONTENT_TYPE).unwrap_or_default();
    if strip_prefix_ignore_case(content_type, STRUCTURED).is_some() {
        decode_structured(content_type, message)
    } else if message.header("ce-specversion").is_some() {
        decode_binary(content_type, message)
    } else {
        Ok(decode_bare(stream, content_type, message))
    }
}

fn decode_binary(content_type: &str, message: &Message) -> Result<Event, Error> {
    let mut attributes = Vec::new();
    for (header, value) in &message.headers {
        if let Some(name) = strip_prefix_ignore_case(header, "ce-") {
            attributes.push((name.to_ascii_lowercase(), percent_decode(name, value)?));
        }
    }
    event_of(attributes, content_type.to_owned(), message.payload.clone(), message)
}

fn decode_structured(content_type: &str, message: &Message) -> Result<Event, Error> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/cloudevents+json") {
        return Err(Error::Format(content_type.to_owned()));
    }
    let json = |error: serde_json::Error| Error::Json(error.to_string());
    let mut members: Map<String, Value> = serde_json::from_slice(&message.payload).map_err(json)?;
    let data_type = members.get("datacontenttype").and_then(Value::as_str).unwrap_or("application/json").to_owned();
    let data = take_data(&mut members, &data_type, &message.payload)?;
    let mut attributes = Vec::new();
    for (name, value) in members {
        match value {
            Value::String(text) => attributes.push((name, text)),
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) => attributes.push((name, value.to_string())),
            Value::Array(_) | Value::Object(_) => return Err(Error::Json(format!("attribute {name:?} is no scalar"))),
        }
    }
    event_of(attributes, data_type, data, message)
}

/// Takes `data` or `data_base64` out of `members`: JSON data keeps the bytes that the producer wrote.
fn take_data(members: &mut Map<String, Value>, data_type: &str, payload: &Bytes) -> Result<Bytes, Error> {
    #[derive(serde::Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    match (members.remove("data"), members.remove("data_base64")) {
        (None, None) => Ok(Bytes::new()),
        (Some(_), Some(_)) => Err(Error::Json("data and data_base64 are given both: an event has one".to_owned())),
        (None, Some(Value::String(text))) => {
            BASE64.decode(text).map(Bytes::from).map_err(|e| Error::Json(format!("data_base64: {e}")))
        }
        (None, Some(_)) => Err(Error::Json("data_base64 is no text".to_owned())),
        (Some(Value::String(text)), None) if !is_json(data_type) => Ok(text.into()),
        (Some(_), None) => {
            let raw: Data<'_> = serde_json::from_slice(payload).map_err(|e| Error::Json(e.to_string()))?;
            Ok(Bytes::copy_from_slice(raw.data.get().as_bytes()))
        }
    }
}

/// Whether data of that media type is JSON.
pub fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.ends_with("/json") || essence.ends_with("+json")
}

fn decode_bare(stream: &str, content_type: &str, message: &Message) -> Event {
    let mut attributes = plain_headers(message);
    sort(&mut attributes);
    let id = format!("{stream}:{}", message.sequence);
    Event {
        correlation: id.clone(),
        id,
        source: format!("nats:{stream}"),
        kind: message.subject.clone(),
        subject: None,
        time: rfc3339(message.stored),
        content_type: content_type.to_owned(),
        causation: None,
        attributes,
        data: message.payload.clone(),
    }
}

/// Headers that no rule knows: they survive as attributes, in lower case. `Nats-*` steers the server and does not.
fn plain_headers(message: &Message) -> Vec<(String, String)> {
    let is_plain = |name: &str| {
        !name.eq_ignore_ascii_case(CONTENT_TYPE)
            && strip_prefix_ignore_case(name, "ce-").is_none()
            && strip_prefix_ignore_case(name, "nats-").is_none()
    };
    let plain = message.headers.iter().filter(|(name, _)| is_plain(name));
    plain.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect()
}

fn event_of(
    mut attributes: Vec<(String, String)>,
    content_type: String,
    data: Bytes,
    message: &Message,
) -> Result<Event, Error> {
    let mut take = |name: &str| {
        let at = attributes.iter().position(|(found, _)| found == name)?;
        Some(attributes.swap_remove(at).1).filter(|value| !value.is_empty())
    };
    let version = take("specversion").ok_or(Error::Missing("specversion"))?;
    if !version.starts_with("1.") {
        return Err(Error::Version(version));
    }
    let id = take("id").ok_or(Error::Missing("id"))?;
    let source = take("source").ok_or(Error::Missing("source"))?;
    let kind = take("type").ok_or(Error::Missing("type"))?;
    let subject = take("subject");
    let time = match take("time") {
        Some(text) => utc(&text).ok_or(Error::Time(text))?,
        None => rfc3339(message.stored),
    };
    let correlation = take(CORRELATION).unwrap_or_else(|| id.clone());
    let causation = take(CAUSATION);
    let is_more = |name: &str| !FIELDS.contains(&name) && strip_prefix_ignore_case(name, "nats-").is_none();
    attributes.retain(|(name, _)| is_more(name));
    // Plain headers come last and give way, so that none of them passes for an attribute of the event.
    let own: BTreeSet<String> = attributes.iter().map(|(name, _)| name.clone()).collect();
    attributes.extend(plain_headers(message).into_iter().filter(|(name, _)| !own.contains(name)));
    sort(&mut attributes);
    Ok(Event { id, source, kind, subject, time, content_type, correlation, causation, attributes, data })
}

/// The RFC 3339 time `text` in UTC, where its year must have four digits too.
fn utc(text: &str) -> Option<String> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
    (0..=9999).contains(&time.year()).then(|| rfc3339(time))
}

/// Guests must see the same input in the same order in every run.
fn sort(attributes: &mut [(String, String)]) {
    attributes.sort_unstable();
}

/// The headers of `event` in binary mode.
pub fn encode(event: &Event) -> Headers {
    let mut headers: Headers = Vec::with_capacity(16);
    headers.push(("ce-specversion".into(), "1.0".to_owned()));
    let mut push = |name: Cow<'static, str>, value: &str| headers.push((name, percent_encode(value).into_owned()));
    push("ce-id".into(), &event.id);
    push("ce-source".into(), &event.source);
    push("ce-type".into(), &event.kind);
    push("ce-time".into(), &event.time);
    if let Some(subject) = &event.subject {
        push("ce-subject".into(), subject);
    }
    push("ce-correlationid".into(), &event.correlation);
    if let Some(causation) = &event.causation {
        push("ce-causationid".into(), causation);
    }
    for (name, value) in &event.attributes {
        match plain(name) {
            Some((prefixed, _)) => push(prefixed.into(), value),
            None => push(format!("ce-{name}").into(), value),
        }
    }
    for (name, value) in &event.attributes {
        headers.extend(plain(name).map(|(_, plain)| (plain.into(), percent_encode_controls(value))));
    }
    if !event.content_type.is_empty() {
        headers.push(("Content-Type".into(), percent_encode_controls(&event.content_type)));
    }
    headers
}

/// The headers of an attribute of the trace context: as an attribute, and as what it is.
fn plain(name: &str) -> Option<(&'static str, &'static str)> {
    match name {
        TRACEPARENT => Some(("ce-traceparent", TRACEPARENT)),
        TRACESTATE => Some(("ce-tracestate", TRACESTATE)),
        _ => None,
    }
}

/// `event` as JSON on one line, with `more` attributes.
pub fn structured(event: &Event, more: &[(&str, String)]) -> String {
    let Event { id, source, kind, subject, time, content_type, correlation, causation, attributes, data } = event;
    let mut members = Map::new();
    let own = attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let optional = [("subject", subject), (CAUSATION, causation)];
    let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let fixed = [("specversion", "1.0"), ("id", id), ("source", source), ("type", kind), ("time", time)];
    let last = [(CORRELATION, correlation.as_str())]
        .into_iter()
        .chain(more.iter().map(|(name, value)| (*name, value.as_str())));
    // Headers that are no attributes may have names that attributes may not.
    let own = own.map(|(name, value)| (name.replace(|c: char| !c.is_ascii_alphanumeric(), ""), value));
    let others = fixed.into_iter().chain(optional).chain(last).map(|(name, value)| (name.to_owned(), value));
    for (name, value) in own.chain(others).filter(|(name, _)| !name.is_empty()) {
        members.insert(name, value.into());
    }
    if !content_type.is_empty() {
        members.insert("datacontenttype".to_owned(), content_type.as_str().into());
    }
    members.remove("data");
    members.remove("data_base64");
    let raw: Option<&RawValue> =
        serde_json::from_slice(data).ok().filter(|_| content_type.is_empty() || is_json(content_type));
    if let (None, false) = (raw, data.is_empty()) {
        match std::str::from_utf8(data) {
            Ok(text) if !is_json(content_type) => members.insert("data".to_owned(), text.into()),
            _ => members.insert("data_base64".to_owned(), BASE64.encode(data).into()),
        };
    }
    let mut json = Value::Object(members).to_string();
    if let Some(raw) = raw {
        // No string in JSON holds a line end as it is, so those there are stand between tokens.
        json.pop();
        json.push_str(",\"data\":");
        json.push_str(&raw.get().replace(['\r', '\n'], " "));
        json.push('}');
    }
    json
}

/// Whether a guest may set the extension `name`: lower-case letters and digits, as the specification has it, and none
/// that the host sets.
pub fn is_extension(name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    plain && (1..=64).contains(&name.len()) && !FIELDS.contains(&name) && !TRACE.contains(&name) && name != "data"
}

fn percent_encode(value: &str) -> Cow<'_, str> {
    utf8_percent_encode(value, ENCODED).into()
}

/// Media types and trace state hold spaces and quotes; only what would break a header is encoded.
fn percent_encode_controls(value: &str) -> String {
    utf8_percent_encode(value, CONTROLS).to_string()
}

fn percent_decode(name: &str, value: &str) -> Result<String, Error> {
    let broken = || Error::Percent { name: name.to_owned(), value: value.to_owned() };
    let bytes = value.as_bytes();
    let escapes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    for (at, _) in escapes {
        let digits = bytes.get(at + 1..at + 3).ok_or_else(broken)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(broken());
        }
    }
    percent_decode_str(value).decode_utf8().map(Cow::into_owned).map_err(|_| broken())
}

fn strip_prefix_ignore_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

#[cfg(test)]
mod tests;
