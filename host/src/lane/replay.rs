//! Dead letters that a lane replays, asked to or by itself: they run between its slices, and wait for their commit in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tracing::warn;

use super::GivenUp;
use super::parked::Parked;
use crate::commit::audit::Replaying;
use crate::commit::{Covers, Done};
use crate::effects::{GUARD, Outgoing};
use crate::event::{Delivery, Sequence};
use crate::policy::{self, Cause, Decision, Failed, Failure, Rules, cause_of};

/// What a lane is told about one of its dead letters.
#[derive(Debug)]
pub enum Order {
    /// It is to be replayed.
    Replay(Replay),
    /// It is not there any more.
    Gone(Sequence),
    /// It still is, as far as is known.
    Stands(Sequence),
    /// It cannot be replayed.
    Stuck(Sequence),
}

/// A wish to replay one dead letter.
#[derive(Debug)]
pub struct Replay {
    /// Its input.
    pub input: Arc<Delivery>,
    /// The message that removes it, guarded by its own position.
    pub removal: Outgoing,
    /// What is noted of it.
    pub note: Replaying,
    /// Who waits for what comes of it; none if it is the lane itself that goes on with a key.
    pub answer: Option<oneshot::Sender<Answer>>,
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
    /// Its key waits behind another one, and it follows when that one is replayed or discarded.
    Parked {
        /// That one's input.
        behind: Sequence,
    },
    /// It was not done, and may be asked for again.
    Again {
        /// Why.
        reason: String,
    },
}

/// The replays of one lane.
#[derive(Debug, Default)]
pub struct Replays {
    waiting: VecDeque<Replay>,
    running: Option<Replay>,
    /// Handed to the committer, in order.
    committing: VecDeque<Committing>,
    /// Whether the lane has its turn before the next replay.
    lanes_turn: bool,
}

#[derive(Debug)]
struct Committing {
    input: Arc<Delivery>,
    /// Who is to be told what, once it is committed.
    answer: Option<(oneshot::Sender<Answer>, Answer)>,
}

impl Replay {
    fn sequence(&self) -> Sequence {
        self.input.sequence()
    }
}

impl Replays {
    /// Takes a wish in, unless the same dead letter is at work, or its key waits behind another.
    pub fn push(&mut self, replay: Replay, parked: &mut Parked) {
        let sequence = replay.sequence();
        let at_work = self.waiting.iter().chain(&self.running).map(Replay::sequence);
        let mut at_work = at_work.chain(self.committing.iter().map(|committing| committing.input.sequence()));
        if at_work.any(|other| other == sequence) {
            return tell(replay.answer, again("the same dead letter is being replayed"));
        }
        match parked.replays(key(&replay.input), sequence) {
            Ok(()) => self.waiting.push_back(replay),
            Err(behind) => tell(replay.answer, Answer::Parked { behind }),
        }
    }

    /// The input to run now. If the lane has inputs of its own, those have every other turn.
    pub fn next(&mut self, lane_has_inputs: bool) -> Option<Arc<Delivery>> {
        self.lanes_turn = lane_has_inputs && !self.lanes_turn;
        if self.lanes_turn {
            return None;
        }
        self.running = self.waiting.pop_front();
        self.running.as_ref().map(|replay| replay.input.clone())
    }

    /// Whether any waits to run.
    pub fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes what became of the replay that ran when the lane had run all its inputs up to `behind`; gives the step to commit.
    /// `letter` makes a dead letter of an input.
    pub fn ran(
        &mut self,
        (step, failed): (Option<Done>, Option<&Failed>),
        parked: &mut Parked,
        (behind, rules, now): (Sequence, Rules, Instant),
        letter: impl FnOnce(GivenUp) -> Done,
    ) -> Option<Done> {
        let Replay { input, removal, note, answer } = self.running.take()?;
        let (key, sequence) = (Arc::<str>::from(key(&input)), input.sequence());
        let step = match (step, failed, answer) {
            (Some(step), _, answer) => {
                let done = Answer::Replayed { events: step.events.len(), writes: step.writes.len() };
                parked.ran(&key, sequence);
                self.committing.push_back(Committing { input, answer: answer.map(|answer| (answer, done)) });
                let own = step.own.into_iter().chain([removal, note.ran(behind)]).collect();
                Done { covers: Covers::Again, own, ..step }
            }
            (None, failed, Some(answer)) => {
                parked.stays(&key, sequence);
                let failed = failed.map(|failed| Answer::Failed { cause: cause_of(&failed.failure, 1) });
                tell(Some(answer), failed.unwrap_or_else(|| again("it did not run")));
                return None;
            }
            (None, Some(failed), None) => {
                let attempts = parked.attempts(&key, sequence) + 1;
                let cause = match policy::decide(&failed.failure, sequence, attempts, rules) {
                    Decision::Retry { after, counts } => {
                        parked.rests(&key, sequence, now + after, counts);
                        return None;
                    }
                    Decision::DeadLetter(cause) | Decision::Halt(cause) => cause,
                };
                parked.fails(&key, sequence);
                let log = failed.log.clone();
                let own = letter(GivenUp { input: input.clone(), cause, attempts, log, parks: true });
                self.committing.push_back(Committing { input, answer: None });
                Done { covers: Covers::Again, own: in_place_of(removal, own.own), ..own }
            }
            (None, None, None) => {
                parked.stays(&key, sequence);
                return None;
            }
        };
        Some(step)
    }

    /// So many of those handed to the committer are committed.
    pub fn committed(&mut self, replays: usize, parked: &mut Parked) {
        for Committing { input, answer } in self.committing.drain(..replays.min(self.committing.len())) {
            parked.settled(key(&input), input.sequence());
            if let Some((to, done)) = answer {
                tell(Some(to), done);
            }
        }
    }

    /// The server refuses what the first of those handed to the committer led to, for this reason. If the lane wanted it, its
    /// key waits for an operator from now on.
    pub fn refused(&mut self, reason: &str, parked: &mut Parked) {
        let Some(Committing { input, answer }) = self.committing.pop_front() else { return };
        let cause = cause_of(&Failure::Refused(reason.to_owned()), 1);
        match answer {
            Some((to, _)) => tell(Some(to), Answer::Failed { cause }),
            None => {
                warn!(sequence = %input.sequence(), cause = cause.message, "a dead letter cannot be replayed: its key waits until it is discarded");
                parked.stuck(input.sequence());
            }
        }
    }

    /// Gives all up, for this reason: what they computed is void.
    pub fn give_up(&mut self, reason: &str) {
        let answers = self.waiting.drain(..).chain(self.running.take()).filter_map(|replay| replay.answer);
        let committing = self.committing.drain(..).filter_map(|committing| Some(committing.answer?.0));
        for answer in answers.chain(committing) {
            tell(Some(answer), again(reason));
        }
    }
}

/// The key of an input; empty, which no key is, if it has none.
fn key(input: &Delivery) -> &str {
    input.key().map_or("", |key| key)
}

/// Has dead letters take the place of the one that `removal` would remove. One that an earlier lane wrote stands elsewhere.
fn in_place_of(removal: Outgoing, mut letters: Vec<Outgoing>) -> Vec<Outgoing> {
    let guard = removal.headers.iter().find(|(name, _)| name == GUARD).map(|(_, revision)| revision.clone());
    match letters.iter_mut().find(|letter| letter.subject == removal.subject) {
        Some(letter) => {
            letter.push("Nats-Rollup", "sub".to_owned());
            guard.into_iter().for_each(|revision| letter.push(GUARD, revision));
        }
        None => letters.push(removal),
    }
    letters
}

fn again(reason: &str) -> Answer {
    Answer::Again { reason: reason.to_owned() }
}

fn tell(to: Option<oneshot::Sender<Answer>>, answer: Answer) {
    // Whoever asked may have gone; the dead letter tells what became of it.
    if let Some(to) = to {
        to.send(answer).ok();
    }
}
