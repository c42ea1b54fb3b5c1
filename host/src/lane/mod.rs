//! A lane as a state machine: takes inputs in stream order, says what to run next, and what to do with the outcome.
//! No I/O, no clock: time is passed in.
//!
//! [`task`] is the shell around it, [`runner`] runs slices of inputs, [`views`] is what they read. [`replay`] is for
//! inputs that run again, [`dedupe`] for those that must not, [`gaps`] for those that are gone.

pub mod dedupe;
pub mod gaps;
mod inputs;
pub mod queue;
pub mod replay;
pub mod runner;
pub mod task;
pub mod version;
pub mod views;

use std::sync::Arc;
use std::time::Instant;

use self::gaps::{Gaps, Met};
use self::inputs::Inputs;
use crate::event::{Delivery, Gap, Mark, Sequence};
use crate::policy::breaker::Permit;
use crate::policy::{self, Cause, Decision, Failed, Failure, Rules};

/// What a lane's reader hands it.
#[derive(Clone, Debug)]
pub enum Input {
    /// An input of the lane.
    Delivery(Arc<Delivery>),
    /// The reader has come this far, and nothing since the last input was for the lane.
    Covered(Mark),
    /// These were removed before the reader had them, and may have been the lane's.
    Gap(Gap),
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Run these inputs, in order, and report with [`Lane::ran`].
    Run(Slice),
    /// Hand a step without effects to the committer: all up to here is done.
    Cover(Mark),
    /// Hand a step to the committer that keeps this gap as a dead letter: the lane goes on behind it.
    Skip(Gap),
    /// Stop the module before this gap.
    Halt(Gap),
    /// Nothing before this time, unless something is handed in.
    Until(Instant),
    /// Nothing, until something is handed in.
    Wait,
}

/// Inputs to run on one instance.
#[derive(Clone, Debug)]
pub struct Slice {
    /// The inputs.
    pub inputs: Vec<Arc<Delivery>>,
    /// Whether views and instance must be forgotten first.
    pub fresh: bool,
    /// An input that is given up without a try, and why.
    pub condemned: Option<(Sequence, Failure)>,
}

/// What became of a slice: how many of its inputs are done, and why the next one is not.
#[derive(Debug)]
pub struct Ran {
    /// Inputs that gave effects.
    pub done: usize,
    /// Why the one after them did not.
    pub failed: Option<Failed>,
}

/// An input that is given up.
#[derive(Clone, Debug)]
pub struct GivenUp {
    /// The input.
    pub input: Arc<Delivery>,
    /// Why.
    pub cause: Cause,
    /// How often it was tried.
    pub attempts: u32,
    /// What the guest logged last, oldest first.
    pub log: Vec<String>,
}

/// What to do with what a slice gave.
#[derive(Debug)]
pub enum Verdict {
    /// Commit it, and the dead letter behind it if there is one.
    Keep(Option<GivenUp>),
    /// Commit it, and stop the module before the input at this position, for this reason.
    Halt(Sequence, Cause),
    /// Drop it: the lane was reset meanwhile.
    Drop,
}

/// The most inputs of a slice.
const SLICE: usize = 256;
/// The most inputs that a lane runs ahead of the commit.
const AHEAD: usize = 4_096;

/// One lane.
#[derive(Debug)]
pub struct Lane {
    rules: Rules,
    /// The most payload bytes that wait to be run, and that run ahead of the commit.
    most_bytes: usize,
    incarnation: u32,
    /// The last input or mark taken in; what is at or below it was seen before.
    seen: Sequence,
    queue: Inputs,
    /// The slice that runs, and whether a reset has made it void.
    running: Option<Running>,
    /// Inputs that ran and are not committed yet.
    ahead: Inputs,
    mark: Option<Mark>,
    attempt: u32,
    wake: Option<Instant>,
    fresh: bool,
    condemned: Option<(Sequence, Failure)>,
    gaps: Gaps,
    stopping: bool,
}

#[derive(Debug)]
struct Running {
    inputs: Vec<Arc<Delivery>>,
    void: bool,
}

impl Lane {
    /// A lane that stands at `covered` and follows `rules`. It holds up to `bytes` of payloads that wait, and as many that
    /// ran ahead of the commit.
    pub fn new(covered: Sequence, rules: Rules, bytes: usize) -> Self {
        Self {
            rules,
            most_bytes: bytes,
            incarnation: 0,
            seen: covered,
            queue: Inputs::default(),
            running: None,
            ahead: Inputs::default(),
            mark: None,
            attempt: 0,
            wake: None,
            fresh: false,
            condemned: None,
            gaps: Gaps::default(),
            stopping: false,
        }
    }

    /// The same lane, which does so about gaps.
    pub fn with_gaps(self, gaps: Gaps) -> Self {
        Self { gaps, ..self }
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

    /// Takes an input in. One that was seen before is dropped: readers may begin too early, never too late.
    pub fn offer(&mut self, input: Input) {
        match input {
            Input::Delivery(delivery) if delivery.sequence() > self.seen => {
                self.seen = delivery.sequence();
                self.mark = None;
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
        if self.queue.is_empty() {
            return self.gaps.step().unwrap_or_else(|| self.mark.take().map_or(Step::Wait, Step::Cover));
        }
        if self.ahead.len() >= AHEAD || self.ahead.bytes() >= self.most_bytes {
            return Step::Wait;
        }
        let most = match permit() {
            Permit::Run => SLICE,
            Permit::Probe => 1,
            Permit::Wait(until) => return Step::Until(until),
        };
        self.wake = None;
        let inputs = self.queue.take(most);
        self.running = Some(Running { inputs: inputs.clone(), void: false });
        Step::Run(Slice { inputs, fresh: std::mem::take(&mut self.fresh), condemned: self.condemned.clone() })
    }

    /// The slice that runs `input` again, between slices of the lane's own.
    pub fn again(&mut self, input: Arc<Delivery>) -> Slice {
        Slice { inputs: vec![input], fresh: std::mem::take(&mut self.fresh), condemned: None }
    }

    /// Takes what became of the slice that ran.
    pub fn ran(&mut self, ran: &Ran, now: Instant) -> Verdict {
        let Some(Running { inputs, void: false }) = self.running.take() else { return Verdict::Drop };
        let mut rest = Inputs::from_iter(inputs);
        for input in rest.take(ran.done) {
            self.attempt = 0;
            self.ahead.push(input);
        }
        let verdict = match &ran.failed {
            Some(failed) => self.failed(&mut rest, failed, now),
            None => Verdict::Keep(None),
        };
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
                Verdict::Keep(Some(GivenUp { input, cause, attempts, log: log.clone() }))
            }
            Decision::Halt(cause) => Verdict::Halt(input.sequence(), cause),
        }
    }

    /// Everything up to `covered` is committed.
    pub fn committed(&mut self, covered: Sequence) {
        self.ahead.skip_while(|input| input.sequence() <= covered);
        self.gaps.committed(covered);
        if self.condemned.as_ref().is_some_and(|(sequence, _)| *sequence <= covered) {
            self.condemned = None;
        }
    }

    /// Drops all that was computed ahead: the lane begins again behind `covered`, on a fresh instance and fresh views.
    pub fn reset(&mut self, incarnation: u32, covered: Sequence, condemned: Option<(Sequence, String)>) {
        self.incarnation = incarnation;
        self.fresh = true;
        self.condemned = condemned.map(|(sequence, reason)| (sequence, Failure::Refused(reason)));
        self.attempt = 0;
        self.wake = None;
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
