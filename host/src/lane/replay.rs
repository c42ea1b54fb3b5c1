//! Dead letters that a lane is asked to replay: they run between its slices, and wait for their commit in order.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::commit::audit::Replaying;
use crate::commit::{Covers, Done};
use crate::effects::Outgoing;
use crate::event::{Delivery, Sequence};
use crate::policy::{Cause, Failed, cause_of};

/// A wish to replay one dead letter.
#[derive(Debug)]
pub struct Order {
    /// Its input.
    pub input: Arc<Delivery>,
    /// The message that removes it, guarded by the dead letter's own position.
    pub removal: Outgoing,
    /// What is noted of it.
    pub note: Replaying,
    /// Who waits for what comes of it.
    pub answer: oneshot::Sender<Answer>,
}

/// What came of a replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Answer {
    /// Its effects are committed, and the dead letter is gone.
    Replayed {
        /// Events emitted.
        events: usize,
        /// View writes.
        writes: usize,
    },
    /// It failed again, and the dead letter stays.
    Failed {
        /// Why.
        cause: Cause,
    },
    /// There is no such dead letter.
    Gone,
    /// It was not done, and may be asked for again.
    Again {
        /// Why.
        reason: String,
    },
}

/// The replays of one lane.
#[derive(Debug, Default)]
pub struct Replays {
    waiting: VecDeque<Order>,
    running: Option<Order>,
    /// Handed to the committer, with the answer to give once they are committed.
    committing: VecDeque<(Sequence, oneshot::Sender<Answer>, Answer)>,
    /// Whether the lane has its turn before the next replay.
    lanes_turn: bool,
}

impl Replays {
    /// Takes an order in, unless the same dead letter is at work.
    pub fn push(&mut self, order: Order) {
        let sequence = order.input.sequence();
        let at_work = self.waiting.iter().chain(&self.running).map(|order| order.input.sequence());
        let mut at_work = at_work.chain(self.committing.iter().map(|(sequence, ..)| *sequence));
        if at_work.any(|other| other == sequence) {
            return tell(order.answer, again("the same dead letter is being replayed"));
        }
        self.waiting.push_back(order);
    }

    /// The input to run now. If the lane has inputs of its own, those have every other turn.
    pub fn next(&mut self, lane_has_inputs: bool) -> Option<Arc<Delivery>> {
        self.lanes_turn = lane_has_inputs && !self.lanes_turn;
        if self.lanes_turn {
            return None;
        }
        self.running = self.waiting.pop_front();
        self.running.as_ref().map(|order| order.input.clone())
    }

    /// Whether any waits to run.
    pub fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes what became of the replay that ran when the lane had run all its inputs up to `behind`; gives the step to
    /// commit.
    pub fn ran(&mut self, behind: Sequence, step: Option<Done>, failed: Option<&Failed>) -> Option<Done> {
        let Order { input, removal, note, answer } = self.running.take()?;
        match (step, failed) {
            (Some(mut step), _) => {
                let done = Answer::Replayed { events: step.events.len(), writes: step.writes.len() };
                step.covers = Covers::Again;
                step.own.extend([removal, note.ran(behind)]);
                self.committing.push_back((input.sequence(), answer, done));
                Some(step)
            }
            (None, Some(failed)) => {
                tell(answer, Answer::Failed { cause: cause_of(&failed.failure, 1) });
                None
            }
            (None, None) => {
                tell(answer, again("it did not run"));
                None
            }
        }
    }

    /// So many of those handed to the committer are committed.
    pub fn committed(&mut self, replays: usize) {
        for (_, answer, done) in self.committing.drain(..replays.min(self.committing.len())) {
            tell(answer, done);
        }
    }

    /// Gives all up, for this reason: what they computed is void.
    pub fn give_up(&mut self, reason: &str) {
        let orders = self.waiting.drain(..).chain(self.running.take()).map(|order| order.answer);
        for answer in orders.chain(self.committing.drain(..).map(|(_, answer, _)| answer)) {
            tell(answer, again(reason));
        }
    }
}

fn again(reason: &str) -> Answer {
    Answer::Again { reason: reason.to_owned() }
}

fn tell(to: oneshot::Sender<Answer>, answer: Answer) {
    // Whoever asked may have gone; the dead letter tells what became of it.
    to.send(answer).ok();
}
