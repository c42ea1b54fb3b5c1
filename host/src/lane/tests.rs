use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;

use super::*;
use crate::commit::checkpoint::Suspect;
use crate::event::{Gap, Message};
use crate::policy::{CauseKind, Failure, OnFailure};

mod bounds;
mod care;
mod gaps;
mod model;

const ATTEMPTS: u32 = 3;
const BYTES: usize = 16 << 20;
const RULES: Rules = Rules { attempts: ATTEMPTS, on_failure: OnFailure::DeadLetter };
/// Longer than any pause.
const LATER: Duration = Duration::from_secs(60);

fn large_input(sequence: u64, bytes: usize) -> Input {
    let message = Message {
        sequence: Sequence(sequence),
        stored: OffsetDateTime::UNIX_EPOCH,
        subject: "s".to_owned(),
        headers: Vec::new(),
        payload: Bytes::from(vec![0; bytes]),
    };
    let input = Err(crate::route::KeyError::Empty.into());
    Input::Delivery(Arc::new(Delivery { message: Arc::new(message), input }))
}

fn input(sequence: u64) -> Input {
    large_input(sequence, 0)
}

fn covered(sequence: u64) -> Input {
    Input::Covered(Mark { sequence: Sequence(sequence), fingerprint: None })
}

fn sequences(inputs: &[Arc<Delivery>]) -> Vec<u64> {
    inputs.iter().map(|input| input.sequence().0).collect()
}

/// A lane, and the time.
struct Rig {
    lane: Lane,
    now: Instant,
    /// What each slice leads to.
    bytes: usize,
}

impl Rig {
    /// A lane at 0 that was offered `inputs`.
    fn new(inputs: impl IntoIterator<Item = u64>) -> Self {
        let mut lane = Lane::new(Sequence(0), RULES, BYTES);
        inputs.into_iter().for_each(|sequence| lane.offer(input(sequence)));
        Self { lane, now: Instant::now(), bytes: 0 }
    }

    fn step(&mut self) -> Step {
        self.lane.step(self.now, || Permit::Run)
    }

    fn slice(&mut self) -> Slice {
        match self.step() {
            Step::Run(slice) => slice,
            other => panic!("{other:?}"),
        }
    }

    /// The inputs to run next.
    fn runs(&mut self) -> Vec<u64> {
        sequences(&self.slice().inputs)
    }

    fn waits(&mut self) -> bool {
        matches!(self.step(), Step::Wait)
    }

    /// Reports that `done` inputs of the slice gave effects, and what became of the next.
    fn ran(&mut self, done: usize, failure: Option<Failure>) -> Verdict {
        self.lane.ran(&Ran { done, bytes: self.bytes, failed: failure.map(Failed::from) }, self.now)
    }

    fn given_up(&mut self, done: usize, failure: Failure) -> GivenUp {
        match self.ran(done, Some(failure)) {
            Verdict::Keep(Some(given_up)) => given_up,
            other => panic!("{other:?}"),
        }
    }

    fn kept(&mut self, done: usize, failure: Option<Failure>) {
        let verdict = self.ran(done, failure);
        assert!(matches!(verdict, Verdict::Keep(None)), "{verdict:?}");
    }

    fn reset(&mut self, incarnation: u32, covered: u64) {
        self.lane.reset(incarnation, Sequence(covered), None);
    }
}

fn retry() -> Failure {
    Failure::Retry(Some(Duration::from_secs(5)))
}

fn reject() -> Failure {
    Failure::Reject("no".to_owned())
}

#[test]
fn inputs_run_in_order_and_those_seen_before_are_dropped() {
    let mut lane = Rig { lane: Lane::new(Sequence(10), RULES, BYTES), now: Instant::now(), bytes: 0 };
    for sequence in [9, 10, 11, 12, 12, 11, 15, 14] {
        lane.lane.offer(input(sequence));
    }
    assert_eq!(lane.runs(), [11, 12, 15]);
}

#[test]
fn one_slice_runs_at_a_time_and_is_bounded() {
    let mut lane = Rig::new(1..=300);
    assert_eq!(lane.runs(), Vec::from_iter(1..=256));
    assert!(lane.waits());
    lane.kept(256, None);
    assert_eq!(lane.runs(), Vec::from_iter(257..=300));
}

#[test]
fn a_lane_is_hungry_until_a_slice_waits() {
    let mut lane = Rig::new(1..=255);
    assert!(lane.lane.is_hungry());
    lane.lane.offer(input(256));
    assert!(!lane.lane.is_hungry());
    lane.runs();
    assert!(lane.lane.is_hungry());
    lane.lane.stop();
    assert!(!lane.lane.is_hungry());
}

#[test]
fn a_retry_waits_and_keeps_the_order() {
    let mut lane = Rig::new(1..=4);
    lane.runs();
    lane.kept(1, Some(retry()));
    lane.lane.offer(input(5));
    let wake = lane.now + Duration::from_secs(5);
    assert!(matches!(lane.step(), Step::Until(until) if until == wake));
    lane.now = wake;
    assert_eq!(lane.runs(), [2, 3, 4, 5]);
}

#[test]
fn an_input_that_is_given_up_becomes_a_dead_letter_and_the_next_one_runs() {
    let mut lane = Rig::new(1..=3);
    for attempt in 1..ATTEMPTS {
        assert_eq!(lane.runs()[0], 1, "{attempt}");
        lane.kept(0, Some(retry()));
        lane.now += LATER;
    }
    lane.runs();
    let given_up = lane.given_up(0, retry());
    assert_eq!(
        (given_up.input.sequence(), given_up.cause.kind, given_up.attempts),
        (Sequence(1), CauseKind::Retry, ATTEMPTS)
    );
    assert_eq!(lane.runs(), [2, 3]);
    let given_up = lane.given_up(0, reject());
    assert_eq!(
        (given_up.input.sequence(), given_up.cause.kind, given_up.attempts),
        (Sequence(2), CauseKind::Reject, 1)
    );
    assert_eq!(lane.runs(), [3]);
}

#[test]
fn a_slice_that_works_uses_up_no_attempts_of_the_next_input() {
    let mut lane = Rig::new(1..=2);
    lane.runs();
    lane.kept(0, Some(retry()));
    lane.now += LATER;
    lane.runs();
    lane.kept(1, Some(retry()));
    lane.now += LATER;
    assert_eq!(lane.runs(), [2]);
    lane.kept(0, Some(retry()));
}

#[test]
fn an_interruption_uses_up_no_attempts() {
    let mut lane = Rig::new([1]);
    for _ in 0..100 {
        assert_eq!(lane.runs(), [1]);
        lane.kept(0, Some(Failure::Interrupted("away".to_owned())));
        assert!(matches!(lane.step(), Step::Until(_)));
        lane.now += LATER;
    }
    for _ in 1..ATTEMPTS {
        lane.runs();
        lane.kept(0, Some(retry()));
        lane.now += LATER;
    }
}

#[test]
fn a_reset_runs_again_what_is_not_committed() {
    let mut lane = Rig::new(1..=6);
    lane.runs();
    lane.kept(5, Some(retry()));
    lane.lane.committed(Sequence(2));
    lane.lane.offer(input(7));
    lane.reset(1, 3);
    assert_eq!(lane.lane.incarnation(), 1);
    let slice = lane.slice();
    assert_eq!((sequences(&slice.inputs), slice.fresh), (vec![4, 5, 6, 7], true));
    lane.kept(4, None);
    lane.lane.offer(input(8));
    assert!(!lane.slice().fresh, "views are forgotten once");
}

#[test]
fn a_reset_voids_the_slice_that_runs() {
    let mut lane = Rig::new(1..=4);
    lane.runs();
    lane.lane.offer(input(5));
    lane.reset(1, 1);
    assert!(lane.waits(), "the instance is busy with the void slice");
    assert!(matches!(lane.ran(3, Some(reject())), Verdict::Drop));
    assert_eq!(lane.runs(), [2, 3, 4, 5]);
    lane.reset(2, 1);
    lane.reset(3, 3);
    assert!(matches!(lane.ran(4, None), Verdict::Drop));
    assert_eq!(lane.runs(), [4, 5]);
}

#[test]
fn a_reset_forgets_attempts_and_pauses() {
    let mut lane = Rig::new([1]);
    for _ in 0..3 {
        for _ in 1..ATTEMPTS {
            assert_eq!(lane.runs(), [1]);
            lane.kept(0, Some(retry()));
            lane.now += LATER;
        }
        lane.reset(1, 0);
    }
    lane.runs();
    lane.kept(0, Some(retry()));
    lane.reset(2, 0);
    assert_eq!(lane.runs(), [1], "without a pause");
}

#[test]
fn a_reset_to_a_later_position_drops_what_is_done() {
    let mut lane = Rig::new(1..=4);
    lane.reset(1, 9);
    assert!(lane.waits());
    for sequence in [5, 9, 10] {
        lane.lane.offer(input(sequence));
    }
    assert_eq!(lane.runs(), [10]);
}

#[test]
fn a_condemned_input_stays_so_until_it_is_committed() {
    let mut lane = Rig::new(1..=3);
    lane.lane.reset(1, Sequence(0), Some((Sequence(2), "too large".to_owned())));
    let condemned = |slice: &Slice| slice.condemned.as_ref().map(|(sequence, _)| sequence.0);
    assert_eq!(condemned(&lane.slice()), Some(2));
    lane.kept(1, Some(retry()));
    lane.lane.committed(Sequence(1));
    lane.now += LATER;
    assert_eq!(condemned(&lane.slice()), Some(2));
    lane.kept(2, None);
    lane.lane.committed(Sequence(2));
    lane.lane.offer(input(4));
    assert_eq!(condemned(&lane.slice()), None);
}

#[test]
fn a_position_without_inputs_is_covered_once() {
    let mut lane = Rig::new([]);
    lane.lane.offer(covered(5));
    lane.lane.offer(covered(4));
    assert!(matches!(lane.step(), Step::Cover(mark) if mark.sequence == Sequence(5)));
    assert!(lane.waits());
    lane.lane.offer(covered(5));
    lane.lane.offer(input(5));
    assert!(lane.waits(), "what is at or below a mark was seen");
    lane.lane.offer(input(6));
    assert_eq!(lane.runs(), [6]);
}

#[test]
fn a_position_is_covered_after_the_inputs_before_it() {
    let mut lane = Rig::new([1]);
    lane.lane.offer(covered(3));
    assert_eq!(lane.runs(), [1]);
    assert!(lane.waits());
    lane.kept(0, Some(retry()));
    assert!(matches!(lane.step(), Step::Until(_)));
    lane.now += LATER;
    assert_eq!(lane.runs(), [1]);
    lane.kept(1, None);
    assert!(matches!(lane.step(), Step::Cover(mark) if mark.sequence == Sequence(3)));
}

#[test]
fn an_input_behind_a_mark_covers_it_too() {
    let mut lane = Rig::new([]);
    lane.lane.offer(covered(3));
    lane.lane.offer(input(4));
    assert_eq!(lane.runs(), [4]);
    lane.kept(1, None);
    assert!(lane.waits());
}

#[test]
fn a_reset_drops_a_mark_and_takes_it_again() {
    let mut lane = Rig::new([]);
    lane.lane.offer(covered(5));
    lane.reset(1, 2);
    assert!(lane.waits());
    lane.lane.offer(covered(5));
    assert!(matches!(lane.step(), Step::Cover(mark) if mark.sequence == Sequence(5)));
}

#[test]
fn a_stopped_lane_keeps_what_ran_and_starts_nothing() {
    let mut lane = Rig::new(1..=300);
    lane.runs();
    lane.lane.stop();
    assert!(lane.lane.is_stopping());
    lane.kept(256, None);
    lane.lane.offer(covered(400));
    assert!(lane.waits());
}

#[test]
fn an_open_breaker_lets_nothing_run_and_then_one_input() {
    let mut lane = Rig::new(1..=3);
    let (now, until) = (lane.now, lane.now + LATER);
    assert!(matches!(lane.lane.step(now, || Permit::Wait(until)), Step::Until(time) if time == until));
    let Step::Run(slice) = lane.lane.step(now, || Permit::Probe) else { panic!("no probe") };
    assert_eq!(sequences(&slice.inputs), [1]);
    lane.kept(1, None);
    assert_eq!(lane.runs(), [2, 3]);
}

#[test]
fn nobody_asks_the_breaker_when_there_is_nothing_to_run() {
    let mut lane = Rig::new([]);
    let now = lane.now;
    assert!(matches!(lane.lane.step(now, || panic!("asked")), Step::Wait));
}

#[test]
fn a_lane_that_halts_keeps_the_input_for_later() {
    let mut lane = Rig::new(1..=3);
    lane.lane.rules.on_failure = OnFailure::Halt;
    assert_eq!(lane.runs(), [1, 2, 3]);
    let verdict = lane.ran(1, Some(reject()));
    assert!(matches!(verdict, Verdict::Halt(Sequence(2), Cause { kind: CauseKind::Reject, .. })), "{verdict:?}");
    assert_eq!(lane.runs(), [2, 3]);
}
