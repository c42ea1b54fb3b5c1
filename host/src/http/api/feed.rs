//! `/api/feed`: what flows through the app, as server-sent events for people. Whoever watches a busy app sees its newest
//! items, and how many were left out.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use clap::ValueEnum;
use futures::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::http::params::{Params, bad};
use crate::http::views::name;
use crate::http::{Problem, Served};
use crate::tap::{self, Error, Item, What, Wish};

/// How often items are sent, all that came since together.
const TICK: Duration = Duration::from_millis(250);
/// The most items that are sent at a time: more than this nobody reads.
const MOST: usize = 50;
/// Bytes of data that are shown of an item.
const DATA: usize = 400;
/// How often a feed without items says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Items as they are stored, of the modules, kinds, key and type that are asked for.
pub async fn feed(State(served): State<Served>, params: Params) -> Result<Response, Problem> {
    let wish = wish(&params.only(&["module", "kind", "key", "type", "since"])?)?;
    let full = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many streams of events: close one, or ask later");
    let place = served.streams.clone().try_acquire_owned().map_err(full)?;
    let items = tap::open(&served.query, wish).await?;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let feed = Feed {
        items: Box::pin(items),
        newest: Newest::default(),
        tick,
        shutdown: served.shutdown,
        ended: false,
        _place: place,
    };
    Ok(Sse::new(feed.sent()).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response())
}

fn wish(params: &Params) -> Result<Wish, Problem> {
    let modules = params.all("module").iter().map(|module| name(module)).collect::<Result<BTreeSet<_>, _>>()?;
    let kind = |text: &String| What::from_str(text, false).map_err(|_| bad(format!("kind={text:?} is none")));
    let what = params.all("kind").iter().map(kind).collect::<Result<BTreeSet<_>, _>>()?;
    let since = params.one("since")?.map(|since| since.parse().map_err(|why: String| bad(why))).transpose()?;
    let usual = Wish::default();
    Ok(Wish {
        modules,
        what: if what.is_empty() { usual.what } else { what },
        key: params.one("key")?.map(str::to_owned),
        kind: params.one("type")?.map(str::to_owned),
        since: since.unwrap_or(usual.since),
        largest: DATA,
    })
}

/// The newest of the items that came since the last were sent.
#[derive(Debug, Default, Serialize)]
struct Newest {
    items: VecDeque<Item>,
    /// How many came besides.
    skipped: u64,
}

impl Newest {
    fn push(&mut self, item: Item) {
        self.items.push_back(item);
        if self.items.len() > MOST {
            self.items.pop_front();
            self.skipped += 1;
        }
    }
}

/// A feed for one client.
struct Feed<S> {
    items: Pin<Box<S>>,
    newest: Newest,
    tick: Interval,
    shutdown: CancellationToken,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl<S: Stream<Item = Result<Item, Error>> + Send> Feed<S> {
    fn sent(self) -> impl Stream<Item = Result<Sent, Infallible>> {
        // So that the client sees the feed begin.
        let begin = stream::iter([Ok(Sent::default().comment("feed"))]);
        begin.chain(stream::unfold(self, async |mut feed| Some((Ok(feed.next().await?), feed))))
    }

    async fn next(&mut self) -> Option<Sent> {
        while !self.ended {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return None,
                _ = self.tick.tick() => {
                    if !self.newest.items.is_empty() {
                        return Some(sent("items", &std::mem::take(&mut self.newest)));
                    }
                }
                item = self.items.next() => match item {
                    Some(Ok(item)) => self.newest.push(item),
                    Some(Err(error)) => {
                        self.ended = true;
                        return Some(sent("problem", &error.to_string()));
                    }
                    None => self.ended = true,
                },
            }
        }
        None
    }
}

fn sent(name: &str, data: &impl Serialize) -> Sent {
    Sent::default().event(name).data(serde_json::to_string(data).unwrap_or_default())
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Query(error) => error.into(),
            Error::WhichStream(..) | Error::NoMessage { .. } => bad(error.to_string()),
            Error::Input(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }
}
