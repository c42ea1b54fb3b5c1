//! The committer's shell: sends what the real `Committer` builds, waits, tells it what came of it, tells the lanes.

use std::collections::VecDeque;
use std::time::Instant;

use super::Violation;
use super::bug::{self, Bug};
use super::env::{Answer, Batch, Env, Purpose, Shown, What};
use super::host::Host;
use super::oracle::lane_of;
use super::taking::TIMEOUT;
use crate::commit::batch::Outcome;
use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::commit::committer::{Action, Committer};
use crate::commit::task::Notice;
use crate::commit::{Done, LaneId};
use crate::effects::Outgoing;
use crate::event::Sequence;
use crate::policy::backoff;
use crate::subject::Generation;

/// A committer, and what it waits for.
pub struct Committing {
    committer: Committer,
    /// What lanes ask of it: it looks at that between batches only.
    requests: VecDeque<Request>,
    waits: Waits,
    /// How often the batch was sent again.
    resent: u32,
}

enum Request {
    Attach(LaneId, Stored<Checkpoint>),
    Submit(LaneId, u32, Vec<Done>),
    Release(LaneId),
}

enum Waits {
    Nothing,
    /// The outcome of the batch in flight.
    Outcome {
        call: u64,
        until: Instant,
    },
    /// A lane's checkpoint, which is asked for until there is an answer.
    Checkpoint {
        lane: LaneId,
        call: u64,
        until: Instant,
    },
    /// To send it again.
    Resend {
        until: Instant,
    },
}

impl Committing {
    pub fn new(committer: Committer) -> Self {
        Self { committer, requests: VecDeque::new(), waits: Waits::Nothing, resent: 0 }
    }

    pub fn attach(&mut self, id: &LaneId, owned: Stored<Checkpoint>) {
        self.requests.push_back(Request::Attach(id.clone(), owned));
    }

    pub fn submit(&mut self, id: &LaneId, incarnation: u32, steps: Vec<Done>) {
        self.requests.push_back(Request::Submit(id.clone(), incarnation, steps));
    }

    pub fn release(&mut self, id: &LaneId) {
        self.requests.push_back(Request::Release(id.clone()));
    }

    fn take(&mut self) {
        for request in self.requests.drain(..) {
            match request {
                Request::Attach(lane, owned) => self.committer.attach(lane, Generation::default(), owned),
                Request::Submit(lane, incarnation, steps) => self.committer.submit(&lane, incarnation, steps),
                Request::Release(lane) => self.committer.release(&lane),
            }
        }
    }

    pub fn is_idle(&self) -> bool {
        matches!(self.waits, Waits::Nothing) && self.requests.is_empty()
    }
}

impl Host {
    /// Sends the next batch, or sees to what it waits for.
    pub fn commit(&mut self, env: &mut Env) -> Result<(), Violation> {
        let now = self.clock(env);
        match &self.committing.waits {
            Waits::Nothing => {
                self.committing.resent = 0;
                self.committing.take();
                if let Some(batch) = self.committing.committer.next_batch().map(<[Outgoing]>::to_vec) {
                    self.publish(env, batch);
                }
            }
            Waits::Outcome { until, .. } if now >= *until => {
                return self.resolve(env, Outcome::Ambiguous("no answer".to_owned()));
            }
            Waits::Checkpoint { lane, until, .. } if now >= *until => {
                let lane = lane.clone();
                self.check(env, lane)?;
            }
            Waits::Resend { until } if now >= *until => {
                self.committing.waits = Waits::Nothing;
                if let Some(batch) = self.committing.committer.resend().map(<[Outgoing]>::to_vec) {
                    self.publish(env, batch);
                }
            }
            Waits::Outcome { .. } | Waits::Checkpoint { .. } | Waits::Resend { .. } => {}
        }
        Ok(())
    }

    fn publish(&mut self, env: &mut Env, mut messages: Vec<Outgoing>) {
        match env.bug {
            Some(Bug::NoGuard) => bug::without_guards(&mut messages),
            Some(Bug::MergedLanes) => bug::merged(&mut messages),
            Some(Bug::AckBeforeCommit) => {
                for (subject, checkpoint) in bug::checkpoints(&messages) {
                    let member = lane_of(subject).and_then(|lane| self.lanes.get_mut(&lane));
                    member.into_iter().for_each(|member| member.lane.committed(checkpoint.covered));
                }
            }
            Some(Bug::SameEpoch | Bug::KeptViews) | None => {}
        }
        let until = self.clock(env) + TIMEOUT;
        let call = self.send(env, What::Batch(Batch { messages, purpose: Purpose::Commit }));
        self.committing.waits = Waits::Outcome { call, until };
    }

    pub(super) fn answered_commit(&mut self, env: &mut Env, call: u64, answer: Answer) -> Result<(), Violation> {
        match (&self.committing.waits, answer) {
            (Waits::Outcome { call: of, .. }, Answer::Stored(outcome)) if *of == call => self.resolve(env, outcome),
            (Waits::Checkpoint { call: of, .. }, Answer::Checkpoints(mut found)) if *of == call => {
                self.committing.waits = Waits::Nothing;
                let actions = self.committing.committer.checked(found.pop().flatten());
                self.act(env, actions)
            }
            // It came too late.
            _ => Ok(()),
        }
    }

    fn resolve(&mut self, env: &mut Env, outcome: Outcome) -> Result<(), Violation> {
        env.trace.count(
            match &outcome {
                Outcome::Committed(_) => "batches committed",
                Outcome::GuardRejected => "guards rejected",
                Outcome::Ambiguous(_) => "answers missing",
                Outcome::Refused(_) => "batches refused",
                Outcome::Unavailable(..) => "batches not taken",
            },
            1,
        );
        self.committing.waits = Waits::Nothing;
        let actions = self.committing.committer.resolve(outcome);
        self.act(env, actions)
    }

    /// Asks the leader for a lane's checkpoint.
    fn check(&mut self, env: &mut Env, lane: LaneId) -> Result<(), Violation> {
        let Some(subject) = self.committing.committer.checkpoint_subject(&lane).cloned() else {
            let actions = self.committing.committer.checked(None);
            return self.act(env, actions);
        };
        let until = self.clock(env) + TIMEOUT;
        let call = self.send(env, What::Read(vec![subject]));
        self.committing.waits = Waits::Checkpoint { lane, call, until };
        Ok(())
    }

    fn act(&mut self, env: &mut Env, actions: Vec<Action>) -> Result<(), Violation> {
        for action in actions {
            env.note(format_args!("{}: {action:?}", Shown(self.id)));
            match action {
                Action::Committed { lane, covered, replays, suspects } => {
                    self.notify(&lane, Notice::Committed { covered, replays, suspects });
                }
                Action::Check(lane) => self.check(env, lane)?,
                Action::Resend(_) => {
                    self.committing.resent += 1;
                    let until = self.clock(env) + backoff(Sequence(1), self.committing.resent);
                    self.committing.waits = Waits::Resend { until };
                }
                Action::Reset { lane, incarnation, covered, condemned, refused } => {
                    env.trace.count("lanes reset", 1);
                    env.trace.count("inputs refused", condemned.is_some().into());
                    self.notify(&lane, Notice::Reset { incarnation, covered, condemned, refused });
                }
                Action::Released { lane } => {
                    env.trace.count("lanes released", 1);
                    self.notify(&lane, Notice::Released);
                }
                Action::Lost { lane, epoch } => {
                    env.trace.count("lanes lost", 1);
                    self.notify(&lane, Notice::Lost(epoch));
                }
                Action::Halt { lane, reason } => return Err(Violation(format!("{lane} halts: {reason}"))),
            }
        }
        Ok(())
    }

    /// Tells a lane something, which it hears at its next turn.
    fn notify(&mut self, lane: &LaneId, notice: Notice) {
        self.lanes.get_mut(lane).into_iter().for_each(|member| member.notices.push_back(notice.clone()));
    }
}
