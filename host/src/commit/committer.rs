//! Group commit as a state machine: lanes hand in steps, the committer answers with batches, the outcome of a batch
//! gives actions. No I/O, no clock.
//!
//! One batch is in flight at a time, so no checkpoint ever has two. Whatever gathers meanwhile rides in the next one.

mod action;
mod build;
mod cut;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::commit::batch::Outcome;
use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::commit::{Covers, Done, LaneId, Revision, Tally};
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

/// How often a batch is sent unchanged without a clear answer, before it is taken to be too large.
const UNANSWERED_AT_MOST: u32 = 5;
/// How often a single input's batch is sent without a clear answer, before it is taken to be refused: no batch is sent
/// for ever.
const UNANSWERED_IN_ALL: u32 = 20;

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

    /// Takes the outcome of the batch in flight.
    pub fn resolve(&mut self, outcome: Outcome) -> Vec<Action> {
        let batch = match std::mem::take(&mut self.flight) {
            Flight::Sent(batch) => batch,
            other => {
                self.flight = other;
                return Vec::new();
            }
        };
        match outcome {
            Outcome::Committed(last) => self.committed(batch, last),
            Outcome::GuardRejected => self.rejected(batch),
            Outcome::Refused(reason) => self.refused(batch, &reason),
            Outcome::Ambiguous(_) => self.check(batch, false),
            Outcome::Unavailable(_, reason) => {
                self.flight = Flight::Waiting(batch);
                vec![Action::Resend(reason)]
            }
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

    /// Takes the checkpoint that [`Action::Check`] asked for; none if the stream has none.
    pub fn checked(&mut self, stored: Option<Stored<Checkpoint>>) -> Vec<Action> {
        let (mut batch, guard_rejected) = match std::mem::take(&mut self.flight) {
            Flight::Checking(batch, guard_rejected) => (batch, guard_rejected),
            other => {
                self.flight = other;
                return Vec::new();
            }
        };
        let Some(part) = batch.parts.first() else { return Vec::new() };
        let id = part.lane.clone();
        let Some(lane) = self.lanes.get(&id) else { return Vec::new() };
        let Some(stored) = stored else {
            return self.halt(&id, "its checkpoint is gone from the app stream");
        };
        if stored.value.epoch != lane.checkpoint.epoch {
            self.detach(&id);
            return vec![Action::Lost { lane: id, epoch: stored.value.epoch }];
        }
        if stored.value.covered < lane.checkpoint.covered {
            return self
                .halt(&id, "its checkpoint in the app stream went back: inputs behind it were reported as done");
        }
        if stored.revision == lane.guard {
            return if guard_rejected { self.reset(&id, stored, None, None) } else { self.unanswered(batch) };
        }
        if stored.value == part.checkpoint {
            // The lane's part did land: its messages stand one after the other, so the checkpoint tells where the last
            // is. That says nothing of the other lanes: it may have landed with an earlier batch, which held less of
            // them. They are tried again, and their guards tell.
            let behind = batch.messages.len() - 1 - part.checkpoint_at;
            batch.parts.truncate(1);
            return self.committed(batch, Sequence(stored.revision.0 + behind as u64));
        }
        self.reset(&id, stored, None, None)
    }

    /// The checkpoint that [`Action::Check`] asked for is of a version that cannot be read here: another host, of that
    /// version, has the lane.
    pub fn overtaken(&mut self) -> Vec<Action> {
        let batch = match std::mem::take(&mut self.flight) {
            Flight::Checking(batch, _) => batch,
            other => {
                self.flight = other;
                return Vec::new();
            }
        };
        let Some(id) = batch.parts.into_iter().next().map(|part| part.lane) else { return Vec::new() };
        let epoch = self.lanes.get(&id).map_or(0, |lane| lane.checkpoint.epoch + 1);
        self.detach(&id);
        vec![Action::Lost { lane: id, epoch }]
    }

    fn committed(&mut self, batch: Batch, last: Sequence) -> Vec<Action> {
        let first = last.0 + 1 - batch.messages.len() as u64;
        let at = |index: usize| Sequence(first + index as u64);
        let mut actions = Vec::new();
        for part in batch.parts {
            for (index, revision) in part.revisions {
                revision.set(at(index));
            }
            let Some(lane) = self.lanes.get_mut(&part.lane) else { continue };
            let mut tally = Tally::default();
            for step in lane.steps.drain(..part.steps.min(lane.steps.len())) {
                tally.add(&step);
                self.spans.extend(step.spans.map(|processed| *processed));
            }
            self.tallies.push((part.lane.clone(), tally));
            lane.guard = at(part.checkpoint_at);
            lane.checkpoint = part.checkpoint;
            lane.at_most = usize::MAX;
            let (covered, replays, suspects) = (lane.checkpoint.covered, part.replays, part.suspects);
            let released = part.releases.then(|| Action::Released { lane: part.lane.clone() });
            if part.releases {
                self.detach(&part.lane);
            }
            actions.push(Action::Committed { lane: part.lane, covered, replays, suspects });
            actions.extend(released);
        }
        actions
    }

    /// A rejected batch names no culprit: its lanes are tried in halves until one stands alone.
    fn rejected(&mut self, batch: Batch) -> Vec<Action> {
        if batch.parts.len() > 1 {
            self.split(batch);
            return Vec::new();
        }
        self.check(batch, true)
    }

    fn check(&mut self, batch: Batch, guard_rejected: bool) -> Vec<Action> {
        let lane = batch.parts.first().map(|part| part.lane.clone());
        self.flight = Flight::Checking(batch, guard_rejected);
        lane.map(Action::Check).into_iter().collect()
    }

    /// The batch is not stored, and its guards hold: it is sent again, so that if the first one does arrive late, the
    /// guard lets just one of them in. After some times it is taken to be too large for an answer.
    fn unanswered(&mut self, mut batch: Batch) -> Vec<Action> {
        batch.unanswered += 1;
        let reason = format!("no clear answer to a batch of {} messages", batch.messages.len());
        if batch.is_rest {
            self.flight = Flight::Waiting(batch);
            return vec![Action::Resend(reason)];
        }
        if batch.unanswered.is_multiple_of(UNANSWERED_AT_MOST) && (batch.parts.len() > 1 || self.shrink(&batch)) {
            self.split(batch);
            return Vec::new();
        }
        if batch.unanswered >= UNANSWERED_IN_ALL {
            return self.refused(batch, &reason);
        }
        self.flight = Flight::Waiting(batch);
        vec![Action::Resend(reason)]
    }

    fn refused(&mut self, batch: Batch, reason: &str) -> Vec<Action> {
        if !batch.is_rest && (batch.parts.len() > 1 || self.shrink(&batch)) {
            self.split(batch);
            return Vec::new();
        }
        let is_rest = batch.is_rest;
        let Some(Part { lane: id, .. }) = batch.parts.into_iter().next() else { return Vec::new() };
        let Some(lane) = self.lanes.get(&id) else { return Vec::new() };
        if is_rest {
            return self.halt(
                &id,
                &format!("the server stored only the first messages of a batch, and refuses the rest: {reason}"),
            );
        }
        let refused = lane.steps.front().map(|step| &step.covers);
        match refused {
            Some(Covers::Input(input)) if lane.condemned != Some(input.sequence()) => {
                let condemned = (input.sequence(), reason.to_owned());
                let stored = Stored { value: lane.checkpoint.clone(), revision: lane.guard };
                self.reset(&id, stored, Some(condemned), None)
            }
            // The dead letter stays, and whoever asked for the replay is told.
            Some(Covers::Again) => {
                let stored = Stored { value: lane.checkpoint.clone(), revision: lane.guard };
                self.reset(&id, stored, None, Some(reason.to_owned()))
            }
            // It is not said that nobody owns it, which the next owner finds out in time.
            None if lane.releasing => {
                self.detach(&id);
                vec![Action::Released { lane: id }]
            }
            Some(Covers::Input(_) | Covers::Read(_) | Covers::Suspects(_)) | None => {
                self.halt(&id, &format!("the server refuses its checkpoint: {reason}"))
            }
        }
    }

    /// Halves the steps that the only lane of `batch` may put into the next one; false if it was a single step.
    fn shrink(&mut self, batch: &Batch) -> bool {
        let [part] = batch.parts.as_slice() else { return false };
        let Some(lane) = self.lanes.get_mut(&part.lane) else { return false };
        if part.steps > 1 {
            lane.at_most = part.steps / 2;
        }
        part.steps > 1
    }

    /// Has the two halves of a batch's lanes tried apart.
    fn split(&mut self, batch: Batch) {
        let mut first: Vec<LaneId> = batch.parts.into_iter().map(|part| part.lane).collect();
        let second = first.split_off(first.len().div_ceil(2));
        self.apart.extend([second, first].into_iter().filter(|group| !group.is_empty()));
    }

    fn reset(
        &mut self,
        id: &LaneId,
        stored: Stored<Checkpoint>,
        condemned: Option<(Sequence, String)>,
        refused: Option<String>,
    ) -> Vec<Action> {
        let Some(lane) = self.lanes.get_mut(id) else { return Vec::new() };
        lane.incarnation += 1;
        lane.steps.clear();
        lane.at_most = usize::MAX;
        lane.condemned = condemned.as_ref().map(|(sequence, _)| *sequence);
        lane.checkpoint = stored.value;
        lane.guard = stored.revision;
        let (incarnation, covered) = (lane.incarnation, lane.checkpoint.covered);
        vec![Action::Reset { lane: id.clone(), incarnation, covered, condemned, refused }]
    }

    fn halt(&mut self, id: &LaneId, reason: &str) -> Vec<Action> {
        self.detach(id);
        vec![Action::Halt { lane: id.clone(), reason: reason.to_owned() }]
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
