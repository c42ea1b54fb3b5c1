//! How far a lane runs ahead of the commit.

use super::*;

#[test]
fn a_lane_runs_only_so_many_inputs_ahead_of_the_commit() {
    let mut lane = Rig::new(1..=AHEAD as u64 + 1);
    for _ in 0..AHEAD / SLICE {
        assert_eq!(lane.runs().len(), SLICE);
        lane.kept(SLICE, None);
    }
    assert!(lane.waits());
    lane.lane.committed(Sequence(1));
    assert_eq!(lane.runs(), [AHEAD as u64 + 1]);
}

#[test]
fn a_lane_runs_only_so_many_bytes_ahead_of_the_commit() {
    let mut lane = Rig::new([]);
    for sequence in 1..=2 {
        lane.lane.offer(large_input(sequence, BYTES / 2));
    }
    assert_eq!(lane.runs(), [1, 2]);
    lane.kept(2, None);
    lane.lane.offer(input(3));
    assert!(lane.waits());
    lane.lane.committed(Sequence(1));
    assert_eq!(lane.runs(), [3]);
}

#[test]
fn inputs_that_are_given_up_count_as_bytes_ahead() {
    let mut lane = Rig::new([]);
    for sequence in 1..=3 {
        lane.lane.offer(large_input(sequence, BYTES / 2));
    }
    for _ in 0..2 {
        lane.runs();
        lane.given_up(0, reject());
    }
    assert!(lane.waits());
    lane.lane.committed(Sequence(1));
    assert_eq!(lane.runs(), [3]);
}

#[test]
fn a_reset_makes_room_again() {
    let mut lane = Rig::new([]);
    lane.lane.offer(large_input(1, BYTES));
    lane.runs();
    lane.kept(1, None);
    lane.lane.offer(input(2));
    assert!(lane.waits());
    lane.reset(1, 0);
    assert_eq!(lane.runs(), [1, 2]);
}

#[test]
fn what_inputs_lead_to_counts_as_bytes_ahead_until_its_slice_is_committed() {
    let mut lane = Rig::new([1, 2]);
    lane.bytes = BYTES;
    assert_eq!(lane.runs(), [1, 2]);
    lane.kept(2, None);
    lane.lane.offer(input(3));
    assert!(lane.waits());
    lane.lane.committed(Sequence(1));
    assert!(lane.waits());
    lane.lane.committed(Sequence(2));
    assert_eq!(lane.runs(), [3]);
    lane.kept(1, None);
    lane.lane.offer(input(4));
    assert!(lane.waits());
    lane.reset(1, 2);
    assert_eq!(lane.runs(), [3, 4], "what is void counts no more");
}
