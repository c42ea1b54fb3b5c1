//! Makes stored messages: binary, structured and bare ones, whole and broken.

use pelton::event::{Message, Sequence};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::source::Source;

/// The input stream that all messages are of.
pub const STREAM: &str = "ORDERS";

const SUBJECTS: [&str; 6] = ["orders.new", "a", "a.b.c", "orders..new", ".", "pelton.shop.events.alerts.k"];
const NAMES: [&str; 23] = [
    "ce-id",
    "ce-time",
    "Ce-Subject",
    "CE-TENANT",
    "ce-",
    "ce-correlationid",
    "ce-causationid",
    "ce-datacontenttype",
    "ce-traceparent",
    "ce-pelton-path",
    "ce-pelton-hops",
    "ce-nats-rollup",
    "Nats-Msg-Id",
    "nats-rollup",
    "Content-Type",
    "content-type",
    "Traceparent",
    "tracestate",
    "Pelton-Path",
    "Pelton-Hops",
    "Id",
    "Type",
    "X-Tenant",
];
const MEMBERS: [&str; 18] = [
    "id",
    "source",
    "type",
    "specversion",
    "subject",
    "time",
    "tenant",
    "Tenant",
    "data",
    "data_base64",
    "datacontenttype",
    "traceparent",
    "correlationid",
    "pelton-path",
    "pelton-hops",
    "nats-rollup",
    "Nats-Msg-Id",
    "a\r\nb",
];
const VALUES: [&str; 23] = [
    "1",
    "",
    "1.0",
    "0.3",
    "a b",
    "a%20b",
    "50%",
    "%FF",
    "%zz",
    "%0D%0ANats-Rollup:%20all",
    "\r\nNats-Rollup: all",
    "2026-01-02T03:04:05.678+01:00",
    "9999-12-31T23:59:59-01:00",
    "0000-01-01T00:00:00+01:00",
    "63",
    "64",
    "18446744073709551615",
    "totals,other,,totals",
    "application/json",
    "text/plain; a=\"b\"",
    "application/cloudevents+json",
    "aGk=",
    "é\u{1}",
];
/// What a binary or structured event must have.
const NEEDED: [(&str, &str); 4] = [("specversion", "1.0"), ("id", "1"), ("source", "/shop"), ("type", "made")];

/// A message as the NATS client hands it on.
pub fn message(source: &mut Source<'_>) -> Message {
    let stored = i128::from(source.number(0, u64::MAX / 2));
    let (mut headers, payload) = match source.number(0, 3) {
        0 => (Vec::new(), source.bytes()),
        1 => (binary(source), source.bytes()),
        2 => (vec![structured()], members(source)),
        _ => (vec![structured()], source.bytes()),
    };
    headers.extend(source.several(5, |source| (source.text(&NAMES), source.text(&VALUES))));
    Message {
        sequence: Sequence(source.number(1, u64::MAX)),
        stored: OffsetDateTime::from_unix_timestamp_nanos(stored).unwrap_or(OffsetDateTime::UNIX_EPOCH),
        subject: Some(source.text(&SUBJECTS)).filter(|text| !text.is_empty()).unwrap_or_else(|| "s".to_owned()),
        headers: received(headers),
        payload: payload.into(),
    }
}

fn binary(source: &mut Source<'_>) -> Vec<(String, String)> {
    let all = NEEDED.map(|(name, usual)| (format!("ce-{name}"), value(source, usual)));
    let present = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
    present.collect()
}

fn structured() -> (String, String) {
    ("Content-Type".to_owned(), "application/cloudevents+json".to_owned())
}

/// The JSON text of an event.
fn members(source: &mut Source<'_>) -> Vec<u8> {
    let needed = NEEDED.map(|(name, usual)| (name.to_owned(), value(source, usual).map_or(Value::Null, Value::String)));
    let more = source.several(5, |source| (source.text(&MEMBERS), member(source)));
    let object: Map<String, Value> = needed.into_iter().chain(more).collect();
    Value::Object(object).to_string().into_bytes()
}

fn member(source: &mut Source<'_>) -> Value {
    match source.number(0, 5) {
        0 => Value::Bool(source.flag()),
        1 => source.number(0, u64::MAX).into(),
        2 => Value::Null,
        3 => Value::Array(vec![source.text(&VALUES).into()]),
        _ => source.text(&VALUES).into(),
    }
}

/// Nearly always `usual`; now and then something else, or nothing.
fn value(source: &mut Source<'_>, usual: &str) -> Option<String> {
    match source.number(0, 15) {
        0..=11 => Some(usual.to_owned()),
        12..=14 => Some(source.text(&VALUES)),
        _ => None,
    }
}

/// Headers as the client reads them off the wire and the host sorts them: it refuses names that are not plain, ends
/// lines at line breaks, trims values.
pub fn received(headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    let one_line = |value: &str| value.replace(['\r', '\n'], "").trim().to_owned();
    let known = headers.into_iter().filter(|(name, _)| plain(name));
    let mut headers: Vec<_> = known.map(|(name, value)| (name, one_line(&value))).collect();
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    headers
}
