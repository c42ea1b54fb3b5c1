//! A lane as one host runs it: the real state machine and views, with a reader and a runner of the simulation's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::bug::Bug;
use super::env::Env;
use super::module::Module;
use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::commit::task::Notice;
use crate::commit::{Covers, Done, LaneId};
use crate::dlq::{self, By};
use crate::event::Sequence;
use crate::lane::care::Care;
use crate::lane::views::{Fetch, Views};
use crate::lane::{GivenUp, Input, Lane, Ran, Slice, Step, Verdict};
use crate::policy::CauseKind;
use crate::policy::breaker::Breaker;

/// A lane at work.
pub struct Member {
    pub id: LaneId,
    pub lane: Lane,
    /// What the committer told it, and it has not heard yet.
    pub notices: VecDeque<Notice>,
    module: Arc<Module>,
    views: Views,
    /// Up to here its reader has read.
    read: u64,
    /// What the slice that runs will give.
    running: Option<(Vec<Done>, Ran)>,
    /// Whether the committer is to give it up.
    releases: bool,
}

/// What a lane asks of the committer.
pub enum Asks {
    Nothing,
    Commit(Vec<Done>),
    Release,
}

impl Member {
    /// A lane that a host has taken, when the input stream ended at `last`.
    pub fn new(module: &Arc<Module>, number: u16, owned: &Stored<Checkpoint>, (fetch, last): (Fetch, u64)) -> Self {
        let covered = owned.value.covered;
        let mut lane = Lane::new(covered, module.rules, module.inputs);
        if let Some(suspect) = owned.value.suspect {
            lane = lane.with_care(Care::new(suspect, Sequence(last)));
        }
        let is_new = owned.value.is_first();
        Self {
            id: LaneId { module: module.name.clone(), lane: number },
            lane,
            views: Views::new(module.origin.clone(), module.grants.clone(), fetch, is_new, module.views),
            notices: VecDeque::new(),
            module: module.clone(),
            read: covered.0,
            running: None,
            releases: false,
        }
    }

    /// Its reader hands it what comes next, up to so many messages of the stream, and may tell how far it is.
    pub fn read(&mut self, env: &mut Env, most: u64) {
        for _ in 0..most {
            let Some(input) = env.inputs.get(self.read + 1).filter(|_| self.lane.is_hungry()) else { break };
            self.read += 1;
            if input.lane(self.module.lanes) == self.id.lane {
                self.lane.offer(Input::Delivery(input.delivery.clone()));
            }
        }
        if let Some(input) = env.inputs.get(self.read).filter(|_| env.random.percent(30)) {
            self.lane.offer(Input::Covered(input.mark));
        }
    }

    /// Its reader begins anew, too early.
    pub fn reread(&mut self, env: &mut Env) {
        self.read -= env.random.below(self.read + 1).min(8);
    }

    /// It hears what the committer told it. If that ends it, whether another host has it.
    pub fn hear(&mut self) -> Option<bool> {
        while let Some(notice) = self.notices.pop_front() {
            match notice {
                Notice::Committed { covered, suspects, .. } => {
                    self.lane.committed(covered);
                    if suspects {
                        self.lane.told();
                    }
                }
                Notice::Reset { incarnation, covered, condemned, .. } => {
                    self.lane.reset(incarnation, covered, condemned)
                }
                Notice::Released | Notice::Halt(_) => return Some(false),
                Notice::Lost(_) => return Some(true),
            }
        }
        None
    }

    /// It takes one step: begins a slice, or ends it.
    pub fn turn(&mut self, env: &mut Env, breaker: &mut Breaker, now: Instant) -> Asks {
        if self.releases {
            return Asks::Nothing;
        }
        if let Some((steps, ran)) = self.running.take() {
            return self.finish(env, breaker, steps, &ran, now);
        }
        if self.lane.is_stopping() {
            self.releases = true;
            return Asks::Release;
        }
        self.lane.be_alone(true);
        match self.lane.step(now, || breaker.permit(now)) {
            Step::Run(slice) => {
                self.running = Some(self.run(env, &slice));
                Asks::Nothing
            }
            Step::Cover(mark) => Asks::Commit(vec![Done::nothing(Covers::Read(mark))]),
            Step::Tell(suspect) => Asks::Commit(vec![Done::nothing(Covers::Suspects(suspect))]),
            Step::Until(_) | Step::Wait => Asks::Nothing,
            Step::Park(_) | Step::Skip(_) | Step::Halt(_) => unreachable!("no key is parked, and nothing is removed"),
        }
    }

    fn run(&mut self, env: &mut Env, slice: &Slice) -> (Vec<Done>, Ran) {
        if slice.fresh && env.bug != Some(Bug::KeptViews) {
            self.views.forget();
        }
        let mut steps = Vec::new();
        for input in &slice.inputs {
            let condemned = slice.condemned.as_ref().filter(|(sequence, _)| *sequence == input.sequence());
            let step = match condemned {
                Some((_, failure)) => Err(failure.clone()),
                None => {
                    let kind = env.inputs.get(input.sequence().0).unwrap().kind;
                    self.module.call(kind, &mut self.views, input, &env.bounds, &mut env.random)
                }
            };
            match step {
                Ok(step) => steps.push(step),
                Err(failure) => {
                    let ran = Ran { done: steps.len(), bytes: 0, failed: Some(failure.into()) };
                    return (steps, ran);
                }
            }
        }
        let done = steps.len();
        (steps, Ran { done, bytes: 0, failed: None })
    }

    fn finish(&mut self, env: &mut Env, breaker: &mut Breaker, mut steps: Vec<Done>, ran: &Ran, now: Instant) -> Asks {
        if ran.done > 0 {
            breaker.succeeded();
        }
        match self.lane.ran(ran, now) {
            Verdict::Drop => {
                env.trace.count("slices dropped", 1);
                return Asks::Nothing;
            }
            Verdict::Halt(..) => unreachable!("no module halts on a failure"),
            Verdict::Keep(None) => {}
            Verdict::Keep(Some(given_up)) => {
                if given_up.cause.kind != CauseKind::Retry && breaker.failed(now).is_some() {
                    env.trace.count("breakers opened", 1);
                }
                steps.push(self.dead_letter(env, given_up));
            }
        }
        if steps.is_empty() { Asks::Nothing } else { Asks::Commit(steps) }
    }

    fn dead_letter(&self, env: &Env, given_up: GivenUp) -> Done {
        let by = By { origin: &self.module.origin, lane: self.id.lane, plugin: "sha256:1" };
        let (input, kind) = (given_up.input.clone(), given_up.cause.kind);
        let letter = dlq::message(by, given_up, &env.bounds);
        Done { own: vec![letter], given_up: Some(kind), ..Done::nothing(Covers::Input(input)) }
    }
}
