//! What a lane does about messages that were removed before it had them.

use super::*;
use crate::policy::OnGap;

fn gap(first: u64, last: u64) -> Input {
    Input::Gap(Gap { first: Sequence(first), last: Sequence(last) })
}

/// A lane at `covered` that does so about gaps; `starts` if nobody ever ran it.
fn lane(covered: u64, on_gap: OnGap, starts: bool) -> Rig {
    let lane = Lane::new(Sequence(covered), RULES, BYTES).with_gaps(Gaps::new(on_gap, starts));
    Rig { lane, now: Instant::now(), bytes: 0 }
}

/// The gap that is to become a dead letter now.
fn skips(rig: &mut Rig) -> (u64, u64) {
    match rig.step() {
        Step::Skip(gap) => (gap.first.0, gap.last.0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_gap_halts_the_lane_behind_the_inputs_before_it() {
    let mut rig = lane(3, OnGap::Halt, false);
    rig.lane.offer(input(4));
    rig.lane.offer(gap(5, 9));
    assert!(!rig.lane.is_hungry(), "nothing behind the gap is taken in");
    assert_eq!(rig.runs(), [4]);
    rig.kept(1, None);
    assert!(matches!(rig.step(), Step::Halt(Gap { first: Sequence(5), last: Sequence(9) })));
    assert!(rig.waits());
}

#[test]
fn a_gap_that_is_skipped_is_committed_before_anything_behind_it_is_taken_in() {
    let mut rig = lane(3, OnGap::Skip, false);
    rig.lane.offer(gap(4, 9));
    assert_eq!(skips(&mut rig), (4, 9));
    assert!(rig.waits() && !rig.lane.is_hungry());
    rig.lane.committed(Sequence(9));
    assert!(rig.lane.is_hungry());
    for sequence in [9, 10] {
        rig.lane.offer(input(sequence));
    }
    assert_eq!(rig.runs(), [10]);
}

#[test]
fn what_the_lane_has_seen_is_no_part_of_a_gap() {
    let mut rig = lane(6, OnGap::Skip, false);
    rig.lane.offer(gap(1, 6));
    assert!(rig.lane.is_hungry() && rig.waits());
    rig.lane.offer(gap(1, 8));
    assert_eq!(skips(&mut rig), (7, 8));
}

#[test]
fn a_lane_that_nobody_ran_begins_where_its_stream_does() {
    let mut rig = lane(0, OnGap::Halt, true);
    rig.lane.offer(gap(1, 4));
    assert!(matches!(rig.step(), Step::Cover(Mark { sequence: Sequence(4), fingerprint: None })));
    rig.lane.offer(gap(5, 9));
    assert!(matches!(rig.step(), Step::Halt(_)), "it has begun");
    for seen in [input(3), covered(3)] {
        let mut rig = lane(2, OnGap::Halt, true);
        rig.lane.offer(seen);
        rig.lane.offer(gap(4, 9));
        assert!(!rig.lane.is_hungry(), "it has begun");
    }
}

#[test]
fn a_gap_whose_step_was_dropped_is_met_again_and_one_that_landed_is_not() {
    let mut rig = lane(3, OnGap::Skip, false);
    rig.lane.offer(input(4));
    rig.lane.offer(gap(5, 9));
    rig.runs();
    rig.kept(1, None);
    assert_eq!(skips(&mut rig), (5, 9));
    rig.reset(1, 3);
    assert!(!rig.lane.is_hungry());
    assert_eq!(rig.runs(), [4]);
    rig.kept(1, None);
    assert_eq!(skips(&mut rig), (5, 9));
    rig.reset(2, 9);
    assert!(rig.lane.is_hungry() && rig.waits());
    rig.lane.offer(input(10));
    assert_eq!(rig.runs(), [10]);
}

#[test]
fn a_lane_that_ends_covers_what_its_reader_saw_unless_something_is_left_before_it() {
    let mark = |sequence| Some(Mark { sequence: Sequence(sequence), fingerprint: None });
    let mut rig = lane(3, OnGap::Halt, false);
    assert_eq!(rig.lane.at_end(mark(9)), mark(9));
    assert_eq!(rig.lane.at_end(mark(3)), None, "nothing is new");
    assert_eq!(rig.lane.at_end(None), None);
    rig.lane.offer(covered(5));
    assert_eq!(rig.lane.at_end(None), mark(5), "it knew itself");
    rig.lane.offer(input(6));
    assert_eq!(rig.lane.at_end(mark(9)), None, "an input waits");
    rig.runs();
    assert_eq!(rig.lane.at_end(mark(9)), None, "an input runs");
    rig.kept(1, None);
    assert_eq!(rig.lane.at_end(mark(9)), mark(9));
    rig.lane.offer(gap(7, 8));
    assert_eq!(rig.lane.at_end(mark(9)), None, "a gap is open");
    assert_eq!(lane(3, OnGap::Halt, true).lane.at_end(mark(3)), mark(3), "its reader has begun");
}
