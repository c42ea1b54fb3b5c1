//! The ledger of an app: module records and the checkpoints that begin an ownership, each written under its guard.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use time::OffsetDateTime;

use crate::commit::LaneId;
use crate::commit::audit::{self, Act, Entry};
use crate::commit::batch::{Outcome, Publisher};
use crate::commit::checkpoint::{Checkpoint, NEVER_WRITTEN, Stored};
use crate::commit::committer::{checkpoint_message, replacing};
use crate::commit::read::{self, Reader};
use crate::commit::record::{Record, Scaled, State};
use crate::dlq::{self, DeadLetter};
use crate::effects::Outgoing;
use crate::event::Sequence;
use crate::lane::parked::Letter;
use crate::ownership::{Edition, HostId};
use crate::policy::CauseKind;
use crate::subject::{Generation, Name, Subjects};

/// Why the ledger could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] read::Error),
    /// Somebody else wrote meanwhile: read again and decide anew.
    #[error(
        "somebody else wrote module record or checkpoint at the same time, perhaps a lane that finishes: try again"
    )]
    Contended,
    /// It is not stored, or it is not known whether it is: read again and decide anew.
    #[error("the app stream does not take it: {0}; look whether it was done, and try again")]
    Unanswered(String),
    /// The server refuses it.
    #[error("the app stream refuses it: {0}")]
    Refused(String),
    /// There is no such module.
    #[error("the app has no module {0:?}; `pelton module ls` lists those that it has")]
    Unknown(String),
    /// A checkpoint is not where it must be.
    #[error("the checkpoint of {0} is gone from the app stream")]
    Gone(LaneId),
}

impl Error {
    /// Whether trying again later may help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Contended | Self::Unanswered(_) => true,
            Self::Read(error) => matches!(error, read::Error::Unreadable(_)),
            Self::Refused(_) | Self::Unknown(_) | Self::Gone(_) => false,
        }
    }
}

/// Checkpoints of a module's lanes, by lane.
pub type Lanes = BTreeMap<u16, Stored<Checkpoint>>;

/// Where a module is to go on.
#[derive(Clone, Debug)]
pub struct Reset {
    /// The positions of its lanes, by number; their epochs do not matter.
    pub lanes: Vec<Checkpoint>,
    /// Whether its views begin anew, in the next generation. What the last one holds stays.
    pub views_anew: bool,
}

/// Checkpoints that are read at a time.
const AT_A_TIME: usize = 16;

/// Reads and writes the ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    subjects: Subjects,
    reader: Reader,
    publisher: Publisher,
}

impl Ledger {
    /// The ledger in the stream that `reader` reads.
    pub fn new(subjects: Subjects, reader: Reader, publisher: Publisher) -> Self {
        Self { subjects, reader, publisher }
    }

    /// The record of `module`, if it was ever deployed.
    pub async fn record(&self, module: &Name) -> Result<Option<Stored<Record>>, Error> {
        Ok(self.reader.last_json(&self.subjects.module(module)).await?)
    }

    /// The checkpoints of some of a module's lanes.
    pub async fn checkpoints(&self, record: &Record, lanes: impl IntoIterator<Item = u16>) -> Result<Lanes, Error> {
        let read = async |lane| {
            let id = LaneId { module: record.module.clone(), lane };
            Ok((lane, self.checkpoint(record, lane).await?.ok_or(Error::Gone(id))?))
        };
        futures::stream::iter(lanes).map(read).buffered(AT_A_TIME).try_collect().await
    }

    /// Writes what a module is deployed as; and, if it is new, the checkpoints that its lanes begin with. In one batch,
    /// guarded by what was read. Gives where the record stands then.
    pub async fn deploy(
        &self,
        record: &Record,
        was: Option<&Stored<Record>>,
        first: Option<&Checkpoint>,
    ) -> Result<Sequence, Error> {
        let revision = was.map_or(NEVER_WRITTEN, |was| was.revision);
        let mut batch = vec![replacing(&self.subjects.module(&record.module).into(), json(record), revision)];
        batch.extend(record.views.iter().map(|view| self.live_generation(view, record.generation)));
        for lane in first.map_or(0..0, |_| 0..record.lanes) {
            let subject = self.subjects.checkpoint(&record.module, record.generation, lane).into();
            batch.extend(first.map(|first| checkpoint_message(&subject, first, NEVER_WRITTEN)));
        }
        let last = self.write(&batch).await?;
        Ok(Sequence(last.0 + 1 - batch.len() as u64))
    }

    /// The first generation of `views` that no module has written yet.
    pub async fn next_generation(&self, views: &[Name]) -> Result<Generation, Error> {
        let mut next = Generation::default();
        for view in views {
            let live: Option<Stored<Generation>> = self.reader.last_json(&self.subjects.live_generation(view)).await?;
            next = next.max(live.map_or(next, |live| live.value.next()));
        }
        Ok(next)
    }

    /// Takes lanes of a module for `owner`: the next epoch of each checkpoint, in one batch guarded by what was read.
    pub async fn take(
        &self,
        record: &Record,
        read: Lanes,
        owner: HostId,
        lives: impl Fn(HostId) -> bool,
    ) -> Result<Lanes, Error> {
        let mut owned = Lanes::new();
        let mut batch = Vec::new();
        for (lane, Stored { value, revision }) in read {
            let subject = self.subjects.checkpoint(&record.module, record.generation, lane).into();
            let value = value.taken_over(owner, &lives);
            batch.push(checkpoint_message(&subject, &value, revision));
            owned.insert(lane, Stored { value, revision });
        }
        let last = self.write(&batch).await?;
        for (stored, revision) in owned.values_mut().zip(last.0 + 1 - batch.len() as u64..) {
            stored.revision = Sequence(revision);
        }
        Ok(owned)
    }

    /// Notes that a module stopped, and why, unless somebody else writes its record meanwhile, or an operator paused it:
    /// it stays so. Gives where its record stands then; none if nothing was to be written.
    pub async fn halt(&self, module: &Name, reason: &str) -> Result<Option<Sequence>, Error> {
        let Some(Stored { value, revision }) = self.record(module).await? else { return Ok(None) };
        if value.state != State::Running {
            return Ok(None);
        }
        let record = Record { state: State::Halted(reason.to_owned()), ..value };
        self.write(&[replacing(&self.subjects.module(module).into(), json(&record), revision)]).await.map(Some)
    }

    /// Stops a module for a while, or starts one that is paused or halted, as `who` says. False if it was so already.
    pub async fn set_paused(&self, module: &Name, paused: bool, who: &str, now: OffsetDateTime) -> Result<bool, Error> {
        let Some(Stored { value, revision }) = self.record(module).await? else {
            return Err(Error::Unknown(module.to_string()));
        };
        let (state, act) = if paused {
            (State::Paused, Act::Pause { module: module.clone() })
        } else {
            (State::Running, Act::Resume { module: module.clone() })
        };
        if value.state == state {
            return Ok(false);
        }
        let record = replacing(&self.subjects.module(module).into(), json(&Record { state, ..value }), revision);
        self.write(&[record, audit::message(&self.subjects, who, act, now)]).await.map(|_| true)
    }

    /// Notes that a module runs `plugin` from now on, by what `entry` says. Gives where its record stands then. Once only: if
    /// it was stored before, and not answered, the entry stands before the record.
    pub async fn swap(&self, module: &Name, plugin: String, entry: &Entry) -> Result<Sequence, Error> {
        let Some(Stored { value, revision }) = self.record(module).await? else {
            return Err(Error::Unknown(module.to_string()));
        };
        let entry = entry.message(&self.subjects);
        if revision.0 > 1
            && let Some(before) = self.reader.at(Sequence(revision.0 - 1)).await.map_err(read::Error::from)?
            && (&*before.subject, &before.payload) == (&*entry.subject, &entry.payload)
        {
            return Ok(revision);
        }
        let edition = Edition { plugin, ..value.edition.clone() };
        let record = replacing(&self.subjects.module(module).into(), json(&Record { edition, ..value }), revision);
        self.write(&[entry, record]).await
    }

    /// Has a module that is paused or halted go on elsewhere in its input stream, as `who` says; one that was halted
    /// starts. Whoever still runs a lane loses it.
    pub async fn reset(
        &self,
        was: Stored<Record>,
        reset: Reset,
        who: &str,
        now: OffsetDateTime,
    ) -> Result<Record, Error> {
        let Stored { value: was, revision } = was;
        let state = if was.state == State::Paused { State::Paused } else { State::Running };
        let generation = if reset.views_anew { was.generation.next() } else { was.generation };
        let record = Record { state, generation, ..was.clone() };
        let mut batch = vec![replacing(&self.subjects.module(&record.module).into(), json(&record), revision)];
        if reset.views_anew {
            batch.extend(record.views.iter().map(|view| self.live_generation(view, generation)));
        }
        for (lane, to) in (0..record.lanes).zip(&reset.lanes) {
            let found = self.checkpoint(&was, lane).await?;
            let (epoch, revision) = found.as_ref().map_or((0, NEVER_WRITTEN), |it| (it.value.epoch, it.revision));
            let mut guard = revision;
            if let Some(left) = found.filter(|_| reset.views_anew) {
                let subject = self.subjects.checkpoint(&was.module, was.generation, lane).into();
                let fenced = Checkpoint { epoch: left.value.epoch + 1, ..left.value.released() };
                batch.push(checkpoint_message(&subject, &fenced, left.revision));
                guard = NEVER_WRITTEN;
            }
            let to = Checkpoint { epoch: epoch + 1, ..to.clone() };
            let subject = self.subjects.checkpoint(&record.module, generation, lane).into();
            batch.push(checkpoint_message(&subject, &to, guard));
        }
        let to = reset.lanes.iter().map(|lane| lane.covered).min().unwrap_or_default();
        let act = Act::Reset { module: record.module.clone(), behind: to, generation };
        batch.push(audit::message(&self.subjects, who, act, now));
        self.write(&batch).await?;
        Ok(record)
    }

    /// Changes the number of lanes of a module that is paused or halted, as `who` says. Each of the new lanes begins where
    /// the one furthest behind was; the record keeps how far each was, so that nothing is done again. Whoever still runs a
    /// lane loses it.
    pub async fn scale(
        &self,
        was: Stored<Record>,
        lanes: u16,
        who: &str,
        now: OffsetDateTime,
    ) -> Result<Record, Error> {
        let Stored { value: was, revision } = was;
        let found = self.checkpoints(&was, 0..was.lanes).await?;
        let behind = found.values().map(|lane| &lane.value).min_by_key(|lane| lane.covered);
        let Some(behind) = behind else { return Err(Error::Unknown(was.module.to_string())) };
        let mut scaled = was.scaled.clone();
        let passed = |before: &Scaled| before.covered.iter().all(|covered| *covered <= behind.covered);
        scaled.iter_mut().filter(|before| passed(before)).for_each(|before| before.covered.clear());
        let covered = found.values().map(|lane| lane.value.covered).collect();
        scaled.push(Scaled { lanes: was.lanes, covered });
        let record = Record { lanes, scaled, ..was.clone() };
        let mut batch = vec![replacing(&self.subjects.module(&record.module).into(), json(&record), revision)];
        for lane in 0..lanes.max(was.lanes) {
            // A lane that is left over keeps its checkpoint, so that whoever still runs it finds another epoch there.
            let found = self.checkpoint(&was, lane).await?;
            let (epoch, guard) = found.as_ref().map_or((0, NEVER_WRITTEN), |it| (it.value.epoch, it.revision));
            let begin = Checkpoint { epoch: epoch + 1, position: Sequence(0), takeovers: 0, ..behind.released() };
            let subject = self.subjects.checkpoint(&record.module, record.generation, lane).into();
            batch.push(checkpoint_message(&subject, &begin, guard));
        }
        let act = Act::Scale { module: record.module.clone(), was: was.lanes, lanes, behind: behind.covered };
        batch.push(audit::message(&self.subjects, who, act, now));
        self.write(&batch).await?;
        Ok(record)
    }

    /// The dead letters of `module` that keys wait behind, and those that wait behind them.
    pub async fn parked(&self, module: &Name) -> Result<Vec<Letter>, Error> {
        let subjects =
            self.reader.subjects(&self.subjects.dead_letters(Some(module))).await.map_err(read::Error::from)?;
        let read = async |subject: String| self.reader.last_json::<DeadLetter>(&subject).await;
        let found: Vec<_> = futures::stream::iter(subjects).map(read).buffered(AT_A_TIME).try_collect().await?;
        let parking = found.into_iter().flatten().map(|stored| stored.value).filter(|letter| letter.parks);
        let letters = parking.filter_map(|DeadLetter { key, lane, sequence, cause, .. }| {
            Some(Letter { key: key?.into(), lane, sequence, waits: cause.kind == CauseKind::Parked })
        });
        Ok(letters.collect())
    }

    /// Throws a dead letter away, as `who` says. False if there is none.
    pub async fn discard(&self, letter: audit::Letter, who: &str, now: OffsetDateTime) -> Result<bool, Error> {
        let subject = self.subjects.dead_letter(&letter.module, letter.lane, letter.sequence.0);
        let Some(last) = self.reader.last_value(&subject).await.map_err(read::Error::from)? else { return Ok(false) };
        let removal = dlq::removal(subject, Sequence(last.sequence));
        self.write(&[removal, audit::message(&self.subjects, who, Act::Discard(letter), now)]).await.map(|_| true)
    }

    /// Says which generation of a view readers follow. Unguarded: the view may have had another owner before.
    fn live_generation(&self, view: &Name, generation: Generation) -> Outgoing {
        let subject: Arc<str> = self.subjects.live_generation(view).into();
        let headers = vec![("Nats-Rollup".into(), "sub".to_owned())];
        Outgoing { subject, headers: headers.into(), payload: generation.to_string().into() }
    }

    async fn checkpoint(&self, record: &Record, lane: u16) -> Result<Option<Stored<Checkpoint>>, Error> {
        let subject = self.subjects.checkpoint(&record.module, record.generation, lane);
        Ok(self.reader.last_json(&subject).await?)
    }

    async fn write(&self, batch: &[Outgoing]) -> Result<Sequence, Error> {
        match self.publisher.publish(batch).await {
            Outcome::Committed(last) => Ok(last),
            Outcome::GuardRejected => Err(Error::Contended),
            Outcome::Ambiguous(cause) | Outcome::Unavailable(_, cause) => Err(Error::Unanswered(cause)),
            Outcome::Refused(cause) => Err(Error::Refused(cause)),
        }
    }
}

fn json(record: &Record) -> Vec<u8> {
    serde_json::to_vec(record).unwrap_or_default()
}

#[cfg(test)]
mod tests;
