//! The commit: everything that modules cause goes into one stream, in atomic batches guarded by checkpoints. Nothing
//! else writes to the app stream.
//!
//! [`committer`] decides (a state machine without I/O), [`task`] waits and acts, [`sender`] sends and looks what became of it
//! ([`batch`], [`landed`], [`hindrance`]), [`checkpoint`] is what guards. [`app_stream`] and [`witness`] make and verify what
//! is written to, [`ledger`] and [`record`] keep what modules are, [`read`] reads back, [`format`](mod@format) tells versions of
//! what is read apart.

pub mod app_stream;
pub mod audit;
pub mod batch;
pub mod checkpoint;
pub mod committer;
pub mod format;
pub mod hindrance;
pub mod landed;
pub mod ledger;
pub mod read;
pub mod record;
pub mod sender;
pub mod task;
pub mod witness;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::commit::checkpoint::Suspect;
use crate::effects::{CheckedWrite, Outgoing};
use crate::event::{Delivery, Mark, Sequence};
use crate::policy::CauseKind;
use crate::subject::Name;
use crate::traces::span::Processed;

/// One lane of one module.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId {
    /// The module.
    pub module: Name,
    /// The lane, from 0.
    pub lane: u16,
}

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lane {} of module {:?}", self.lane, self.module.as_str())
    }
}

/// What a lane hands to the committer for one step of its position.
#[derive(Debug)]
pub struct Done {
    /// How far the lane is when this is committed.
    pub covers: Covers,
    /// Events, in order.
    pub events: Vec<Outgoing>,
    /// View writes, in order.
    pub writes: Vec<Write>,
    /// What Pelton itself has to say: a dead letter, its removal, an entry of the audit.
    pub own: Vec<Outgoing>,
    /// Why the input becomes a dead letter, if it does.
    pub given_up: Option<CauseKind>,
    /// What is to be told of the input once it is stored, if it is sampled.
    pub spans: Option<Box<Processed>>,
}

impl Done {
    /// A step that has no effects.
    pub fn nothing(covers: Covers) -> Self {
        Self { covers, events: Vec::new(), writes: Vec::new(), own: Vec::new(), given_up: None, spans: None }
    }

    /// About the bytes of its effects.
    pub fn size(&self) -> usize {
        let events = self.events.iter().map(Outgoing::size).sum::<usize>();
        events + self.writes.iter().map(Write::size).sum::<usize>()
    }
}

/// What was committed of a lane.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Inputs that are done.
    pub inputs: u64,
    /// Events.
    pub events: u64,
    /// View writes, before those to one key were merged.
    pub writes: u64,
    /// Dead letters that were replayed.
    pub replays: u64,
    /// Why inputs became dead letters.
    pub dead_letters: Vec<CauseKind>,
}

impl Tally {
    /// Adds a step that is committed.
    fn add(&mut self, step: &Done) {
        match step.covers {
            Covers::Input(_) => self.inputs += 1,
            // One that failed again is no replay.
            Covers::Again => self.replays += u64::from(step.given_up.is_none()),
            Covers::Read(_) | Covers::Suspects(_) => {}
        }
        self.events += step.events.len() as u64;
        self.writes += step.writes.len() as u64;
        self.dead_letters.extend(step.given_up);
    }
}

/// What a step covers.
#[derive(Clone, Debug)]
pub enum Covers {
    /// An input of the lane.
    Input(Arc<Delivery>),
    /// All that the lane's reader has seen up to here, none of it for the lane.
    Read(Mark),
    /// Nothing new: the step replays an input that became a dead letter, guarded by the checkpoint as it is.
    Again,
    /// Nothing new: the lane is about to run inputs that may end the host.
    Suspects(Suspect),
}

/// A view write on its way.
#[derive(Clone, Debug)]
pub struct Write {
    /// What to write.
    pub write: CheckedWrite,
    /// The revision of the key, shared with the lane's cache and set when the write is committed.
    pub revision: Revision,
    /// Whether the key was read before: then the write holds only for the revision that was read.
    pub guarded: bool,
}

impl Write {
    /// About the bytes of its message.
    pub fn size(&self) -> usize {
        self.write.size()
    }
}

/// The position in the app stream of a view key's last write, as far as its lane knows. Clones share it.
#[derive(Clone, Debug)]
pub struct Revision(Arc<AtomicU64>);

impl Revision {
    const UNKNOWN: u64 = u64::MAX;

    /// A revision that was read; 0 for a key that was never written.
    pub fn known(sequence: Sequence) -> Self {
        Self(Arc::new(AtomicU64::new(sequence.0)))
    }

    /// The revision of a key that nobody read.
    pub fn unknown() -> Self {
        Self(Arc::new(AtomicU64::new(Self::UNKNOWN)))
    }

    /// The revision, if known.
    pub fn get(&self) -> Option<Sequence> {
        Some(self.0.load(Ordering::Acquire)).filter(|value| *value != Self::UNKNOWN).map(Sequence)
    }

    /// Notes where the key's write was stored.
    pub fn set(&self, sequence: Sequence) {
        self.0.store(sequence.0, Ordering::Release);
    }

    /// Whether a write that shares this revision is still on its way.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}
