//! How a host takes lanes over, and looks whose those are that another host says it owns: what `host/share.rs` and
//! `commit/ledger.rs` do, one question to the server at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Violation;
use super::bug::Bug;
use super::env::{Answer, Batch, Env, Purpose, What};
use super::host::{Host, Job};
use super::member::Member;
use super::module::Module;
use crate::commit::LaneId;
use crate::commit::batch::Outcome;
use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::commit::committer::checkpoint_message;
use crate::event::Sequence;

/// How long an answer is waited for.
pub const TIMEOUT: Duration = Duration::from_secs(2);

/// A question that waits for its answer.
pub struct Busy {
    pub call: u64,
    until: Instant,
    asks: Asks,
}

enum Asks {
    /// Whose these are.
    Settle(Arc<Module>, Vec<u16>),
    /// How far those are that are to be taken.
    Read(Arc<Module>, Vec<u16>),
    /// Whether they are taken.
    Write(Arc<Module>, BTreeMap<u16, Checkpoint>),
}

impl Host {
    pub(super) fn begin(&mut self, env: &mut Env, job: Job) {
        let (Job::Take(module, lanes) | Job::Settle(module, lanes)) = &job;
        let subjects = lanes.iter().map(|lane| module.checkpoint(*lane)).collect();
        let asks = match &job {
            Job::Take(..) => Asks::Read(module.clone(), lanes.clone()),
            Job::Settle(..) => Asks::Settle(module.clone(), lanes.clone()),
        };
        self.ask(env, What::Read(subjects), asks);
    }

    fn ask(&mut self, env: &mut Env, what: What, asks: Asks) {
        let (call, until) = (self.send(env, what), self.clock(env) + TIMEOUT);
        self.busy = Some(Busy { call, until, asks });
    }

    /// No answer came in time.
    pub(super) fn give_up_waiting(&mut self, env: &Env) {
        let now = self.clock(env);
        match self.busy.take_if(|busy| now >= busy.until).map(|busy| busy.asks) {
            Some(Asks::Read(module, lanes)) => self.refused(now, &module, lanes),
            Some(Asks::Write(module, taking)) => self.refused(now, &module, taking.into_keys()),
            Some(Asks::Settle(..)) | None => {}
        }
    }

    /// Lanes could not be taken.
    fn refused(&mut self, now: Instant, module: &Module, lanes: impl IntoIterator<Item = u16>) {
        let Some(slot) = self.slots.get_mut(&module.name) else { return };
        lanes.into_iter().for_each(|lane| slot.claims.refused(lane, now));
    }

    pub(super) fn answered_busy(&mut self, env: &mut Env, answer: Answer) -> Result<(), Violation> {
        let now = self.clock(env);
        match (self.busy.take().map(|busy| busy.asks), answer) {
            (Some(Asks::Settle(module, lanes)), Answer::Checkpoints(found)) => {
                for (lane, found) in lanes.into_iter().zip(found) {
                    if found.unwrap().value.owner != Some(self.id) {
                        self.stop(&module.name, lane);
                    }
                }
            }
            (Some(Asks::Read(module, lanes)), Answer::Checkpoints(found)) => self.take(env, module, &lanes, found),
            (Some(Asks::Write(module, taking)), Answer::Stored(outcome)) => match outcome {
                Outcome::Committed(last) => self.taken(env, &module, taking, last),
                // Another host writes one of them at the same time: each by itself.
                Outcome::GuardRejected if taking.len() > 1 => {
                    let each = taking.into_keys().rev().map(|lane| Job::Take(module.clone(), vec![lane]));
                    each.for_each(|job| self.jobs.push_front(job));
                }
                Outcome::Refused(reason) => return Err(Violation(format!("a takeover was refused: {reason}"))),
                Outcome::GuardRejected | Outcome::Ambiguous(_) | Outcome::Unavailable(..) => {
                    self.refused(now, &module, taking.into_keys());
                }
            },
            (asks, _) => unreachable!("another answer than was asked for: {}", asks.is_some()),
        }
        Ok(())
    }

    fn take(&mut self, env: &mut Env, module: Arc<Module>, lanes: &[u16], found: Vec<Option<Stored<Checkpoint>>>) {
        let (mut messages, mut taking) = (Vec::new(), BTreeMap::new());
        for (lane, found) in lanes.iter().zip(found) {
            let Stored { value, revision } = found.unwrap();
            let mut next = value.taken_over(self.id, |host| self.members.lives(host));
            if env.bug == Some(Bug::SameEpoch) {
                next.epoch = value.epoch;
            }
            messages.push(checkpoint_message(&module.checkpoint(*lane), &next, revision));
            taking.insert(*lane, next);
        }
        self.ask(env, What::Batch(Batch { messages, purpose: Purpose::Take }), Asks::Write(module, taking));
    }

    fn taken(&mut self, env: &mut Env, module: &Arc<Module>, taking: BTreeMap<u16, Checkpoint>, last: Sequence) {
        let (now, first) = (self.clock(env), last.0 + 1 - taking.len() as u64);
        env.trace.count("lanes taken over", taking.len() as u64);
        for ((lane, value), revision) in taking.into_iter().zip(first..) {
            let owned = Stored { value, revision: Sequence(revision) };
            let id = LaneId { module: module.name.clone(), lane };
            let mut member = Member::new(module, lane, &owned, (self.fetch(env), env.inputs.last()));
            if self.leaving {
                member.lane.stop();
            }
            self.committing.attach(&id, owned);
            self.lanes.insert(id, member);
            if let Some(slot) = self.slots.get_mut(&module.name) {
                slot.claims.taken(lane, now);
            }
        }
        self.tell();
    }
}
