//! Shows what flows through an app while it does: inputs, events, view writes, dead letters and commits of modules.
//!
//! Reads what the streams hold, so it sees what is stored and nothing else: an input that is tried again is one input. It
//! writes nothing, and a slow reader holds up no module.

mod data;
mod item;
mod merge;
mod wish;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, stream};
use tokio::sync::mpsc;

pub use self::data::{Beginning, Data};
pub use self::item::{Item, What, effect, inputs};
use self::merge::Merge;
pub use self::wish::{DATA, Since, Wish, is_counted};
use crate::commit::record::Record;
use crate::config::From;
use crate::event::{Message, Sequence};
use crate::query::{self, Query};
use crate::source::{self, InputStream, Routing, reader, union};
use crate::subject::Subjects;

/// How long what one stream gave waits for what another is said to have. Messages may be removed before they are read.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why nothing can be shown, or no more.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(transparent)]
    Query(#[from] query::Error),
    #[error(transparent)]
    Input(#[from] source::Error),
    #[error("the modules read several streams: say of which one the position is, as in {0}:{1}")]
    WhichStream(String, Sequence),
    #[error("stream {stream} holds no message {sequence}; it holds those up to {last}")]
    NoMessage { stream: String, sequence: Sequence, last: Sequence },
}

/// Shows what `wish` asks for, as it is stored. The past comes in the order in which it was stored; then whatever comes
/// is given at once. Ends with an error when a stream is not what it was; interruptions of the connection it sits out.
///
/// Modules that are deployed later are not seen: open it again for those.
pub async fn open(query: &Query, wish: Wish) -> Result<impl Stream<Item = Result<Item, Error>> + Send + use<>, Error> {
    let records = query.records_of(&wish.modules).await?;
    let from = begin(query, &records, &wish.since).await?;
    let mut sources = Vec::new();
    // First, since an emitted event is one before it is an input.
    let filters = effects_of(query.subjects(), &records, &wish.what);
    if !filters.is_empty() {
        let shows = Shows::Effects(query.subjects().clone(), records.clone());
        let stream = query.subjects().stream();
        sources.push(Source::open(query, &from, stream, filters, shows).await?);
    }
    if wish.what.contains(&What::Input) {
        for (name, modules) in by_stream(&records) {
            let filters = union(modules.iter().map(|routing| &routing.input));
            sources.push(Source::open(query, &from, name, filters, Shows::Inputs(modules)).await?);
        }
    }
    let merge = Merge::new(sources.len());
    let tap = Tap { merge, sources, wish, ready: Vec::new().into_iter(), turn: 0, ended: false };
    Ok(stream::unfold(tap, async |mut tap| tap.next().await.map(|item| (item, tap))))
}

/// The modules that read each stream.
fn by_stream(records: &[Record]) -> BTreeMap<String, Vec<Routing>> {
    let mut streams: BTreeMap<String, Vec<Routing>> = BTreeMap::new();
    for record in records {
        streams.entry(record.stream.clone()).or_default().push(Routing::of_record(record));
    }
    streams
}

/// The subjects of the app stream on which `what` of the modules stands.
fn effects_of(subjects: &Subjects, records: &[Record], what: &BTreeSet<What>) -> Vec<String> {
    let of = |what: &What| -> Vec<String> {
        let names = records.iter().map(|record| &record.module);
        match what {
            What::Input => Vec::new(),
            What::Event => vec![subjects.all_events()],
            What::View => {
                records.iter().flat_map(|record| &record.views).map(|view| subjects.view_generations(view)).collect()
            }
            What::DeadLetter => names.map(|module| subjects.dead_letters(Some(module))).collect(),
            What::Commit => names.map(|module| subjects.checkpoints(module)).collect(),
        }
    };
    // The server refuses a filter that is there twice.
    what.iter().flat_map(of).collect::<BTreeSet<String>>().into_iter().collect()
}

/// Where each stream begins: the one that a position is of there, all others at the time of that message.
struct Begin {
    at: From,
    exactly: Option<(String, Sequence)>,
}

impl Begin {
    fn of(&self, stream: &str) -> From {
        match &self.exactly {
            Some((name, sequence)) if name == stream => From::Sequence(*sequence),
            _ => self.at,
        }
    }
}

async fn begin(query: &Query, records: &[Record], since: &Since) -> Result<Begin, Error> {
    let (stream, sequence) = match since {
        Since::Now => return Ok(Begin { at: From::New, exactly: None }),
        Since::First => return Ok(Begin { at: From::First, exactly: None }),
        Since::Time(time) => return Ok(Begin { at: From::Time(*time), exactly: None }),
        Since::Sequence(stream, sequence) => (stream.clone(), *sequence),
    };
    let stream = match stream {
        Some(stream) => stream,
        None => the_stream(&query.subjects().stream(), records, sequence)?,
    };
    let opened = query.stream(&stream).await?;
    let message = opened.message(sequence).await?;
    let message = message.ok_or_else(|| Error::NoMessage { stream: stream.clone(), sequence, last: opened.last() })?;
    Ok(Begin { at: From::Time(message.stored), exactly: Some((stream, sequence)) })
}

/// The one stream that the modules read; that of the app counts only if they read nothing else.
fn the_stream(app_stream: &str, records: &[Record], sequence: Sequence) -> Result<String, Error> {
    let streams: BTreeSet<&str> = records.iter().map(|record| record.stream.as_str()).collect();
    let mut others = streams.into_iter().filter(|stream| *stream != app_stream);
    match (others.next(), others.next()) {
        (None, _) => Ok(app_stream.to_owned()),
        (Some(only), None) => Ok(only.to_owned()),
        (Some(first), Some(_)) => Err(Error::WhichStream(first.to_owned(), sequence)),
    }
}

/// A stream that is read, and what its messages show.
struct Source {
    name: String,
    shows: Shows,
    reader: mpsc::Receiver<Result<reader::Item, source::Error>>,
}

enum Shows {
    Inputs(Vec<Routing>),
    Effects(Subjects, Vec<Record>),
}

impl Source {
    async fn open(
        query: &Query,
        from: &Begin,
        name: String,
        filters: Vec<String>,
        shows: Shows,
    ) -> Result<Self, Error> {
        let stream: InputStream = query.stream(&name).await?;
        let after = stream.start(from.of(&name)).await?;
        Ok(Self { name, shows, reader: reader::spawn(stream, filters, after) })
    }

    fn items(&self, message: &Arc<Message>, largest: usize) -> Vec<Item> {
        match &self.shows {
            Shows::Inputs(modules) => item::inputs(&self.name, message, modules, largest),
            Shows::Effects(subjects, records) => {
                item::effect(subjects, message, records, largest).into_iter().collect()
            }
        }
    }
}

/// What is open.
struct Tap {
    wish: Wish,
    sources: Vec<Source>,
    merge: Merge<Vec<Item>>,
    ready: std::vec::IntoIter<Item>,
    /// The source that is asked first: each in turn, so that none starves.
    turn: usize,
    ended: bool,
}

impl Tap {
    async fn next(&mut self) -> Option<Result<Item, Error>> {
        loop {
            if let Some(item) = self.ready.next() {
                return Some(Ok(item));
            }
            if let Some(items) = self.merge.pop() {
                self.ready = items.into_iter();
                continue;
            }
            if self.ended {
                return None;
            }
            let next = std::future::poll_fn(|context| self.poll(context));
            let Ok((at, given)) = tokio::time::timeout(PATIENCE, next).await else {
                self.merge.give_up_waiting();
                continue;
            };
            match given {
                Some(Ok(reader::Item::Pending(pending))) => self.merge.pending(at, pending),
                Some(Ok(reader::Item::Moved(_))) => {}
                Some(Ok(reader::Item::Message(read))) => self.take(at, &read),
                Some(Err(error)) => {
                    self.ended = true;
                    return Some(Err(error.into()));
                }
                None => self.ended = true,
            }
        }
    }

    fn take(&mut self, at: usize, read: &reader::Read) {
        let Some(source) = self.sources.get(at) else { return };
        let mut items = source.items(&read.message, self.wish.largest);
        items.retain(|item| self.wish.takes(item));
        self.merge.push(at, read.message.stored, items, read.pending);
    }

    /// Waits for the first of the sources that should give more.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<(usize, Option<Result<reader::Item, source::Error>>)> {
        let count = self.sources.len();
        for at in (0..count).map(|step| (self.turn + step) % count).filter(|at| self.merge.wants(*at)) {
            let Some(source) = self.sources.get_mut(at) else { continue };
            if let Poll::Ready(given) = source.reader.poll_recv(context) {
                self.turn = at + 1;
                return Poll::Ready((at, given));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
