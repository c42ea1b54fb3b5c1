//! Reads an app back for people and programs: modules, views, dead letters. Writes nothing.

pub mod letters;
mod owners;
pub mod views;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_nats::jetstream::{self, consumer::DeliverPolicy};
use serde::Serialize;
use time::OffsetDateTime;

use crate::commit::app_stream;
use crate::commit::audit::Letter;
use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::commit::read::{self, Reader};
use crate::commit::record::Record;
use crate::dlq::{DeadLetter, Selection};
use crate::event::Sequence;
use crate::lag::Lag;
use crate::lane::views::Fetch;
use crate::route::{self, Filter};
use crate::source::{self, InputStream};
use crate::subject::{Name, Subjects};

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(transparent)]
    AppStream(#[from] app_stream::Error),
    #[error(transparent)]
    Read(#[from] read::Error),
    #[error(transparent)]
    Input(#[from] source::Error),
    #[error("app {0:?} has no stream yet: start it with `pelton run`")]
    NoApp(String),
    #[error("app {app:?} has no {what} {name:?}; `pelton {command}` lists those that it has")]
    Unknown { app: String, what: &'static str, name: String, command: &'static str },
    #[error("cannot list {what}: {cause}")]
    List { what: String, cause: String },
    #[error(
        "the values of the view {view:?} that are asked for take more than {most} bytes: ask for fewer keys at once; one \
         that is too large by itself comes over HTTP at /views/{view}/KEY, and from the bucket"
    )]
    TooLarge { view: String, most: usize },
}

/// A module and its lanes.
#[derive(Debug, Serialize)]
pub struct ModuleState {
    /// Its record.
    #[serde(flatten)]
    pub record: Record,
    /// The checkpoints of its lanes, by number.
    pub checkpoints: Vec<Checkpoint>,
    /// Inputs that the lane furthest behind has before it; none if its stream cannot be read.
    pub lag: Option<u64>,
}

/// Reads one app.
pub struct Query {
    app: Name,
    subjects: Subjects,
    context: jetstream::Context,
    reader: Reader,
}

impl Query {
    /// Opens the app's stream.
    pub async fn open(context: jetstream::Context, app: &Name) -> Result<Self, Error> {
        let subjects = Subjects::new(app);
        let reader = app_stream::find(&context, &subjects).await?.ok_or_else(|| Error::NoApp(app.to_string()))?;
        Ok(Self::of(app, context, reader))
    }

    /// Reads the app whose stream is open already.
    pub fn of(app: &Name, context: jetstream::Context, reader: Reader) -> Self {
        Self { app: app.clone(), subjects: Subjects::new(app), context, reader }
    }

    /// The app.
    pub fn app(&self) -> &Name {
        &self.app
    }

    /// The app's subjects.
    pub fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// What reads the app stream.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// How a guest that is tried reads views: from the leader, on a thread that may wait.
    pub fn fetch(&self) -> Fetch {
        let (reader, runtime) = (self.reader.clone(), tokio::runtime::Handle::current());
        Arc::new(move |subject, _| runtime.block_on(reader.view(subject, true)).map_err(|error| error.to_string()))
    }

    /// The records of all modules, by name. A view stands only in that of its owner.
    pub async fn records(&self) -> Result<Vec<Record>, Error> {
        let mut records = Vec::new();
        for subject in self.subjects_of(&self.subjects.modules()).await? {
            records.extend(self.reader.last_json::<Record>(&subject).await?);
        }
        Ok(owners::owned(records))
    }

    /// The names of all modules that have a record.
    pub async fn module_names(&self) -> Result<Vec<Name>, Error> {
        let subjects = self.subjects_of(&self.subjects.modules()).await?;
        Ok(subjects.iter().filter_map(|subject| subject.rsplit('.').next()?.parse().ok()).collect())
    }

    /// All modules, by name.
    pub async fn modules(&self) -> Result<Vec<ModuleState>, Error> {
        let mut modules = Vec::new();
        for record in self.records().await? {
            modules.push(self.state(record).await?);
        }
        Ok(modules)
    }

    /// The records of the modules of these names, or of all if there are none.
    pub async fn records_of(&self, names: &BTreeSet<Name>) -> Result<Vec<Record>, Error> {
        let mut records = self.records().await?;
        let is_unknown = |name: &&Name| !records.iter().any(|record| record.module == **name);
        if let Some(name) = names.iter().find(is_unknown) {
            return Err(self.unknown("module", name.to_string(), "module ls"));
        }
        records.retain(|record| names.is_empty() || names.contains(&record.module));
        Ok(records)
    }

    /// Opens a stream of the app: one that modules read, or the app stream.
    pub async fn stream(&self, name: &str) -> Result<InputStream, Error> {
        Ok(InputStream::open(&self.context, name).await?)
    }

    /// The module of that name.
    pub async fn module(&self, name: &Name) -> Result<ModuleState, Error> {
        self.state(self.record(name).await?).await
    }

    /// The record of the module of that name.
    pub async fn record(&self, name: &Name) -> Result<Record, Error> {
        let stored = self.reader.last_json::<Record>(&self.subjects.module(name)).await?;
        let unknown = || self.unknown("module", name.to_string(), "module ls");
        stored.map(|stored| stored.value).ok_or_else(unknown)
    }

    /// Up to where all lanes of the module of that name are done.
    pub async fn covered(&self, name: &Name) -> Result<Sequence, Error> {
        let record = self.record(name).await?;
        Ok(covered(&self.checkpoints(&record).await?))
    }

    async fn checkpoints(&self, record: &Record) -> Result<Vec<Checkpoint>, Error> {
        let mut checkpoints = Vec::new();
        for lane in 0..record.lanes {
            let subject = self.subjects.checkpoint(&record.module, record.generation, lane);
            checkpoints.extend(self.reader.last_json(&subject).await?.map(|stored: Stored<Checkpoint>| stored.value));
        }
        Ok(checkpoints)
    }

    async fn state(&self, record: Record) -> Result<ModuleState, Error> {
        let checkpoints = self.checkpoints(&record).await?;
        let lag = self.lag(&record, &checkpoints).await.ok();
        Ok(ModuleState { record, checkpoints, lag })
    }

    async fn lag(&self, record: &Record, checkpoints: &[Checkpoint]) -> Result<u64, source::Error> {
        let start_sequence = covered(checkpoints).next().0;
        let stream = InputStream::open(&self.context, &record.stream).await?;
        stream.count(DeliverPolicy::ByStartSequence { start_sequence }, &Filter::texts(&record.filters)).await
    }

    /// How far behind the modules of these names are at `now`.
    pub async fn lags(&self, modules: &[Name], now: OffsetDateTime) -> Result<Vec<Lag>, Error> {
        let mut lags = Vec::new();
        for name in modules {
            let stored = self.reader.last_json::<Record>(&self.subjects.module(name)).await?;
            let never = Lag { module: name.clone(), state: None, messages: None, seconds: None };
            lags.push(match stored {
                Some(stored) => self.aged(self.state(stored.value).await?, now).await,
                None => never,
            });
        }
        Ok(lags)
    }

    /// The lag of a module, with how long its oldest input has waited.
    async fn aged(&self, ModuleState { record, checkpoints, lag }: ModuleState, now: OffsetDateTime) -> Lag {
        let seconds = match lag {
            Some(0) => Some(0.0),
            Some(_) => {
                let oldest = self.oldest_waiting(&record, &checkpoints).await.ok().flatten();
                oldest.map(|stored| (now - stored).as_seconds_f64().max(0.0))
            }
            None => None,
        };
        Lag { module: record.module, state: Some(record.state), messages: lag, seconds }
    }

    /// When the first input that waits for a module was stored.
    async fn oldest_waiting(
        &self,
        record: &Record,
        checkpoints: &[Checkpoint],
    ) -> Result<Option<OffsetDateTime>, source::Error> {
        let stream = InputStream::open(&self.context, &record.stream).await?;
        let first = stream.first_behind(covered(checkpoints), &Filter::texts(&record.filters)).await?;
        Ok(first.map(|message| message.stored))
    }

    /// Dead letters that `selection` takes, in the order of modules, lanes and inputs.
    pub async fn dead_letters(&self, selection: &Selection) -> Result<Vec<DeadLetter>, Error> {
        let mut letters = Vec::new();
        for subject in self.subjects_of(&self.subjects.dead_letters(selection.module.as_ref())).await? {
            letters.extend(self.reader.last_json::<DeadLetter>(&subject).await?.map(|stored| stored.value));
        }
        letters.retain(|letter| selection.takes(letter));
        letters.sort_by(|one, other| {
            (&one.module, one.lane, one.sequence).cmp(&(&other.module, other.lane, other.sequence))
        });
        Ok(letters)
    }

    /// One dead letter.
    pub async fn dead_letter(&self, module: &Name, lane: u16, sequence: Sequence) -> Result<DeadLetter, Error> {
        let subject = self.subjects.dead_letter(module, lane, sequence.0);
        let stored = self.reader.last_json::<DeadLetter>(&subject).await?;
        let name = || format!("{module} {lane} {sequence}");
        stored.map(|stored| stored.value).ok_or_else(|| self.unknown("dead letter", name(), "dlq ls"))
    }

    /// The lane that a dead letter's key has now. Another one wrote it, if the number of lanes was changed since.
    pub async fn lane_of(&self, letter: &Letter) -> Result<u16, Error> {
        let record = self.record(&letter.module).await?;
        if record.scaled.is_empty() {
            return Ok(letter.lane);
        }
        let subject = self.subjects.dead_letter(&letter.module, letter.lane, letter.sequence.0);
        let stored = self.reader.last_json::<DeadLetter>(&subject).await?;
        let lane = |letter: &DeadLetter| route::lane_of(letter.key.as_deref().unwrap_or(&letter.subject), record.lanes);
        Ok(stored.map_or(letter.lane % record.lanes, |stored| lane(&stored.value)))
    }

    fn unknown(&self, what: &'static str, name: String, command: &'static str) -> Error {
        Error::Unknown { app: self.app.to_string(), what, name, command }
    }

    /// The subjects under `filter` that hold something, in order.
    async fn subjects_of(&self, filter: &str) -> Result<Vec<String>, Error> {
        Ok(self.reader.subjects(filter).await.map_err(read::Error::from)?)
    }
}

/// Up to here all lanes are done.
fn covered(checkpoints: &[Checkpoint]) -> Sequence {
    checkpoints.iter().map(|checkpoint| checkpoint.covered).min().unwrap_or_default()
}
