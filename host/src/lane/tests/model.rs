//! Drives a lane at random beside a simple model of what it must do.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// What may happen to a lane.
#[derive(Clone, Debug)]
enum Op {
    /// The reader comes on by this much, and finds an input there or nothing.
    Read { by: u64, input: bool },
    /// The reader repeats itself.
    Repeat(Index),
    /// The lane is asked what to do, later by this many seconds.
    Step(u64),
    /// The slice ends, all of it or before an input that fails.
    Ran(Option<(Index, Ends)>),
    /// Part of what ran is committed.
    Commit(Index),
    /// The lane begins again behind a part of what was read.
    Reset(Index),
}

#[derive(Clone, Copy, Debug)]
enum Ends {
    Retry,
    Reject,
    Interrupted,
}

fn op() -> impl Strategy<Value = Op> {
    let ends = prop::sample::select(vec![Ends::Retry, Ends::Reject, Ends::Interrupted]);
    prop_oneof![
        4 => (1..4_u64, prop::bool::weighted(0.8)).prop_map(|(by, input)| Op::Read { by, input }),
        1 => any::<Index>().prop_map(Op::Repeat),
        4 => (0..40_u64).prop_map(Op::Step),
        4 => prop::option::of((any::<Index>(), ends)).prop_map(Op::Ran),
        2 => any::<Index>().prop_map(Op::Commit),
        1 => any::<Index>().prop_map(Op::Reset),
    ]
}

/// What must hold of a lane: it is at one place in the row of its inputs, runs what comes next, and goes back only when
/// it is reset.
struct Model {
    rig: Rig,
    inputs: Vec<u64>,
    read: u64,
    /// All inputs up to here ran and were kept.
    ran: u64,
    committed: u64,
    covered: u64,
    /// The slice that runs; none if it is void.
    running: Option<Option<Vec<u64>>>,
    /// How often the next input asked to be tried again.
    tries: u32,
    incarnation: u32,
}

impl Model {
    fn new() -> Self {
        let (rig, inputs) = (Rig::new([]), Vec::new());
        Self { rig, inputs, read: 0, ran: 0, committed: 0, covered: 0, running: None, tries: 0, incarnation: 0 }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Read { by, input: true } => {
                self.read += by;
                self.inputs.push(self.read);
                self.rig.lane.offer(input(self.read));
            }
            Op::Read { by, input: false } => {
                self.read += by;
                self.rig.lane.offer(covered(self.read));
            }
            Op::Repeat(at) if !self.inputs.is_empty() => self.rig.lane.offer(input(*at.get(&self.inputs))),
            Op::Repeat(_) => {}
            Op::Step(seconds) => self.step(Duration::from_secs(*seconds)),
            Op::Ran(fails) => self.finish(*fails),
            Op::Commit(at) => {
                self.committed = self.between(at, self.committed, self.ran);
                self.rig.lane.committed(Sequence(self.committed));
            }
            Op::Reset(at) => {
                let covered = self.between(at, self.committed, self.read);
                (self.committed, self.ran, self.covered, self.tries) = (covered, covered, covered, 0);
                self.running = self.running.take().map(|_| None);
                self.incarnation += 1;
                self.rig.reset(self.incarnation, covered);
            }
        }
    }

    fn between(&self, at: &Index, from: u64, to: u64) -> u64 {
        from + at.index((to - from + 1).try_into().unwrap()) as u64
    }

    fn next(&self) -> Vec<u64> {
        self.inputs.iter().copied().filter(|sequence| *sequence > self.ran).take(SLICE).collect()
    }

    fn step(&mut self, later: Duration) {
        self.rig.now += later;
        match self.rig.step() {
            Step::Run(slice) => {
                assert!(self.running.is_none());
                assert_eq!(sequences(&slice.inputs), self.next());
                self.running = Some(Some(sequences(&slice.inputs)));
            }
            Step::Cover(mark) => {
                assert!(self.running.is_none() && self.next().is_empty());
                assert!(mark.sequence.0 > self.ran.max(self.covered) && mark.sequence.0 <= self.read);
                self.covered = mark.sequence.0;
            }
            Step::Tell(_) | Step::Park(_) => panic!("nothing is suspected and no key waits"),
            Step::Skip(_) | Step::Halt(_) => panic!("nothing is lost"),
            Step::Until(wake) => assert!(wake > self.rig.now && self.running.is_none()),
            Step::Wait => assert!(self.running.is_some() || self.next().is_empty()),
        }
    }

    fn finish(&mut self, fails: Option<(Index, Ends)>) {
        let Some(running) = self.running.take() else { return };
        let length = running.as_ref().map_or(9, Vec::len);
        let done = fails.map_or(length, |(at, _)| at.index(length));
        let ends = fails.map(|(_, ends)| ends);
        let failure = ends.map(|ends| match ends {
            Ends::Retry => Failure::Retry(None),
            Ends::Reject => reject(),
            Ends::Interrupted => Failure::Interrupted("away".to_owned()),
        });
        let verdict = self.rig.ran(done, failure);
        let Some(slice) = running else { return assert!(matches!(verdict, Verdict::Drop)) };
        if let Some(last) = done.checked_sub(1) {
            (self.ran, self.tries) = (slice[last], 0);
        }
        self.tries += u32::from(matches!(ends, Some(Ends::Retry)));
        let gives_up = matches!(ends, Some(Ends::Reject)) || self.tries == ATTEMPTS;
        let Verdict::Keep(given_up) = verdict else { panic!("a slice that is not void was dropped") };
        assert_eq!(given_up.map(|given_up| given_up.input.sequence().0), gives_up.then(|| slice[done]));
        if gives_up {
            (self.ran, self.tries) = (slice[done], 0);
        }
    }
}

proptest! {
    #[test]
    fn every_input_runs_in_order_and_again_only_after_a_reset(ops in prop::collection::vec(op(), 0..120)) {
        let mut model = Model::new();
        ops.iter().for_each(|op| model.apply(op));
        // In the end all that was read has run.
        for _ in 0..2 {
            model.finish(None);
            model.step(LATER);
        }
        model.finish(None);
        prop_assert!(model.next().is_empty(), "{:?} did not run", model.next());
    }
}
