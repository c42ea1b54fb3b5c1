//! Spans as OTLP has them: the messages of `opentelemetry/proto/trace/v1/trace.proto`, as far as they are used here. The
//! tests read them with the messages that OpenTelemetry publishes.

use std::time::{SystemTime, UNIX_EPOCH};

use prost::{Message, Oneof};

use super::span::{self, Kind};

/// Spans for a collector.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceSpans>,
}

/// What a collector answers.
#[derive(Clone, PartialEq, Message)]
pub struct Response {
    /// What it did not take.
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// What a collector did not take.
#[derive(Clone, PartialEq, Message)]
pub struct PartialSuccess {
    /// So many spans.
    #[prost(int64, tag = "1")]
    pub rejected_spans: i64,
    /// Why.
    #[prost(string, tag = "2")]
    pub error_message: String,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeSpans>,
}

/// Who tells of the spans.
#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    trace_state: String,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
    #[prost(fixed32, tag = "16")]
    flags: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Flag(bool),
    #[prost(int64, tag = "3")]
    Number(i64),
}

/// The status of what failed; anything else has none.
const ERROR: i32 = 2;
/// Says that it is known whether the parent is another program's, and that it is.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

impl Resource {
    /// Who has these attributes.
    pub fn of(attributes: &[(String, String)]) -> Self {
        let each = attributes.iter().map(|(key, value)| key_value(key, Value::Text(value.clone())));
        Self { attributes: each.collect() }
    }
}

/// What a collector is sent: these spans of `resource`.
pub fn request(resource: &Resource, spans: &[span::Span]) -> Request {
    let scope = Scope { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let scopes = vec![ScopeSpans { scope: Some(scope), spans: spans.iter().map(Span::from).collect() }];
    Request { resources: vec![ResourceSpans { resource: Some(resource.clone()), scopes }] }
}

impl From<&span::Span> for Span {
    fn from(span: &span::Span) -> Self {
        let attributes = span.attributes.iter().map(|(key, value)| {
            let value = match value {
                span::Value::Text(text) => Value::Text(text.clone()),
                span::Value::Number(number) => Value::Number(*number),
                span::Value::Flag(flag) => Value::Flag(*flag),
            };
            key_value(key, value)
        });
        let is_remote = if span.is_parent_remote { IS_REMOTE } else { 0 };
        Self {
            trace_id: span.trace.bytes().to_vec(),
            span_id: span.id.bytes().to_vec(),
            trace_state: span.state.clone(),
            parent_span_id: span.parent.map(|parent| parent.bytes().to_vec()).unwrap_or_default(),
            name: span.name.clone(),
            kind: match span.kind {
                Kind::Internal => 1,
                Kind::Client => 3,
                Kind::Consumer => 5,
            },
            start_time_unix_nano: nanos(span.began),
            // A clock that was set back in between makes no span that ends before it begins.
            end_time_unix_nano: nanos(span.ended.max(span.began)),
            attributes: attributes.collect(),
            status: span.failed.as_ref().map(|message| Status { message: message.clone(), code: ERROR }),
            flags: u32::from(span.flags.bits()) | HAS_IS_REMOTE | is_remote,
        }
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}
