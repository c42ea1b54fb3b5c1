//! What a stored message is, what caused it and what it caused. Reads the streams of an app, and writes nothing.
//!
//! Emitted events name their input (`Pelton-Input`), and dead letters stand on a subject that does. Values of views name
//! nothing: of those, what stands under the input's key by now is given.

mod told;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

pub use self::told::{Attributes, Told};
use crate::commit::read;
use crate::commit::record::Record;
use crate::config::{Config, From};
use crate::event::{Message, Sequence, rfc3339};
use crate::query::{self, Query};
use crate::source::reader;
use crate::subject::{Name, Place};
use crate::tap::{Item, effect, inputs};

/// Where emitted events name their input.
const INPUT_HEADER: &str = "Pelton-Input";
/// The most steps back to what began it all; more than modules may feed each other.
const STEPS: usize = 100;
/// The most events that are looked through for what a message caused, and how long that may take.
const MOST_SCANNED: usize = 5_000;
const LONGEST_SCAN: Duration = Duration::from_secs(3);
/// The most that one message is shown to have caused.
const MOST_CAUSED: usize = 200;
/// Bytes of data that are shown of the message, and of what caused it and what it caused.
const LARGEST: usize = 256 << 10;
const PREVIEW: usize = 512;

/// A stored message with its causes and its effects.
#[derive(Debug, Serialize)]
pub struct Story {
    /// The message.
    #[serde(flatten)]
    pub message: Told,
    /// Names and values of its headers.
    pub headers: Vec<(String, String)>,
    /// How each module that takes it sees it.
    pub taken_by: Vec<Item>,
    /// What it is in the app stream: an event, a view's value, a dead letter, a commit; none in other streams.
    pub made_by: Option<Item>,
    /// What caused it, the nearest first.
    pub causes: Vec<Told>,
    /// Where the next cause would stand, if it is not there any more.
    pub lost: Option<String>,
    /// What it caused.
    pub effects: Effects,
}

/// What a message caused.
#[derive(Debug, Default, Serialize)]
pub struct Effects {
    /// Events, by position.
    pub events: Vec<Item>,
    /// Dead letters that it became.
    pub dead_letters: Vec<Item>,
    /// What stands under its key in the views of modules that take it, written after it. Other inputs of that key may have
    /// written since.
    pub values: Vec<Item>,
    /// How many events were looked through.
    pub scanned: usize,
    /// Whether those were all that could be of it.
    pub complete: bool,
}

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(transparent)]
    Query(#[from] query::Error),
    #[error("stream {0:?} is none of this app's: its modules read {1}")]
    OtherStream(String, String),
    #[error("stream {0} holds no message {1}: it was removed, or is yet to come")]
    NoMessage(String, Sequence),
}

/// Tells of the message at `sequence` of `stream`, which must be one that the app's modules read, or the app stream.
pub async fn tell(query: &Query, config: &Config, stream: &str, sequence: Sequence) -> Result<Story, Error> {
    let teller = Teller { query, config, records: query.records().await? };
    let known = teller.streams();
    if !known.contains(stream) {
        return Err(Error::OtherStream(stream.to_owned(), known.into_iter().collect::<Vec<_>>().join(", ")));
    }
    let message = teller.message(stream, sequence).await?;
    let message = message.ok_or_else(|| Error::NoMessage(stream.to_owned(), sequence))?;
    let taken_by = teller.taken_by(stream, &message);
    let (causes, lost) = teller.causes(stream, &message).await?;
    Ok(Story {
        made_by: teller.made_by(stream, &message, LARGEST),
        effects: teller.effects(stream, &message, &taken_by).await?,
        message: Told::of(stream, &message, LARGEST),
        headers: message.headers.clone(),
        taken_by,
        causes,
        lost,
    })
}

struct Teller<'a> {
    query: &'a Query,
    config: &'a Config,
    records: Vec<Record>,
}

impl Teller<'_> {
    fn app_stream(&self) -> String {
        self.query.subjects().stream()
    }

    fn streams(&self) -> BTreeSet<String> {
        let read = self.records.iter().map(|record| record.stream.clone());
        read.chain([self.app_stream()]).collect()
    }

    async fn message(&self, stream: &str, sequence: Sequence) -> Result<Option<Arc<Message>>, Error> {
        let opened = self.query.stream(stream).await?;
        Ok(opened.message(sequence).await.map_err(query::Error::from)?.map(Arc::new))
    }

    fn taken_by(&self, stream: &str, message: &Arc<Message>) -> Vec<Item> {
        let of_stream = self.records.iter().filter(|record| record.stream == stream);
        let routings: Vec<_> = of_stream.map(crate::source::Routing::of_record).collect();
        inputs(stream, message, &routings, 0)
    }

    fn made_by(&self, stream: &str, message: &Message, largest: usize) -> Option<Item> {
        (stream == self.app_stream()).then(|| effect(self.query.subjects(), message, &self.records, largest))?
    }

    /// Where the input stands that caused `message`. Only the app stream is believed: nobody but Pelton writes there.
    fn cause_of(&self, stream: &str, message: &Message) -> Option<(String, Sequence)> {
        if stream != self.app_stream() {
            return None;
        }
        let position = match self.query.subjects().place(&message.subject)? {
            Place::Event { .. } => message.header(INPUT_HEADER)?.to_owned(),
            Place::DeadLetter { .. } => self.made_by(stream, message, 0)?.causation?,
            Place::View { .. } | Place::Checkpoint { .. } => return None,
        };
        let (stream, sequence) = position.rsplit_once(':')?;
        Some((stream.to_owned(), Sequence(sequence.parse().ok()?)))
    }

    /// The way back to what began it all, and where it breaks off if something is gone.
    async fn causes(&self, stream: &str, message: &Message) -> Result<(Vec<Told>, Option<String>), Error> {
        let (known, mut causes) = (self.streams(), Vec::new());
        let mut next = self.cause_of(stream, message);
        while let Some((stream, sequence)) = next {
            let place = format!("{stream}:{sequence}");
            if causes.len() == STEPS || !known.contains(&stream) {
                return Ok((causes, Some(place)));
            }
            let Some(message) = self.message(&stream, sequence).await? else { return Ok((causes, Some(place))) };
            causes.push(Told::of(&stream, &message, PREVIEW));
            next = self.cause_of(&stream, &message);
        }
        Ok((causes, None))
    }

    async fn effects(&self, stream: &str, message: &Message, taken_by: &[Item]) -> Result<Effects, Error> {
        if taken_by.is_empty() {
            return Ok(Effects { complete: true, ..Effects::default() });
        }
        let mut effects = self.events(stream, message, taken_by).await?;
        for input in taken_by {
            effects.dead_letters.extend(self.dead_letter(input).await?);
            effects.values.extend(self.values(input, message).await?);
        }
        Ok(effects)
    }

    /// Events that name the message as their input, among those that were stored after it.
    async fn events(&self, stream: &str, message: &Message, taken_by: &[Item]) -> Result<Effects, Error> {
        let mut effects = Effects { complete: true, ..Effects::default() };
        let subjects = self.query.subjects();
        let takes = |name: &Name| taken_by.iter().any(|item| item.module == *name);
        let modules = self.config.modules.iter().filter(|module| takes(&module.name));
        let categories: BTreeSet<_> = modules.flat_map(|module| module.grants.emits.keys()).collect();
        if categories.is_empty() {
            return Ok(effects);
        }
        let filters = categories.into_iter().map(|category| subjects.events(category)).collect();
        let opened = self.query.stream(&self.app_stream()).await?;
        let after = opened.start(From::Time(message.stored)).await.map_err(query::Error::from)?;
        let mut read = reader::spawn(opened, filters, after);
        let position = format!("{stream}:{}", message.sequence);
        let scan = async {
            while let Some(given) = read.recv().await {
                let (message, pending) = match given.map_err(query::Error::from)? {
                    reader::Item::Pending(0) => return Ok(true),
                    reader::Item::Pending(_) | reader::Item::Moved(_) => continue,
                    reader::Item::Message(read) => (read.message, read.pending),
                };
                effects.scanned += 1;
                if message.header(INPUT_HEADER) == Some(&position) {
                    effects.events.extend(self.made_by(&self.app_stream(), &message, PREVIEW));
                }
                if pending == 0 || effects.scanned == MOST_SCANNED || effects.events.len() == MOST_CAUSED {
                    return Ok(pending == 0);
                }
            }
            Ok(false)
        };
        let scanned: Result<Result<bool, Error>, _> = tokio::time::timeout(LONGEST_SCAN, scan).await;
        effects.complete = scanned.unwrap_or(Ok(false))?;
        Ok(effects)
    }

    /// The dead letter that an input became.
    async fn dead_letter(&self, input: &Item) -> Result<Option<Item>, Error> {
        let Some(lane) = input.lane else { return Ok(None) };
        self.last(&self.query.subjects().dead_letter(&input.module, lane, input.sequence.0)).await
    }

    /// What stands under the input's key in its module's views, if it was written after the input was stored.
    async fn values(&self, input: &Item, message: &Message) -> Result<Vec<Item>, Error> {
        let Some(record) = self.records.iter().find(|record| record.module == input.module) else {
            return Ok(Vec::new());
        };
        let Some(key) = input.key.as_ref().filter(|key| !key.is_empty()) else { return Ok(Vec::new()) };
        let mut values = Vec::new();
        for view in &record.views {
            let subject = self.query.subjects().view_value(view, record.generation, key);
            values.extend(self.last(&subject).await?.filter(|item| item.time >= rfc3339(message.stored)));
        }
        Ok(values)
    }

    /// What stands last on a subject of the app stream.
    async fn last(&self, subject: &str) -> Result<Option<Item>, Error> {
        let last =
            self.query.reader().last(subject).await.map_err(|error| query::Error::from(read::Error::from(error)))?;
        let Some(last) = last else { return Ok(None) };
        let stream = self.app_stream();
        let message = self.message(&stream, Sequence(last.sequence)).await?;
        Ok(message.and_then(|message| self.made_by(&stream, &message, PREVIEW)))
    }
}
