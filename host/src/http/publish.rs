//! `POST /events/{subject}`: CloudEvents over HTTP, in binary, structured or batch mode, into an input stream.

use std::collections::BTreeSet;

use async_nats::jetstream::{self, ErrorCode, context::PublishError, context::PublishErrorKind};
use async_nats::{HeaderMap as Headers, HeaderName, HeaderValue};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::params::{Params, Path, bad};
use super::problem::as_json;
use super::{Acting, Problem, Served};
use crate::cloudevents::{self, STRUCTURED};
use crate::config::Config;
use crate::effects::{Bounds, Outgoing};
use crate::event::{Event, Message, Sequence};
use crate::source::{self, InputStream};
use crate::subject::Subjects;

/// The media type of a batch.
const BATCH: &str = "application/cloudevents-batch+json";
/// Events of a batch.
const MOST_EVENTS: usize = 1_000;

/// Where an event stands now.
#[derive(Debug, Serialize)]
struct Published {
    id: String,
    stream: String,
    sequence: u64,
}

/// Publishes the events of a request, one after the other.
pub async fn events(
    State(served): State<Served>,
    _: Acting,
    Path(subject): Path<String>,
    params: Params,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Response), Problem> {
    params.only(&[])?;
    let body = body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let stream = stream_of(&served, &subject).await?;
    let events = read(&subject, &headers, &body)?;
    let mut published = Vec::with_capacity(events.len());
    for event in events {
        match publish(&served, &subject, &stream, &event).await {
            Ok(one) => published.push(one),
            Err(problem) => return Err(problem.with("published", published)),
        }
    }
    Ok((StatusCode::CREATED, as_json(&serde_json::json!({ "published": published }))))
}

/// The stream that stores the subject, if one of its modules takes it.
async fn stream_of(served: &Served, subject: &str) -> Result<String, Problem> {
    for stream in streams_of(&served.config, subject)? {
        let opened = InputStream::open(&served.connections.jetstream(), &stream).await;
        let away = |error: source::Error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
        // A module's filter may take more than its stream stores, and what it does not store might be anybody's.
        if opened.map_err(away)?.stores(subject) {
            return Ok(stream);
        }
    }
    let detail =
        format!("no module takes {subject:?} from a stream that stores it: see /modules for streams and filters");
    Err(Problem::new(StatusCode::NOT_FOUND, detail))
}

/// The streams whose modules take the subject. The app stream is none of them: only Pelton writes to it.
fn streams_of(config: &Config, subject: &str) -> Result<BTreeSet<String>, Problem> {
    let is_plain = |token: &str| token.bytes().all(|byte| byte.is_ascii_graphic() && !b"*>".contains(&byte));
    if !subject.split('.').all(|token| !token.is_empty() && is_plain(token)) {
        return Err(bad(format!("{subject:?} is no subject: tokens with dots between, without spaces, * and >")));
    }
    let own = Subjects::new(&config.app).stream();
    let inputs = config.modules.iter().map(|module| &module.input);
    let takes = inputs.filter(|input| input.stream != own && input.takes(subject));
    Ok(takes.map(|input| input.stream.clone()).collect())
}

/// The events in a request.
fn read(subject: &str, headers: &HeaderMap, body: &Bytes) -> Result<Vec<Event>, Problem> {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|media_type| media_type.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == BATCH {
        let events: Vec<&RawValue> =
            serde_json::from_slice(body).map_err(|error| bad(format!("the batch is no list in JSON: {error}")))?;
        if events.len() > MOST_EVENTS {
            return Err(bad(format!("a batch has at most {MOST_EVENTS} events")));
        }
        let one = |event: &&RawValue| {
            let payload = body.slice_ref(event.get().as_bytes());
            let structured = vec![("content-type".to_owned(), "application/cloudevents+json".to_owned())];
            decoded(subject, structured, payload)
        };
        return events.iter().map(one).collect();
    }
    if !essence.starts_with(STRUCTURED) && !headers.contains_key("ce-specversion") {
        let detail = format!(
            "no CloudEvent: send the attributes as ce-… headers, or the event as application/cloudevents+json, or several \
             as {BATCH}"
        );
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let is_of_event =
        |name: &str| name.starts_with("ce-") || ["content-type", "traceparent", "tracestate"].contains(&name);
    let of_event = headers.iter().filter(|(name, _)| is_of_event(name.as_str()));
    let text = of_event.map(|(name, value)| {
        let value = value.to_str().map_err(|_| bad(format!("the header {name} is no ASCII: percent-encode it")))?;
        Ok((name.to_string(), value.to_owned()))
    });
    Ok(vec![decoded(subject, text.collect::<Result<_, Problem>>()?, body.clone())?])
}

fn decoded(subject: &str, headers: Vec<(String, String)>, payload: Bytes) -> Result<Event, Problem> {
    let (sequence, stored) = (Sequence(0), OffsetDateTime::now_utc());
    let message = Message { sequence, stored, subject: subject.to_owned(), headers, payload };
    cloudevents::decode("", &message).map_err(|error| bad(error.to_string()))
}

/// Publishes an event to `stream`.
async fn publish(served: &Served, subject: &str, stream: &str, event: &Event) -> Result<Published, Problem> {
    let message =
        Outgoing { subject: subject.into(), headers: cloudevents::encode(event).into(), payload: event.data.clone() };
    // The server closes the connection on a subject that is too long, and this one is shared.
    Bounds::new(served.connections.max_payload(), 1).check(&message).map_err(|violation| {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the event {:?} is too large: {violation}", event.id))
    })?;
    let mut headers = Headers::new();
    // The stream may have changed since it was asked what it stores.
    headers.insert("Nats-Expected-Stream", stream);
    for (name, value) in message.headers.iter() {
        let unfit = |cause: String| bad(format!("the attribute {name:?} cannot be a header: {cause}"));
        let value = value.parse::<HeaderValue>().map_err(|error| unfit(error.to_string()))?;
        headers.insert(name.parse::<HeaderName>().map_err(|error| unfit(error.to_string()))?, value);
    }
    let context = served.connections.jetstream();
    let sent = context.publish_with_headers(subject.to_owned(), headers, event.data.clone()).await;
    let stored = match sent {
        Ok(sent) => sent.await,
        Err(error) => Err(error),
    };
    let stored = stored.map_err(|error| refusal(&event.id, stream, &error))?;
    Ok(Published { id: event.id.clone(), stream: stored.stream, sequence: stored.sequence })
}

/// Why an event is not stored, or may not be. Only what may fit later is to be published again.
fn refusal(id: &str, stream: &str, error: &PublishError) -> Problem {
    let said = std::error::Error::source(error).and_then(|source| source.downcast_ref::<jetstream::Error>());
    let (status, detail) = match (error.kind(), said.map(|said| (said.error_code(), said.code()))) {
        (PublishErrorKind::MaxPayloadExceeded, _) | (_, Some((ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM, _))) => {
            let detail = format!("the event {id:?} is larger than stream {stream} takes: {error}");
            (StatusCode::PAYLOAD_TOO_LARGE, detail)
        }
        // An account without room may have some later.
        (_, Some((code, 400..500))) if code != ErrorCode::ACCOUNT_RESOURCES_EXCEEDED => {
            (StatusCode::BAD_REQUEST, format!("stream {stream} refuses the event {id:?}: {error}"))
        }
        _ => {
            let detail = format!("the event {id:?} may not be stored: {error}; publish it again, with the same id");
            (StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    };
    Problem::new(status, detail)
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn only_what_may_be_stored_later_is_to_be_published_again() {
        let server = |code: usize, err_code: u64| {
            let said = serde_json::json!({ "code": code, "err_code": err_code, "description": "no" });
            let said: jetstream::Error = serde_json::from_value(said).unwrap();
            PublishError::with_source(PublishErrorKind::Other, said)
        };
        for (error, status) in [
            (server(400, 10054), 413),
            (PublishErrorKind::MaxPayloadExceeded.into(), 413),
            (server(400, 10060), 400),
            (server(400, 10002), 503),
            (server(500, 10047), 503),
            (server(503, 10077), 503),
            (PublishErrorKind::TimedOut.into(), 503),
            (PublishErrorKind::StreamNotFound.into(), 503),
            (PublishErrorKind::BrokenPipe.into(), 503),
        ] {
            assert_eq!(refusal("a", "IN", &error).into_response().status(), status, "{error}");
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn each_mode_is_read_and_what_is_no_cloudevent_is_not() {
        let event = r#"{"specversion":"1.0","id":"a","source":"s","type":"t","data":{"n":1}}"#;
        let of = |pairs: &[(&'static str, &'static str)], body: &str| {
            read("in.a", &headers(pairs), &Bytes::copy_from_slice(body.as_bytes()))
        };
        let binary = [
            ("ce-specversion", "1.0"),
            ("ce-id", "a%20b"),
            ("ce-source", "s"),
            ("ce-type", "t"),
            ("ce-tenant", "x"),
            ("content-type", "application/json"),
            ("host", "localhost"),
            ("user-agent", "curl"),
        ];
        let found = of(&binary, "{}").unwrap();
        assert_eq!(
            (found[0].id.as_str(), found[0].attributes.as_slice()),
            ("a b", &[("tenant".to_owned(), "x".to_owned())][..])
        );
        let found = of(&[("content-type", "application/cloudevents+json; charset=utf-8")], event).unwrap();
        assert_eq!(found[0].data, r#"{"n":1}"#);
        let found = of(&[("content-type", BATCH)], &format!("[{event},{event}]")).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(of(&[("content-type", BATCH)], "[]").unwrap().len(), 0);
        for (pairs, body) in [
            (&[("content-type", "application/json")][..], "{}"),
            (&[], ""),
            (&[("content-type", "application/cloudevents+xml")], "<a/>"),
            (&[("content-type", "application/cloudevents+json")], "{}"),
            (&[("content-type", BATCH)], event),
            (&[("content-type", BATCH)], "[{}]"),
            (&[("ce-specversion", "1.0")], ""),
        ] {
            assert!(of(pairs, body).is_err(), "{pairs:?} {body}");
        }
    }
}
