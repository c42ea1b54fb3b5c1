//! What the outcome of a batch leads to: it is committed, sent again, tried in parts, or some lane of it is reset or given up.

use super::{Action, Batch, Committer, Flight, Part};
use crate::commit::batch::Outcome;
use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::commit::{Covers, LaneId, Tally};
use crate::event::Sequence;

/// How often a batch is sent unchanged without a clear answer, before it is taken to be too large.
pub(super) const UNANSWERED_AT_MOST: u32 = 5;
/// How often a single input's batch is sent without a clear answer, before it is taken to be refused: no batch is sent
/// for ever.
pub(super) const UNANSWERED_IN_ALL: u32 = 20;

impl Committer {
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
        // Were the incarnation another one, it would be an earlier batch that had the same inputs and landed late; and what is in
        // hand, which may have read views behind it already, would be its effects a second time.
        //
        // Replays leave the checkpoint as it was, so it does not tell whether they landed: they are tried again, and whether
        // their dead letters still stand tells.
        if stored.value == part.checkpoint && part.replays == 0 {
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

    pub(super) fn committed(&mut self, batch: Batch, last: Sequence) -> Vec<Action> {
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
}
