//! A lane whose owners ended one after the other before it got on.

use super::*;

/// A lane at 0 that so many owners lost, where inputs up to 10 were there when the last one ended.
fn careful(takeovers: u32, inputs: impl IntoIterator<Item = u64>) -> Rig {
    let mut lane = Lane::new(Sequence(0), RULES, BYTES).with_care(takeovers, Sequence(10));
    inputs.into_iter().for_each(|sequence| lane.offer(input(sequence)));
    Rig { lane, now: Instant::now() }
}

#[test]
fn it_runs_one_input_at_a_time_and_waits_for_its_commit() {
    let mut rig = careful(policy::CARE, [3, 5, 12]);
    for sequence in [3, 5] {
        assert_eq!(rig.runs(), [sequence]);
        rig.kept(1, None);
        assert!(rig.waits(), "{sequence} is not committed");
        rig.lane.committed(Sequence(sequence));
    }
    assert!(rig.lane.needs_care());
    assert_eq!(rig.runs(), [12]);
}

#[test]
fn it_needs_care_until_all_is_done_that_was_there_or_so_many_inputs_went_well() {
    let mut rig = careful(policy::CARE, [3]);
    assert_eq!(rig.runs(), [3]);
    rig.kept(1, None);
    rig.lane.committed(Sequence(3));
    assert!(rig.lane.needs_care(), "what stands behind 3 was not handed in yet");
    rig.lane.offer(covered(10));
    assert!(!rig.lane.needs_care());

    let mut rig = careful(policy::CARE, 1..=10);
    let mut last = 0;
    while rig.lane.needs_care() {
        last += 1;
        rig.lane.offer(input(last + 10));
        assert_eq!(rig.runs(), [last]);
        rig.kept(1, None);
        rig.lane.committed(Sequence(last));
    }
    assert_eq!(last, SLICE as u64);
}

#[test]
fn after_enough_owners_its_first_input_is_given_up_and_no_other() {
    let mut rig = careful(policy::CRASHES, [3, 5]);
    let slice = rig.slice();
    assert!(matches!(slice.condemned, Some((Sequence(3), Failure::Crash(policy::CRASHES)))), "{slice:?}");
    let given_up = rig.given_up(0, Failure::Crash(policy::CRASHES));
    assert_eq!((given_up.input.sequence(), given_up.cause.kind), (Sequence(3), CauseKind::Crash));
    rig.lane.committed(Sequence(3));
    assert!(rig.slice().condemned.is_none());

    let mut later = careful(policy::CRASHES, [11]);
    assert!(later.slice().condemned.is_none(), "it was not there when the last owner ended");
    let mut fewer = careful(policy::CRASHES - 1, [3]);
    assert!(fewer.slice().condemned.is_none());
}
