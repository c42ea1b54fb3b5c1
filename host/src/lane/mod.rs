//! A lane as a state machine: takes inputs in stream order, says what to run next, and what to do with the outcome.
//! No I/O, no clock: time is passed in.
//!
//! [`task`] is the shell around it, [`runner`] runs slices of inputs, [`views`] is what they read. [`replay`] is for
//! inputs that run again, [`dedupe`] for those that must not, [`gaps`] for those that are gone.

pub mod alone;
pub mod care;
pub mod dedupe;
pub mod gaps;
mod inputs;
pub mod parked;
pub mod queue;
mod relapses;
pub mod replay;
pub mod runner;
mod step;
pub mod task;
pub mod version;
pub mod views;

use std::sync::Arc;
use std::time::Instant;

use self::care::{Care, Next};
use self::gaps::{Gaps, Met};
use self::inputs::{Inputs, Made};
use self::parked::Parked;
pub use self::step::{GivenUp, Input, Ran, Slice, Step, Verdict};
use crate::dlq;
use crate::event::{Delivery, Mark, Sequence};
use crate::policy::breaker::Permit;
use crate::policy::{self, Cause, CauseKind, Decision, Failed, Failure, OnFailure, Rules};

/// The most inputs of a slice.
const SLICE: usize = 256;
/// The most inputs that a lane runs ahead of the commit.
const AHEAD: usize = 4_096;

/// One lane.
#[derive(Debug)]
pub struct Lane {
    rules: Rules,
    /// The most payload bytes that wait to be run, and that run ahead of the commit; and the most of what those led to.
    most_bytes: usize,
    incarnation: u32,
    /// The last input or mark taken in; what is at or below it was seen before.
    seen: Sequence,
    queue: Inputs,
    /// The slice that runs, and whether a reset has made it void.
    running: Option<Running>,
    /// Inputs that ran and are not committed yet.
    ahead: Inputs,
    /// The bytes that they led to, up to which input.
    made: Made,
    mark: Option<Mark>,
    attempt: u32,
    wake: Option<Instant>,
    fresh: bool,
    condemned: Option<(Sequence, Failure)>,
    care: Option<Care>,
    /// Whether no other lane of the host runs inputs that may end it.
    is_alone: bool,
    parked: Parked,
    gaps: Gaps,
    stopping: bool,
}

#[derive(Debug)]
struct Running {
    inputs: Vec<Arc<Delivery>>,
    void: bool,
}

impl Lane {
    /// A lane that stands at `covered` and follows `rules`. It holds up to `bytes` of payloads that wait, as many that
    /// ran ahead of the commit, and about as many of what those led to.
    pub fn new(covered: Sequence, rules: Rules, bytes: usize) -> Self {
        Self {
            rules,
            most_bytes: bytes,
            incarnation: 0,
            seen: covered,
            queue: Inputs::default(),
            running: None,
            ahead: Inputs::default(),
            made: Made::default(),
            mark: None,
            attempt: 0,
            wake: None,
            fresh: false,
            condemned: None,
            care: None,
            is_alone: false,
            parked: Parked::default(),
            gaps: Gaps::default(),
            stopping: false,
        }
    }

    /// The same lane, which does so about gaps.
    pub fn with_gaps(self, gaps: Gaps) -> Self {
        Self { gaps, ..self }
    }

    /// The same lane, run with care.
    pub fn with_care(self, care: Care) -> Self {
        Self { care: Some(care), ..self }
    }

    /// The same lane, some of whose keys are parked.
    pub fn with_parked(self, parked: Parked) -> Self {
        Self { parked, ..self }
    }

    /// What it follows.
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// Its parked keys.
    pub fn parked(&mut self) -> &mut Parked {
        &mut self.parked
    }

    /// Whether it is to run while no other lane of the host runs inputs that may end it; tell with
    /// [`be_alone`](Self::be_alone) that it is so.
    pub fn wants_to_be_alone(&self) -> bool {
        let has_work = !self.queue.is_empty() || self.running.is_some() || !self.ahead.is_empty();
        has_work && !self.stopping && self.care.is_some_and(|care| care.is_single())
    }

    /// Whether no other lane of the host runs inputs that may end it.
    pub fn be_alone(&mut self, is_alone: bool) {
        self.is_alone = is_alone;
    }

    /// Counts the resets: marks what is handed to the committer.
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// Whether the lane has room for more inputs.
    pub fn is_hungry(&self) -> bool {
        self.queue.len() < SLICE && self.queue.bytes() < self.most_bytes && !self.stopping && !self.gaps.is_open()
    }

    /// Whether it has inputs to run.
    pub fn has_inputs(&self) -> bool {
        !self.queue.is_empty()
    }

    /// How many inputs wait to be run.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The place between two slices: all inputs of the lane up to here were run, and none behind it.
    pub fn behind(&self) -> Sequence {
        self.queue.first().map_or(self.seen, |next| Sequence(next.sequence().0.saturating_sub(1)))
    }

    /// Takes an input in. One that was seen before is dropped: readers may begin too early, never too late.
    pub fn offer(&mut self, input: Input) {
        match input {
            Input::Delivery(delivery) if delivery.sequence() > self.seen => {
                self.seen = delivery.sequence();
                self.mark = None;
                let ends = self.care.as_mut().and_then(|care| care.gives_up(delivery.sequence()));
                if let Some(ends) = ends {
                    self.condemned = Some((delivery.sequence(), Failure::Crash(ends)));
                }
                self.gaps.begun();
                self.queue.push(delivery);
            }
            Input::Covered(mark) if mark.sequence > self.seen => {
                self.seen = mark.sequence;
                self.mark = Some(mark);
                self.gaps.begun();
            }
            Input::Gap(gap) => match self.gaps.meet(gap, self.seen) {
                Met::Passed => {}
                Met::Start(gap) => {
                    self.seen = gap.last;
                    self.mark = Some(gap.mark());
                }
                Met::Lacks(gap) => {
                    self.seen = gap.last;
                    self.mark = None;
                }
            },
            Input::Delivery(_) | Input::Covered(_) => {}
        }
    }

    /// What a lane that ends covers besides its inputs, when its reader has handed it all up to `read`: nothing, as long
    /// as it has inputs or stands before a gap.
    pub fn at_end(&mut self, read: Option<Mark>) -> Option<Mark> {
        if !self.queue.is_empty() || self.running.is_some() || self.gaps.is_open() {
            return None;
        }
        let begins = self.gaps.starts();
        let is_further = |mark: &Mark| mark.sequence > self.seen || (begins && mark.sequence == self.seen);
        read.filter(is_further).or(self.mark.take())
    }

    /// What to do next. `permit` is asked only if there is something to run.
    pub fn step(&mut self, now: Instant, permit: impl FnOnce() -> Permit) -> Step {
        if self.running.is_some() || self.stopping {
            return Step::Wait;
        }
        if let Some(wake) = self.wake.filter(|wake| *wake > now) {
            return Step::Until(wake);
        }
        let Some(next) = self.queue.first() else {
            return self.gaps.step().unwrap_or_else(|| self.mark.take().map_or(Step::Wait, Step::Cover));
        };
        if self.ahead.len() >= AHEAD || self.ahead.bytes().max(self.made.bytes()) >= self.most_bytes {
            return Step::Wait;
        }
        if let Some(behind) = next.key().and_then(|key| self.parked.behind(key)) {
            return self.park(behind);
        }
        self.care.take_if(|care| care.is_over(next.sequence()));
        let most = match self.care.as_mut() {
            None => SLICE,
            Some(care) if !self.ahead.is_empty() || (care.is_single() && !self.is_alone) => return Step::Wait,
            Some(care) => match care.step() {
                Next::Run(inputs) => inputs,
                Next::Tell(suspect) => return Step::Tell(suspect),
                Next::Wait => return Step::Wait,
            },
        };
        let most = match permit() {
            Permit::Run => most,
            Permit::Probe => 1,
            Permit::Wait(until) => return Step::Until(until),
        };
        self.wake = None;
        let parked = &self.parked;
        let is_parked = |input: &Delivery| input.key().is_some_and(|key| parked.behind(key).is_some());
        let inputs = self.queue.take(self.queue.count_while(most, |input| !is_parked(input)));
        self.running = Some(Running { inputs: inputs.clone(), void: false });
        let (fresh, condemned) = (std::mem::take(&mut self.fresh), self.condemned.clone());
        Step::Run(Slice { inputs, fresh, condemned, again: false })
    }

    /// The next input waits behind the dead letter of the one at `behind`.
    fn park(&mut self, behind: Sequence) -> Step {
        let Some(input) = self.queue.take(1).pop() else { return Step::Wait };
        if let Some(key) = input.key() {
            self.parked.park(key.clone(), input.sequence(), true);
        }
        self.ahead.push(input.clone());
        let cause = Cause::new(CauseKind::Parked, format!("its key waits behind the dead letter of input {behind}"));
        Step::Park(GivenUp { input, cause, attempts: 0, log: Vec::new(), parks: true })
    }

    /// The slice that runs `input` again, between slices of the lane's own.
    pub fn again(&mut self, input: Arc<Delivery>) -> Slice {
        Slice { inputs: vec![input], fresh: std::mem::take(&mut self.fresh), condemned: None, again: true }
    }

    /// Takes what became of the slice that ran.
    pub fn ran(&mut self, ran: &Ran, now: Instant) -> Verdict {
        let Some(Running { inputs, void: false }) = self.running.take() else { return Verdict::Drop };
        let mut rest = Inputs::from_iter(inputs);
        let before = rest.len();
        for input in rest.take(ran.done) {
            self.attempt = 0;
            self.ahead.push(input);
        }
        self.made.push(self.ahead.last().map(|last| last.sequence()), ran.bytes);
        let verdict = match &ran.failed {
            Some(failed) => self.failed(&mut rest, failed, now),
            None => Verdict::Keep(None),
        };
        if let Some(care) = &mut self.care {
            care.ran(before - rest.len());
        }
        rest.append(&mut self.queue);
        self.queue = rest;
        verdict
    }

    /// Decides about the first of `rest`, which failed: it stays there, to be tried again or to halt before, or is given
    /// up.
    fn failed(&mut self, rest: &mut Inputs, Failed { failure, log }: &Failed, now: Instant) -> Verdict {
        let attempts = self.attempt + 1;
        let Some(input) = rest.first().cloned() else { return Verdict::Keep(None) };
        match policy::decide(failure, input.sequence(), attempts, self.rules) {
            Decision::Retry { after, counts } => {
                self.attempt += u32::from(counts);
                self.wake = Some(now + after);
                Verdict::Keep(None)
            }
            Decision::DeadLetter(cause) => {
                self.attempt = 0;
                rest.take(1);
                self.ahead.push(input.clone());
                // A longer key would not be known by its dead letter, nor fit into a subject.
                let fits = |key: &&Arc<str>| self.rules.on_failure == OnFailure::ParkKey && key.len() <= dlq::CUT;
                let key = input.key().filter(fits);
                let parks = key.is_some();
                key.into_iter().for_each(|key| self.parked.park(key.clone(), input.sequence(), false));
                Verdict::Keep(Some(GivenUp { input, cause, attempts, log: log.clone(), parks }))
            }
            Decision::Halt(cause) => Verdict::Halt(input.sequence(), cause),
        }
    }

    /// It is stored that the lane is about to run inputs that may end the host.
    pub fn told(&mut self) {
        if let Some(care) = &mut self.care {
            care.told();
        }
    }

    /// Everything up to `covered` is committed.
    pub fn committed(&mut self, covered: Sequence) {
        self.ahead.skip_while(|input| input.sequence() <= covered);
        self.made.committed(covered);
        self.parked.committed(covered);
        self.gaps.committed(covered);
        if self.condemned.as_ref().is_some_and(|(sequence, _)| *sequence <= covered) {
            self.condemned = None;
        }
    }

    /// Drops all that was computed ahead: the lane begins again behind `covered`, on a fresh instance and fresh views.
    pub fn reset(&mut self, incarnation: u32, covered: Sequence, condemned: Option<(Sequence, String)>) {
        self.incarnation = incarnation;
        self.fresh = true;
        self.made = Made::default();
        self.condemned = condemned.map(|(sequence, reason)| (sequence, Failure::Refused(reason)));
        self.attempt = 0;
        self.wake = None;
        self.care.iter_mut().for_each(Care::reset);
        self.parked.reset(covered);
        if let Some(running) = &mut self.running {
            running.void = true;
            running.inputs.drain(..).for_each(|input| self.ahead.push(input));
        }
        self.ahead.append(&mut self.queue);
        self.queue = std::mem::take(&mut self.ahead);
        self.queue.skip_while(|input| input.sequence() <= covered);
        self.mark = None;
        let before_gap = self.gaps.reset(covered);
        self.seen = before_gap.or(self.queue.last().map(|last| last.sequence())).unwrap_or(covered);
    }

    /// Starts nothing more.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Whether it was stopped.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }
}

#[cfg(test)]
mod tests;
