//! `GET /events`: emitted events as server-sent events, from a position on and without gaps.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use super::params::{Params, bad};
use super::views::name;
use super::{Problem, Served};
use crate::cloudevents;
use crate::config::From;
use crate::event::{Mark, Message, Sequence};
use crate::source::reader::{self, Item};
use crate::source::{Error, InputStream};
use crate::subject::Subjects;
use crate::tap::is_counted;

/// How often a stream without events says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long a client waits before it asks again after the stream broke.
const RETRY: Duration = Duration::from_secs(2);

/// Emitted events as they come. With `Last-Event-ID`, or `since`, those before too.
pub async fn events(State(served): State<Served>, params: Params, headers: HeaderMap) -> Result<Response, Problem> {
    let params = params.only(&["category", "type", "key", "since"])?;
    let since = params.one("since")?.map_or(Ok(From::New), since)?;
    let last = headers.get("last-event-id").map(|last| last.to_str().unwrap_or_default());
    let last = last.filter(|last| !last.is_empty()).map(|last| {
        last.parse().map(Sequence).map_err(|_| bad(format!("Last-Event-ID {last:?} is no position in the app stream")))
    });
    let last = last.transpose()?;
    let filters = filters(served.query.subjects(), &params)?;
    let full = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many streams of events: close one, or ask later");
    let place = served.streams.clone().try_acquire_owned().map_err(full)?;
    let away = |error: Error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
    let stream = InputStream::open(&served.connections.jetstream(), &served.query.subjects().stream()).await;
    let stream = stream.map_err(away)?;
    let end = stream.start(From::New).await.map_err(away)?;
    let after = match last {
        Some(last) if last > end.sequence => {
            return Err(bad(format!("Last-Event-ID {last} is beyond the app stream's end, {}", end.sequence)));
        }
        Some(last) => Mark { sequence: last, fingerprint: None },
        None => stream.start(since).await.map_err(away)?,
    };
    let feed = Feed {
        messages: reader::spawn(stream, filters, after),
        subjects: served.query.subjects().clone(),
        kinds: params.all("type"),
        shutdown: served.shutdown,
        _place: place,
    };
    Ok(Sse::new(feed.sent()).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

/// The subjects of the events that are asked for.
fn filters(subjects: &Subjects, params: &Params) -> Result<Vec<String>, Problem> {
    let categories = params.all("category").iter().map(|category| name(category)).collect::<Result<Vec<_>, _>>()?;
    let keys = params.all("key");
    if keys.iter().any(String::is_empty) {
        return Err(bad("key is empty: leave it out for the events of all keys"));
    }
    let any = |all: usize| all == 0;
    let categories: Vec<_> = categories.iter().map(Some).chain(any(categories.len()).then_some(None)).collect();
    let keys: Vec<_> = keys.iter().map(|key| Some(key.as_str())).chain(any(keys.len()).then_some(None)).collect();
    if categories.len() * keys.len() > MOST_FILTERS {
        return Err(bad(format!("at most {MOST_FILTERS} combinations of category and key")));
    }
    let each = categories.iter().flat_map(|category| keys.iter().map(|key| subjects.events_of(*category, *key)));
    let mut filters: Vec<String> = each.collect();
    filters.sort();
    filters.dedup();
    Ok(filters)
}

/// The server looks through them for each message.
const MOST_FILTERS: usize = 100;

fn since(text: &str) -> Result<From, Problem> {
    let no_time =
        |_| bad(format!("since={text:?} is not first, new, a position from 1, or a time like 2026-01-31T00:00:00Z"));
    match (text, text.parse()) {
        ("first", _) => Ok(From::First),
        ("new", _) => Ok(From::New),
        (_, Ok(sequence)) if sequence > 0 => Ok(From::Sequence(Sequence(sequence))),
        _ => {
            let time = OffsetDateTime::parse(text, &Rfc3339).map_err(no_time)?;
            is_counted(time).then_some(From::Time(time)).ok_or_else(|| bad("the server counts time from 1970 to 2262"))
        }
    }
}

/// Events on their way to one client.
struct Feed {
    messages: mpsc::Receiver<Result<Item, Error>>,
    subjects: Subjects,
    kinds: Vec<String>,
    shutdown: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Feed {
    fn sent(self) -> impl Stream<Item = Result<Sent, Infallible>> {
        // A first event without data, so that the client sees the stream begin.
        let begin = stream::iter([Ok(Sent::default().retry(RETRY).comment("events"))]);
        begin.chain(stream::unfold(self, async |mut feed| Some((Ok(feed.next().await?), feed))))
    }

    async fn next(&mut self) -> Option<Sent> {
        loop {
            match self.shutdown.run_until_cancelled(self.messages.recv()).await?? {
                Ok(Item::Message(read)) => {
                    if let Some(sent) = self.shown(&read.message) {
                        return Some(sent);
                    }
                }
                Ok(Item::Pending(_) | Item::Moved(_)) => {}
                Err(error) => {
                    tracing::warn!(%error, "a stream of events ends");
                    return None;
                }
            }
        }
    }

    /// A message as it is sent; none if it is not asked for, or no event.
    fn shown(&self, message: &Message) -> Option<Sent> {
        let event = cloudevents::decode(&self.subjects.stream(), message).ok()?;
        if !self.kinds.is_empty() && !self.kinds.contains(&event.kind) {
            return None;
        }
        let (category, key) = self.subjects.event_on(&message.subject)?;
        let more = [("peltoncategory", category), ("peltonkey", key), ("peltonsequence", message.sequence.to_string())];
        Some(Sent::default().id(message.sequence.to_string()).data(cloudevents::structured(&event, &more)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_word_a_position_or_a_time() {
        assert_eq!(since("first"), Ok(From::First));
        assert_eq!(since("7"), Ok(From::Sequence(Sequence(7))));
        assert!(matches!(since("2026-01-31T00:00:00Z"), Ok(From::Time(_))));
        for bad in ["", "0", "-1", "yesterday", "1960-01-01T00:00:00Z", "2500-01-01T00:00:00Z"] {
            assert!(since(bad).is_err(), "{bad}");
        }
    }
}
