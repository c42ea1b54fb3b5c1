//! Replays of dead letters as steps of their lanes.

use super::*;
use crate::commit::checkpoint::Suspect;

/// A replay, which removes the dead letter of the input at `sequence`.
fn replay(sequence: u64) -> Done {
    let removal = crate::dlq::removal(format!("pelton.shop.dlq.m.0.{sequence}"), Sequence(90 + sequence));
    Done { events: step(sequence).events, own: vec![removal], ..Done::nothing(Covers::Again) }
}

#[test]
fn a_replay_is_guarded_by_dead_letter_and_checkpoint_and_moves_no_position() {
    let mut committer = committer(1, ROOMY);
    committer.submit(&id(0), 0, vec![replay(1)]);
    assert_eq!(next(&mut committer), ["events.e.1", "dlq.m.0.1@91", "ckpt.m.1.0@10 0"]);
    let done = Action::Committed { lane: id(0), covered: Sequence(0), replays: 1, suspects: false };
    assert_eq!(committer.resolve(Outcome::Committed(Sequence(20))), [done]);
    committer.submit(&id(0), 0, vec![step(2), replay(1), replay(3)]);
    let expected = ["events.e.2", "events.e.1", "dlq.m.0.1@91", "events.e.3", "dlq.m.0.3@93", "ckpt.m.1.0@20 2"];
    assert_eq!(next(&mut committer), expected);
    let done = Action::Committed { lane: id(0), covered: Sequence(2), replays: 2, suspects: false };
    assert_eq!(committer.resolve(Outcome::Committed(Sequence(30))), [done]);
}

#[test]
fn a_replay_whose_answer_was_lost_begins_the_lane_anew_if_anything_landed() {
    let mut committer = committer(1, ROOMY);
    committer.submit(&id(0), 0, vec![replay(1)]);
    next(&mut committer);
    let value = sent(&committer, 0);
    committer.resolve(ambiguous());
    let stored = Stored { value: value.clone(), revision: Sequence(10) };
    assert!(matches!(committer.checked(Some(stored)).as_slice(), [Action::Resend(_)]), "not there");
    committer.resend();
    committer.resolve(ambiguous());
    assert_eq!(committer.checked(Some(Stored { value, revision: Sequence(13) })), [reset(0, 1, 0)]);
}

#[test]
fn a_replay_is_not_taken_for_one_before_it_that_landed_late() {
    let mut committer = committer(2, ROOMY);
    committer.submit(&id(0), 0, vec![step(1)]);
    committer.submit(&id(1), 0, vec![replay(1)]);
    next(&mut committer);
    let replayed = sent(&committer, 1);
    // It seems not to be there, is sent again, and lands late: the guards of the second one are rejected.
    assert_eq!(committer.resolve(ambiguous()), [Action::Check(id(0))]);
    let before = Stored { value: checkpoint(1, 0), revision: Sequence(10) };
    assert!(matches!(committer.checked(Some(before)).as_slice(), [Action::Resend(_)]));
    committer.resend();
    assert_eq!(committer.resolve(Outcome::GuardRejected), []);
    committer.submit(&id(1), 0, vec![replay(3)]);
    next(&mut committer);
    committer.resolve(Outcome::Committed(Sequence(20)));
    assert_eq!(next(&mut committer), ["events.e.1", "dlq.m.0.1@91", "events.e.3", "dlq.m.0.3@93", "ckpt.m.1.1@11 0"]);
    assert_eq!(committer.resolve(Outcome::GuardRejected), [Action::Check(id(1))]);
    let landed = Stored { value: replayed, revision: Sequence(15) };
    assert_eq!(committer.checked(Some(landed)), [reset(1, 1, 0)], "the second replay is not done");
}

#[test]
fn a_replay_that_the_server_refuses_begins_the_lane_anew_and_condemns_nothing() {
    let mut committer = committer(1, ROOMY);
    committer.submit(&id(0), 0, vec![replay(1)]);
    next(&mut committer);
    let refused_replay = Action::Reset {
        lane: id(0),
        incarnation: 1,
        covered: Sequence(0),
        condemned: None,
        refused: Some("bad header".to_owned()),
    };
    assert_eq!(committer.resolve(refused()), [refused_replay]);
}

/// A lane that is about to run an input that may end the host.
fn suspects() -> (Done, Suspect) {
    let suspect = Suspect { inputs: 1, ends: 2, runs: true };
    (Done::nothing(Covers::Suspects(suspect)), suspect)
}

#[test]
fn what_a_lane_is_about_to_run_stands_in_its_checkpoint_until_that_is_done() {
    let mut committer = committer(1, ROOMY);
    let (tells, suspect) = suspects();
    committer.submit(&id(0), 0, vec![tells, replay(1)]);
    next(&mut committer);
    assert_eq!(sent(&committer, 0).suspect, Some(suspect));
    let told = Action::Committed { lane: id(0), covered: Sequence(0), replays: 1, suspects: true };
    assert_eq!(committer.resolve(Outcome::Committed(Sequence(20))), [told]);
    committer.submit(&id(0), 0, vec![step(2)]);
    next(&mut committer);
    assert_eq!(sent(&committer, 0).suspect, None);
    assert_eq!(committer.resolve(Outcome::Committed(Sequence(30))), [committed(0, 2)]);
}
