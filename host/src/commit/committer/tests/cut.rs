//! What the committer makes of a batch of which the server stored only the first messages.

use super::*;

/// Three lanes: an event and a write, two events, an event; each with its checkpoint. Stored up to `stored`, from 100 on.
fn cut(stored: usize) -> (Committer, Vec<Action>, Revision) {
    let mut committer = committer(3, ROOMY);
    let revision = Revision::unknown();
    let writing = Done { writes: vec![write("a", "1", &revision, false)], ..step(1) };
    committer.submit(&id(0), 0, vec![writing]);
    committer.submit(&id(1), 0, vec![step(2), step(3)]);
    committer.submit(&id(2), 0, vec![step(4)]);
    let all = ["events.e.1", "v.1.a 1", "ckpt.m.1.0@10 1", "events.e.2", "events.e.3", "ckpt.m.1.1@11 3"];
    assert_eq!(next(&mut committer)[..6], all);
    let actions = committer.cut(Sequence(100), stored, "full".to_owned());
    (committer, actions, revision)
}

fn resend() -> Action {
    Action::Resend("full".to_owned())
}

#[test]
fn of_the_lane_that_is_cut_only_the_rest_is_sent() {
    let (mut committer, actions, revision) = cut(4);
    assert_eq!(actions, [committed(0, 1), resend()]);
    assert_eq!(revision.get(), Some(Sequence(101)));
    assert!(committer.next_batch().is_none(), "the rest waits");
    assert_eq!(shown(committer.resend().unwrap()), ["events.e.3", "ckpt.m.1.1@11 3"]);
    assert_eq!(committer.resolve(Outcome::Committed(Sequence(201))), [committed(1, 3)]);
    committer.submit(&id(1), 0, vec![idle(5)]);
    assert_eq!(next(&mut committer), ["ckpt.m.1.1@201 5", "events.e.4", "ckpt.m.1.2@12 4"]);
}

#[test]
fn the_rest_may_be_cut_again() {
    let (mut committer, actions, revision) = cut(1);
    assert_eq!((actions.as_slice(), revision.get()), ([resend()].as_slice(), None));
    assert_eq!(shown(committer.resend().unwrap()), ["v.1.a 1", "ckpt.m.1.0@10 1"]);
    assert_eq!(committer.cut(Sequence(200), 1, "full".to_owned()), [resend()]);
    assert_eq!(revision.get(), Some(Sequence(200)));
    assert_eq!(shown(committer.resend().unwrap()), ["ckpt.m.1.0@10 1"]);
    assert_eq!(committer.resolve(Outcome::Committed(Sequence(300))), [committed(0, 1)]);
    committer.submit(&id(0), 0, vec![idle(5)]);
    assert!(has(&next(&mut committer), "ckpt.m.1.0@300 5"));
}

#[test]
fn a_cut_between_two_lanes_leaves_no_rest() {
    let (mut committer, actions, _) = cut(3);
    assert_eq!(actions, [committed(0, 1)]);
    assert!(has(&next(&mut committer), "events.e.2"));
}

#[test]
fn the_rest_is_never_built_anew_while_its_lane_is_ours() {
    let (mut committer, _, _) = cut(4);
    let rest = shown(committer.resend().unwrap());
    for _ in 0..50 {
        assert_eq!(committer.resolve(ambiguous()), [Action::Check(id(1))]);
        let stored = Stored { value: checkpoint(1, 0), revision: Sequence(11) };
        assert!(matches!(committer.checked(Some(stored)).as_slice(), [Action::Resend(_)]));
        assert_eq!(shown(committer.resend().unwrap()), rest);
    }
    assert!(matches!(committer.resolve(refused()).as_slice(), [Action::Halt { lane, .. }] if *lane == id(1)));
}

#[test]
fn the_rest_of_a_lane_that_was_lost_is_dropped() {
    let (mut committer, _, _) = cut(4);
    committer.resend();
    assert_eq!(committer.resolve(Outcome::GuardRejected), [Action::Check(id(1))]);
    let stored = Stored { value: checkpoint(2, 0), revision: Sequence(90) };
    assert_eq!(committer.checked(Some(stored)), [Action::Lost { lane: id(1), epoch: 2 }]);
    assert!(!has(&next(&mut committer), "events.e.3"));
}
