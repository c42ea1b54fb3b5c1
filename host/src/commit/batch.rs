//! Publishes atomic batches: all messages of a batch are stored, one after the other, or none.
//!
//! All but the last message are plain publishes; the last one is a request whose answer speaks for the batch.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::connection::State;
use async_nats::{Client, HeaderMap, HeaderName, HeaderValue, Request, Subject};
use serde::Deserialize;
use tokio::sync::watch;
use tracing::debug;
use uuid::Uuid;

use crate::commit::hindrance::Hindrance;
use crate::effects::Outgoing;
use crate::event::Sequence;
use crate::failpoint;

/// What became of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All of it is stored; its last message stands here.
    Committed(Sequence),
    /// A guard did not hold: somebody else wrote. Nothing is stored.
    GuardRejected,
    /// No answer, or one that leaves it open: it may be stored, or still come to be.
    Ambiguous(String),
    /// The server will not have this batch, whoever sends it and whenever. Nothing is stored.
    Refused(String),
    /// The server cannot store it at present, for this reason: it is to be sent again, as it is, until it can. What is
    /// stored of it, if anything, is for [`landed`](super::landed) to say.
    Unavailable(Hindrance, String),
}

/// Publishes batches on one connection.
#[derive(Clone, Debug)]
pub struct Publisher {
    client: Client,
    timeout: Duration,
    /// What the server last did not let through.
    denied: watch::Receiver<String>,
    /// The most bytes of a message that the server took when this host started.
    took: usize,
}

/// The answer to the last message of a batch.
#[derive(Deserialize)]
struct Answer {
    seq: Option<u64>,
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    code: u16,
    #[serde(default)]
    err_code: u32,
    #[serde(default)]
    description: String,
}

/// The server's error for a message that is for a stream of another name.
const EXPECTED_STREAM: u32 = 10_060;

impl Publisher {
    /// How long to wait for the answer to a batch. Requests in flight at a disconnect do not fail but wait this out.
    const TIMEOUT: Duration = Duration::from_secs(2);

    /// A publisher on `client`, which should serve nothing else: a reader on the same connection would delay it. `denied`
    /// has what the server does not let through on it.
    pub fn new(client: Client, denied: watch::Receiver<String>) -> Self {
        Self { timeout: Self::TIMEOUT, denied, took: client.max_payload(), client }
    }

    /// Publishes `messages` as one batch and waits for what becomes of it.
    pub async fn publish(&self, messages: &[Outgoing]) -> Outcome {
        self.publish_as(&id(), messages).await
    }

    /// The same under that id.
    pub async fn publish_as(&self, id: &str, messages: &[Outgoing]) -> Outcome {
        if let Some(outcome) = too_large(messages, self.client.max_payload(), self.took) {
            if let Outcome::Unavailable(..) = outcome {
                self.ask_again().await;
            }
            return outcome;
        }
        let mut denied = self.denied.clone();
        denied.mark_unchanged();
        // While the connection is down its buffer fills up, and then publishing waits for as long as it is down.
        let sending = tokio::time::timeout(self.timeout * 2, self.send(id, messages));
        tokio::select! {
            sent = sending => self.or_away(
                sent.unwrap_or_else(|_| Outcome::Ambiguous("the connection takes no messages".to_owned())),
            ),
            // A batch of which one message is not let through is incomplete.
            Ok(()) = denied.changed() => Outcome::Unavailable(
                Hindrance::Permission,
                format!("the server does not let this host publish: {}", *denied.borrow()),
            ),
        }
    }

    /// A client hears of another limit only when it connects.
    async fn ask_again(&self) {
        if let Err(error) = self.client.force_reconnect().await {
            debug!(%error, "the connection was not made anew");
        }
    }

    /// No answer is no wonder while the connection is down.
    fn or_away(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Ambiguous(cause) if self.client.connection_state() != State::Connected => {
                Outcome::Unavailable(Hindrance::Connection, format!("the connection to NATS is down: {cause}"))
            }
            other => other,
        }
    }

    /// Whether this connection may publish on `subject` of the app stream; if not, why. Nothing is stored: the message
    /// says that it is for a stream of another name, which the server refuses once it has let it through.
    pub async fn may_publish(&self, subject: String) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Stream", "nobody");
        let request = Request::new().headers(headers).timeout(Some(self.timeout));
        match self.client.send_request(subject.clone(), request).await {
            Ok(answer) => match serde_json::from_slice(&answer.payload) {
                Ok(Answer { error: Some(ApiError { err_code: EXPECTED_STREAM, .. }), .. }) => Ok(()),
                Ok(Answer { error: Some(error), .. }) => Err(error.description),
                Ok(_) | Err(_) => Err(format!("something else than the app stream answers on {subject}")),
            },
            // The server only tells the connection, in a line of its log, that it is not allowed.
            Err(error) if error.kind() == RequestErrorKind::TimedOut => {
                Err(format!("the server does not let messages on {subject} through"))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    async fn send(&self, id: &str, messages: &[Outgoing]) -> Outcome {
        let Some((last, rest)) = messages.split_last() else {
            return Outcome::Refused("an empty batch".to_owned());
        };
        for (at, message) in rest.iter().enumerate() {
            let headers = match headers_of(message, id, at + 1) {
                Ok(headers) => headers,
                Err(name) => return bad_header(&name),
            };
            let subject = Subject::from(message.subject.as_ref());
            if let Err(error) = self.client.publish_with_headers(subject, headers, message.payload.clone()).await {
                return Outcome::Ambiguous(error.to_string());
            }
            failpoint::reach("publish", "message");
        }
        let mut headers = match headers_of(last, id, messages.len()) {
            Ok(headers) => headers,
            Err(name) => return bad_header(&name),
        };
        headers.insert("Nats-Batch-Commit", "1");
        let request = Request::new().headers(headers).payload(last.payload.clone()).timeout(Some(self.timeout));
        match self.client.send_request(last.subject.to_string(), request).await {
            Ok(answer) => classify(&answer.payload),
            Err(error) => unanswered(error.kind(), error.to_string()),
        }
    }
}

/// A new id for a batch.
pub fn id() -> String {
    Uuid::new_v4().simple().to_string()
}

/// What becomes of a batch that holds a message over the server's limit, which would close the connection: it waits for the
/// limit that the server had when this host started, and is refused if it is over that, too.
fn too_large(messages: &[Outgoing], takes: usize, took: usize) -> Option<Outcome> {
    /// What the batch adds to a message's headers, at most.
    const ADDED: usize = 128;
    let size = |message: &Outgoing| message.size() - message.subject.len() + ADDED;
    let message = messages.iter().max_by_key(|message| size(message)).filter(|message| size(message) > takes)?;
    let (size, subject) = (size(message), &message.subject);
    Some(match size > took {
        true => Outcome::Refused(format!("a message of {size} bytes on {subject} is over the server's {takes}")),
        false => Outcome::Unavailable(
            Hindrance::Payload,
            format!(
                "the server's max_payload is {takes} by now, and was {took}; a message of {size} bytes on {subject} waits"
            ),
        ),
    })
}

/// What a request that got no answer from the stream says of its batch.
fn unanswered(kind: RequestErrorKind, cause: String) -> Outcome {
    match kind {
        RequestErrorKind::NoResponders => {
            Outcome::Unavailable(Hindrance::Server, "JetStream does not answer".to_owned())
        }
        RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => Outcome::Refused(cause),
        RequestErrorKind::TimedOut | RequestErrorKind::Other => Outcome::Ambiguous(cause),
    }
}

fn bad_header(name: &str) -> Outcome {
    Outcome::Refused(format!("the header {name:?} holds what no header may"))
}

/// The headers of a message; or the name of one that the client would not take, and panic on.
fn headers_of(message: &Outgoing, batch: &str, sequence: usize) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("Nats-Batch-Id"), batch);
    headers.insert(HeaderName::from_static("Nats-Batch-Sequence"), sequence.to_string());
    for (name, value) in message.headers.iter() {
        let value = HeaderValue::from_str(value).map_err(|_| name.to_string())?;
        match name {
            // These are the host's own, which need neither a copy nor a look.
            Cow::Borrowed(name) => headers.append(HeaderName::from_static(name), value),
            Cow::Owned(owned) => headers.append(HeaderName::from_str(owned).map_err(|_| owned.clone())?, value),
        }
    }
    Ok(headers)
}

/// Sorts the server's answers. The codes are those of `server/errors.json`; DESIGN's facts tell how each behaves.
fn classify(payload: &[u8]) -> Outcome {
    let answer: Answer = match serde_json::from_slice(payload) {
        Ok(answer) => answer,
        Err(error) => return Outcome::Ambiguous(format!("unreadable answer to a batch: {error}")),
    };
    let Some(ApiError { code, err_code, description }) = answer.error else {
        return match answer.seq {
            Some(sequence) => Outcome::Committed(Sequence(sequence)),
            None => Outcome::Ambiguous("answer to a batch without a sequence".to_owned()),
        };
    };
    let named = format!("{description} ({err_code})");
    match err_code {
        // Wrong last sequence; wrong last sequence constant: a guard.
        10071 | 10164 => Outcome::GuardRejected,
        // Batch incomplete: messages got lost on the way, or the batch is far too large.
        10176 => Outcome::Ambiguous(named),
        // The account's limit; the server's; no storage, no memory left.
        10002 | 10023 | 10047 | 10028 => {
            Outcome::Unavailable(Hindrance::Storage, format!("JetStream's storage is full: {named}"))
        }
        // Stream offline; too many batches open; no leader; not stored.
        10118 | 10210 | 10008 | 10077 | 10122 => Outcome::Unavailable(Hindrance::Server, named),
        _ if code == 503 => Outcome::Unavailable(Hindrance::Server, named),
        _ => Outcome::Refused(named),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sorted_by_what_to_do_next() {
        let error = |code: u16, err_code: u32| {
            format!(r#"{{"error":{{"code":{code},"err_code":{err_code},"description":"d"}}}}"#)
        };
        assert_eq!(classify(br#"{"stream":"KV_a","seq":12,"batch":"b","count":3}"#), Outcome::Committed(Sequence(12)));
        assert_eq!(classify(error(400, 10071).as_bytes()), Outcome::GuardRejected);
        assert_eq!(classify(error(400, 10164).as_bytes()), Outcome::GuardRejected);
        assert!(matches!(classify(error(400, 10176).as_bytes()), Outcome::Ambiguous(_)));
        assert!(matches!(classify(error(400, 10199).as_bytes()), Outcome::Refused(_)));
        assert!(matches!(classify(error(503, 10077).as_bytes()), Outcome::Unavailable(Hindrance::Server, _)));
        for full in [(400, 10002), (503, 10023), (500, 10047)] {
            let outcome = classify(error(full.0, full.1).as_bytes());
            assert!(matches!(outcome, Outcome::Unavailable(Hindrance::Storage, _)), "{outcome:?}");
        }
        assert!(matches!(classify(b"nonsense"), Outcome::Ambiguous(_)));
    }

    #[test]
    fn a_header_that_no_header_may_hold_is_named_and_no_panic() {
        let message = |name: &'static str, value: &str| Outgoing {
            subject: "s".into(),
            headers: vec![(Cow::Borrowed("A"), "1".to_owned()), (Cow::Owned(name.to_owned()), value.to_owned())].into(),
            payload: bytes::Bytes::new(),
        };
        assert!(headers_of(&message("B", "2"), "batch", 1).is_ok());
        assert_eq!(headers_of(&message("B", "2\r\nNats-Rollup: all"), "batch", 1), Err("B".to_owned()));
        assert_eq!(headers_of(&message("B: C", "2"), "batch", 1), Err("B: C".to_owned()));
    }

    #[test]
    fn a_message_over_the_limit_waits_if_the_server_took_it_before_and_is_refused_if_not() {
        let message = |bytes: usize| Outgoing {
            subject: "s".into(),
            headers: Vec::new().into(),
            payload: bytes::Bytes::from(vec![0; bytes]),
        };
        let messages = [message(10), message(2_000), message(20)];
        assert_eq!(too_large(&messages, 4_096, 4_096), None);
        let Some(Outcome::Unavailable(Hindrance::Payload, why)) = too_large(&messages, 1_024, 4_096) else { panic!() };
        assert!(why.contains("1024") && why.contains("4096") && why.contains("2142"), "{why}");
        assert!(matches!(too_large(&messages, 1_024, 1_024), Some(Outcome::Refused(_))));
    }

    #[test]
    fn no_answer_leaves_open_what_became_of_a_batch() {
        let unanswered = |kind| unanswered(kind, "why".to_owned());
        assert_eq!(unanswered(RequestErrorKind::TimedOut), Outcome::Ambiguous("why".to_owned()));
        assert_eq!(unanswered(RequestErrorKind::Other), Outcome::Ambiguous("why".to_owned()));
        assert!(matches!(unanswered(RequestErrorKind::NoResponders), Outcome::Unavailable(..)));
        assert_eq!(unanswered(RequestErrorKind::MaxPayloadExceeded), Outcome::Refused("why".to_owned()));
    }
}
