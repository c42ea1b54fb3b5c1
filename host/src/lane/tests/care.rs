//! A lane whose owner ended without a word while it ran inputs.

use super::*;
use crate::commit::checkpoint::SUSPECTS;
use crate::lane::care::ENDS;

/// Inputs up to here were there when the last owner ended.
const UNTIL: u64 = 100;

/// A lane at 0 of which this is suspected, that was offered these inputs.
fn careful(inputs: u32, ends: u32, offered: impl IntoIterator<Item = u64>) -> Rig {
    let care = Care::new(Suspect { inputs, ends, runs: false }, Sequence(UNTIL));
    let mut lane = Lane::new(Sequence(0), RULES, BYTES).with_care(care);
    offered.into_iter().for_each(|sequence| lane.offer(input(sequence)));
    Rig { lane, now: Instant::now(), bytes: 0 }
}

/// What it tells that it is about to run.
fn told(rig: &mut Rig) -> Suspect {
    match rig.step() {
        Step::Tell(suspect) => suspect,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_slice_is_small_told_of_before_and_committed_before_the_next() {
    let mut rig = careful(SUSPECTS, 0, 1..=40);
    assert_eq!(told(&mut rig), Suspect { inputs: SUSPECTS, ends: 0, runs: true });
    assert!(rig.waits(), "it is not stored yet");
    rig.lane.told();
    assert_eq!(rig.runs(), Vec::from_iter(1..=16));
    rig.kept(16, None);
    assert!(rig.waits(), "what ran is not committed");
    rig.lane.committed(Sequence(16));
    told(&mut rig);
    rig.lane.told();
    assert_eq!(rig.runs(), Vec::from_iter(17..=32));
}

#[test]
fn inputs_of_a_slice_that_ended_an_owner_run_by_themselves_and_while_no_other_lane_does() {
    let mut rig = careful(1, 0, 1..=40);
    assert!(rig.lane.wants_to_be_alone());
    assert!(rig.waits(), "others run theirs");
    rig.lane.be_alone(true);
    for sequence in 1..=u64::from(SUSPECTS) {
        assert_eq!(told(&mut rig), Suspect { inputs: 1, ends: 0, runs: true });
        rig.lane.told();
        assert_eq!(rig.runs(), [sequence]);
        rig.kept(1, None);
        rig.lane.committed(Sequence(sequence));
    }
    assert!(!rig.lane.wants_to_be_alone(), "the slice that ended the owner is done");
    assert_eq!(told(&mut rig).inputs, SUSPECTS);
}

#[test]
fn an_input_that_ended_enough_owners_alone_is_given_up_and_no_other() {
    let mut fewer = careful(1, ENDS - 1, [3, 5]);
    fewer.lane.be_alone(true);
    assert_eq!(told(&mut fewer), Suspect { inputs: 1, ends: ENDS - 1, runs: true });
    fewer.lane.told();
    assert!(fewer.slice().condemned.is_none());

    let mut rig = careful(1, ENDS, [3, 5]);
    rig.lane.be_alone(true);
    told(&mut rig);
    rig.lane.told();
    assert!(matches!(rig.slice().condemned, Some((Sequence(3), Failure::Crash(ENDS)))));
    let given_up = rig.given_up(0, Failure::Crash(ENDS));
    assert_eq!((given_up.input.sequence(), given_up.cause.kind), (Sequence(3), CauseKind::Crash));
    rig.lane.committed(Sequence(3));
    assert_eq!(told(&mut rig), Suspect { inputs: 1, ends: 0, runs: true }, "the next one did nothing yet");
    rig.lane.told();
    assert!(rig.slice().condemned.is_none());

    let mut later = careful(1, ENDS, [UNTIL + 1]);
    assert!(later.slice().condemned.is_none(), "it was not there when the last owner ended");
}

#[test]
fn care_ends_with_what_was_there_when_the_owner_ended() {
    let mut rig = careful(SUSPECTS, 0, [UNTIL, UNTIL + 1, UNTIL + 2]);
    told(&mut rig);
    rig.lane.told();
    assert_eq!(rig.runs(), [UNTIL, UNTIL + 1, UNTIL + 2]);
    rig.kept(3, None);
    rig.lane.offer(input(UNTIL + 3));
    assert_eq!(rig.runs(), [UNTIL + 3], "nothing is told, nothing waited for");
}

#[test]
fn after_a_reset_it_is_told_anew() {
    let mut rig = careful(SUSPECTS, 0, 1..=3);
    told(&mut rig);
    rig.reset(1, 0);
    told(&mut rig);
    rig.lane.told();
    assert_eq!(rig.runs(), [1, 2, 3]);
    rig.kept(0, Some(retry()));
    rig.now += LATER;
    assert_eq!(rig.runs(), [1, 2, 3], "what is still to run is told");
}
