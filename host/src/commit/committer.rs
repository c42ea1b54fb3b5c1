//! Group commit as a state machine: lanes hand in steps, the committer answers with batches, the outcome of a batch
//! gives actions. No I/O, no clock.
//!
//! One batch is in flight at a time, so no checkpoint ever has two. Whatever gathers meanwhile rides in the next one.

mod action;
mod build;
mod cut;
mod outcome;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::commit::{Done, LaneId, Revision, Tally};
use crate::effects::{Bounds, Outgoing};
use crate::event::Sequence;
use crate::subject::{Generation, Subjects};
use crate::traces::span::Processed;

pub use self::action::Action;
use self::build::Room;
pub use self::build::{checkpoint_message, replacing};

/// A batch ready to be sent.
#[derive(Debug)]
pub struct Batch {
    /// Its messages, in order.
    pub messages: Vec<Outgoing>,
    parts: Vec<Part>,
    /// How often it was sent without a clear answer.
    unanswered: u32,
    /// Whether it is what is left of a batch that the server cut: then it may not be built anew.
    is_rest: bool,
}

/// What a batch holds of one lane.
#[derive(Debug)]
struct Part {
    lane: LaneId,
    checkpoint: Checkpoint,
    /// Which message of the batch the checkpoint is.
    checkpoint_at: usize,
    /// How many of the lane's steps it holds.
    steps: usize,
    /// How many of those are replays.
    replays: usize,
    /// Whether its checkpoint tells what the lane is about to run.
    suspects: bool,
    /// Whether it releases the lane.
    releases: bool,
    /// The revisions that the batch's view writes set, by message.
    revisions: Vec<(usize, Revision)>,
}

#[derive(Debug)]
struct Lane {
    subject: Arc<str>,
    checkpoint: Checkpoint,
    guard: Sequence,
    incarnation: u32,
    steps: VecDeque<Done>,
    /// The most steps of a batch, after the server refused a larger one.
    at_most: usize,
    condemned: Option<Sequence>,
    /// Whether it is to be released behind its last step.
    releasing: bool,
}

#[derive(Debug, Default)]
enum Flight {
    #[default]
    Idle,
    Sent(Batch),
    /// Waiting for the checkpoint of the first lane of the batch; whether a guard was rejected.
    Checking(Batch, bool),
    /// To be sent again unchanged.
    Waiting(Batch),
}

/// The committer of one host and app.
#[derive(Debug)]
pub struct Committer {
    subjects: Subjects,
    bounds: Bounds,
    lanes: BTreeMap<LaneId, Lane>,
    /// Lanes with steps, in the order in which they are served.
    turn: VecDeque<LaneId>,
    /// Groups of lanes to be tried apart, since a batch of all of them was rejected.
    apart: Vec<Vec<LaneId>>,
    flight: Flight,
    /// What was committed since somebody asked.
    tallies: Vec<(LaneId, Tally)>,
    /// What is to be told of the sampled inputs among it.
    spans: Vec<Processed>,
}

impl Committer {
    /// A committer without lanes.
    pub fn new(subjects: Subjects, bounds: Bounds) -> Self {
        let (lanes, turn, apart) = (BTreeMap::new(), VecDeque::new(), Vec::new());
        Self { subjects, bounds, lanes, turn, apart, flight: Flight::Idle, tallies: Vec::new(), spans: Vec::new() }
    }

    /// Takes a lane in, whose checkpoint of that generation this host owns.
    pub fn attach(&mut self, id: LaneId, generation: Generation, owned: Stored<Checkpoint>) {
        let lane = Lane {
            subject: self.subjects.checkpoint(&id.module, generation, id.lane).into(),
            checkpoint: owned.value,
            guard: owned.revision,
            incarnation: 0,
            steps: VecDeque::new(),
            at_most: usize::MAX,
            condemned: None,
            releasing: false,
        };
        self.lanes.insert(id, lane);
    }

    /// Gives a lane up that hands in nothing more: its last batch says that nobody owns it.
    pub fn release(&mut self, id: &LaneId) {
        let Some(lane) = self.lanes.get_mut(id) else { return };
        lane.releasing = true;
        if !self.turn.contains(id) {
            self.turn.push_back(id.clone());
        }
    }

    /// Where a lane's checkpoint is.
    pub fn checkpoint_subject(&self, id: &LaneId) -> Option<&Arc<str>> {
        self.lanes.get(id).map(|lane| &lane.subject)
    }

    /// Takes steps of a lane, in order. Those computed before its last reset are ignored.
    pub fn submit(&mut self, id: &LaneId, incarnation: u32, steps: Vec<Done>) {
        let Some(lane) = self.lanes.get_mut(id).filter(|lane| lane.incarnation == incarnation) else { return };
        if lane.steps.is_empty() && !self.turn.contains(id) {
            self.turn.push_back(id.clone());
        }
        lane.steps.extend(steps);
    }

    /// Whether everything handed in is settled.
    #[cfg(test)]
    fn is_idle(&self) -> bool {
        matches!(self.flight, Flight::Idle) && self.lanes.values().all(|lane| lane.steps.is_empty())
    }

    /// The messages of the next batch, unless one is in flight or there is nothing to commit.
    pub fn next_batch(&mut self) -> Option<&[Outgoing]> {
        if !matches!(self.flight, Flight::Idle) {
            return None;
        }
        let batch = self.next_apart().or_else(|| self.serve())?;
        self.flight = Flight::Sent(batch);
        self.in_flight()
    }

    /// Sends the waiting batch again.
    pub fn resend(&mut self) -> Option<&[Outgoing]> {
        self.flight = match std::mem::take(&mut self.flight) {
            Flight::Waiting(batch) => Flight::Sent(batch),
            other => other,
        };
        self.in_flight()
    }

    fn in_flight(&self) -> Option<&[Outgoing]> {
        match &self.flight {
            Flight::Sent(batch) => Some(&batch.messages),
            Flight::Idle | Flight::Checking(..) | Flight::Waiting(_) => None,
        }
    }

    /// What was committed since this was asked last: each step is told once.
    pub fn tallies(&mut self) -> Vec<(LaneId, Tally)> {
        std::mem::take(&mut self.tallies)
    }

    /// What is to be told of the sampled inputs that were committed since this was asked last.
    pub fn spans(&mut self) -> Vec<Processed> {
        std::mem::take(&mut self.spans)
    }

    /// Forgets a lane and what it handed in.
    pub fn detach(&mut self, id: &LaneId) {
        self.lanes.remove(id);
        self.turn.retain(|waiting| waiting != id);
    }

    /// A batch of the next group of lanes that is to be tried apart.
    fn next_apart(&mut self) -> Option<Batch> {
        while let Some(group) = self.apart.pop() {
            if let Some(batch) = self.build(&group) {
                return Some(batch);
            }
        }
        None
    }

    /// A batch of all lanes with steps, as far as there is room. The first that found none comes first next time.
    fn serve(&mut self) -> Option<Batch> {
        let lanes = &self.lanes;
        self.turn.retain(|id| lanes.get(id).is_some_and(Lane::has_work));
        let batch = self.build(&self.turn)?;
        let served = self.turn.iter().zip(&batch.parts).take_while(|(id, part)| **id == part.lane).count();
        self.turn.rotate_left(if served == self.turn.len() { 1 } else { served });
        Some(batch)
    }

    /// A batch of what `ids` have handed in. Each lane gets a fair share of the room; what one leaves, the next may use.
    fn build<'a>(&self, ids: impl IntoIterator<Item = &'a LaneId>) -> Option<Batch> {
        let mut batch = Batch { messages: Vec::new(), parts: Vec::new(), unanswered: 0, is_rest: false };
        let mut room = Room { messages: self.bounds.batch_messages, bytes: self.bounds.batch_bytes };
        let waiting = ids.into_iter().filter_map(|id| Some((id, self.lanes.get(id)?)));
        let waiting: Vec<_> = waiting.filter(|(_, lane)| lane.has_work()).collect();
        for (at, (id, lane)) in waiting.iter().enumerate() {
            let share = room.share(waiting.len() - at);
            room = room.less(lane.add_to(&mut batch, id, share, room));
        }
        (!batch.parts.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests;
