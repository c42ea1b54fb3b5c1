//! What the committer makes of the outcome of a batch.

use super::*;

#[test]
fn a_rejected_batch_is_halved_until_the_lane_to_blame_is_alone() {
    let mut committer = committer(5, ROOMY);
    (0..5).for_each(|lane| committer.submit(&id(lane), 0, vec![idle(1)]));
    let (batches, actions) = drain(&mut committer, |batch| match has(batch, "ckpt.m.1.3@13") {
        true => Outcome::GuardRejected,
        false => Outcome::Committed(Sequence(100)),
    });
    let lanes = |batch: &Vec<String>| batch.iter().map(|message| message[9..10].to_owned()).collect::<String>();
    assert_eq!(batches.iter().map(lanes).collect::<Vec<_>>(), ["01234", "012", "34", "3", "4"]);
    let expected =
        [committed(0, 1), committed(1, 1), committed(2, 1), Action::Check(id(3)), reset(3, 1, 0), committed(4, 1)];
    assert_eq!(actions, expected);
    assert!(committer.is_idle());
}

#[test]
fn the_second_half_is_tried_apart_though_others_have_more_to_commit() {
    let mut committer = committer(2, ROOMY);
    (0..2).for_each(|lane| committer.submit(&id(lane), 0, vec![idle(1)]));
    next(&mut committer);
    assert_eq!(committer.resolve(Outcome::GuardRejected), []);
    assert_eq!(next(&mut committer), ["ckpt.m.1.0@10 1"]);
    committer.submit(&id(0), 0, vec![idle(2)]);
    committer.resolve(Outcome::Committed(Sequence(20)));
    assert_eq!(next(&mut committer), ["ckpt.m.1.1@11 1"]);
}

#[test]
fn after_a_reset_a_lane_begins_anew_behind_what_is_stored() {
    let mut committer = committer(1, ROOMY);
    committer.submit(&id(0), 0, vec![step(1), step(2)]);
    next(&mut committer);
    assert_eq!(committer.resolve(Outcome::GuardRejected), [Action::Check(id(0))]);
    // What it computed ahead meanwhile is void too.
    committer.submit(&id(0), 0, vec![step(3)]);
    let stored = Stored { value: checkpoint(1, 1), revision: Sequence(30) };
    assert_eq!(committer.checked(Some(stored)), [reset(0, 1, 1)]);
    committer.submit(&id(0), 0, vec![step(4)]);
    assert!(committer.is_idle(), "computed before the reset");
    committer.submit(&id(0), 1, vec![step(2)]);
    assert_eq!(next(&mut committer), ["events.e.2", "ckpt.m.1.0@30 2"]);
}

#[test]
fn a_batch_without_a_clear_answer_is_decided_by_the_first_checkpoint() {
    let check = |stored: Option<(Checkpoint, u64)>| {
        let mut committer = committer(2, ROOMY);
        let revision = Revision::unknown();
        committer.submit(&id(0), 0, vec![writing(1, vec![write("a", "1", &revision, false)])]);
        committer.submit(&id(1), 0, vec![step(2), step(3)]);
        assert_eq!(next(&mut committer).len(), 5);
        assert_eq!(committer.resolve(ambiguous()), [Action::Check(id(0))]);
        let stored = stored.map(|(value, revision)| Stored { value, revision: Sequence(revision) });
        let actions = committer.checked(stored);
        (committer, actions, revision)
    };
    let landed =
        Checkpoint { position: Sequence(1), hash: Some(delivery(1).message.fingerprint()), ..checkpoint(1, 1) };

    let (mut committer, actions, revision) = check(Some((landed, 52)));
    assert_eq!(actions, [committed(0, 1)]);
    assert_eq!(revision.get(), Some(Sequence(51)));
    // The other lane is asked for itself.
    assert_eq!(next(&mut committer), ["events.e.2", "events.e.3", "ckpt.m.1.1@11 3"]);
    let landed = sent(&committer, 1);
    assert_eq!(committer.resolve(Outcome::GuardRejected), [Action::Check(id(1))]);
    let stored = Stored { value: landed, revision: Sequence(55) };
    assert_eq!(committer.checked(Some(stored)), [committed(1, 3)]);
    committer.submit(&id(0), 0, vec![idle(4)]);
    committer.submit(&id(1), 0, vec![idle(5)]);
    assert_eq!(next(&mut committer), ["ckpt.m.1.1@55 5", "ckpt.m.1.0@52 4"]);

    let (mut committer, actions, _) = check(Some((checkpoint(1, 0), 10)));
    assert!(matches!(actions.as_slice(), [Action::Resend(_)]));
    let resent = ["v.1.a 1", "ckpt.m.1.0@10 1", "events.e.2", "events.e.3", "ckpt.m.1.1@11 3"];
    assert_eq!(shown(committer.resend().unwrap()), resent);

    let others = |committer: &mut Committer| assert_eq!(next(committer), &resent[2..]);
    let (mut committer, actions, _) = check(Some((checkpoint(2, 0), 60)));
    assert_eq!(actions, [Action::Lost { lane: id(0), epoch: 2 }]);
    others(&mut committer);
    committer.submit(&id(0), 0, vec![step(9)]);
    committer.resolve(Outcome::Committed(Sequence(70)));
    assert!(committer.is_idle(), "a lost lane commits nothing");

    let (mut committer, actions, _) = check(Some((checkpoint(1, 7), 60)));
    assert_eq!(actions, [reset(0, 1, 7)]);
    others(&mut committer);

    let (mut committer, actions, _) = check(None);
    assert!(matches!(actions.as_slice(), [Action::Halt { lane, reason }] if *lane == id(0) && reason.contains("gone")));
    others(&mut committer);
}

#[test]
fn a_first_copy_that_arrives_late_is_recognised() {
    let mut committer = committer(1, ROOMY);
    committer.submit(&id(0), 0, vec![step(1)]);
    next(&mut committer);
    let landed = sent(&committer, 0);
    committer.resolve(ambiguous());
    committer.checked(Some(Stored { value: checkpoint(1, 0), revision: Sequence(10) }));
    committer.resend();
    assert_eq!(committer.resolve(Outcome::GuardRejected), [Action::Check(id(0))]);
    let stored = Stored { value: landed, revision: Sequence(30) };
    assert_eq!(committer.checked(Some(stored)), [committed(0, 1)]);
    committer.submit(&id(0), 0, vec![idle(2)]);
    assert_eq!(next(&mut committer), ["ckpt.m.1.0@30 2"]);
}

#[test]
fn a_batch_of_before_a_reset_that_lands_late_is_not_taken_for_the_one_in_hand() {
    let mut committer = committer(1, ROOMY);
    let revision = Revision::unknown();
    committer.submit(&id(0), 0, vec![writing(1, vec![write("a", "1", &revision, true)])]);
    next(&mut committer);
    let late = sent(&committer, 0);
    // A leader without a majority holds it: guards are held against it, and what is read is without it.
    committer.resolve(Outcome::GuardRejected);
    let before = Stored { value: checkpoint(1, 0), revision: Sequence(10) };
    assert_eq!(committer.checked(Some(before)), [reset(0, 1, 0)]);
    // By now it is stored, and the lane reads what it wrote: the same input gives another value.
    let read = Revision::known(Sequence(51));
    committer.submit(&id(0), 1, vec![writing(1, vec![write("a", "2", &read, true)])]);
    next(&mut committer);
    committer.resolve(Outcome::GuardRejected);
    let stored = Stored { value: late, revision: Sequence(52) };
    assert_eq!(committer.checked(Some(stored)), [reset(0, 2, 1)]);
}

#[test]
fn a_lane_that_landed_with_an_earlier_batch_says_nothing_of_the_others() {
    let mut committer = committer(3, ROOMY);
    (0..3).for_each(|lane| committer.submit(&id(lane), 0, vec![step(u64::from(lane) + 1)]));
    next(&mut committer);
    let landed = sent(&committer, 0);
    // Not there yet when it is looked for; but it arrives before it is sent again.
    committer.resolve(ambiguous());
    committer.checked(Some(Stored { value: checkpoint(1, 0), revision: Sequence(10) }));
    committer.resend();
    assert_eq!(committer.resolve(Outcome::GuardRejected), []);
    // Lanes 0 and 1 are tried apart, lane 1 with a step more; the answer, another rejection, is lost.
    committer.submit(&id(1), 0, vec![step(5)]);
    assert_eq!(next(&mut committer), ["events.e.1", "ckpt.m.1.0@10 1", "events.e.2", "events.e.5", "ckpt.m.1.1@11 5"]);
    assert_eq!(committer.resolve(ambiguous()), [Action::Check(id(0))]);
    let stored = Stored { value: landed, revision: Sequence(21) };
    assert_eq!(committer.checked(Some(stored)), [committed(0, 1)]);
}

#[test]
fn a_checkpoint_that_went_back_halts_the_lane() {
    let mut committer = committer(1, ROOMY);
    committer.submit(&id(0), 0, vec![step(1), step(2)]);
    next(&mut committer);
    committer.resolve(Outcome::Committed(Sequence(20)));
    committer.submit(&id(0), 0, vec![step(3)]);
    next(&mut committer);
    committer.resolve(Outcome::GuardRejected);
    let actions = committer.checked(Some(Stored { value: checkpoint(1, 1), revision: Sequence(30) }));
    assert!(matches!(actions.as_slice(), [Action::Halt { reason, .. }] if reason.contains("went back")), "{actions:?}");
}

#[test]
fn a_batch_that_never_gets_an_answer_shrinks_to_one_input_which_is_condemned() {
    let mut committer = committer(2, ROOMY);
    committer.submit(&id(0), 0, (1..=4).map(step).collect());
    committer.submit(&id(1), 0, vec![idle(5)]);
    let mut sent_as = Vec::new();
    let (all, actions) = loop {
        sent_as.push(next(&mut committer).len());
        let (times, actions) = unanswered(&mut committer);
        if !actions.is_empty() {
            break (times, actions);
        }
        assert_eq!(times, UNANSWERED_AT_MOST);
        assert!(sent_as.len() < 10, "{sent_as:?}");
    };
    assert_eq!((sent_as, all), (vec![6, 5, 3, 2], UNANSWERED_IN_ALL));
    let [
        Action::Reset { lane, incarnation: 1, covered: Sequence(0), condemned: Some((Sequence(1), _)), refused: None },
    ] = actions.as_slice()
    else {
        panic!("{actions:?}")
    };
    assert_eq!(*lane, id(0));
    // The other lane had its turn too, and its one step goes out alone.
    assert_eq!(next(&mut committer), ["ckpt.m.1.1@11 5"]);
    committer.resolve(Outcome::Committed(Sequence(20)));
    // The minimal dead letter fares no better.
    committer.submit(&id(0), 1, vec![idle(1)]);
    next(&mut committer);
    let (times, actions) = unanswered(&mut committer);
    assert_eq!(times, UNANSWERED_IN_ALL);
    assert!(matches!(actions.as_slice(), [Action::Halt { reason, .. }] if reason.contains("no clear answer")));
    assert!(committer.is_idle());
}

#[test]
fn a_batch_that_shrank_grows_again_after_a_commit() {
    let mut committer = committer(1, ROOMY);
    committer.submit(&id(0), 0, (1..=4).map(idle).collect());
    next(&mut committer);
    assert_eq!(committer.resolve(refused()), []);
    for (covered, stored) in [(2, 20), (9, 30)] {
        next(&mut committer);
        assert_eq!(sent(&committer, 0).covered, Sequence(covered));
        committer.submit(&id(0), 0, (covered + 3..=9).map(idle).collect());
        committer.resolve(Outcome::Committed(Sequence(stored)));
    }
}

#[test]
fn a_refused_batch_shrinks_to_the_one_input_which_is_condemned() {
    let mut committer = committer(3, ROOMY);
    (0..3).for_each(|lane| committer.submit(&id(lane), 0, (1..=5).map(|at| step(u64::from(lane) * 10 + at)).collect()));
    let refuse = |batch: &[String]| match has(batch, "events.e.14") {
        true => refused(),
        false => Outcome::Committed(Sequence(100)),
    };
    let (batches, actions) = drain(&mut committer, refuse);
    let tried = batches.iter().filter(|batch| has(batch, "events.e.14")).count();
    assert!(tried <= 8, "{batches:?}");
    let condemned = Some((Sequence(14), "bad header".to_owned()));
    let expected = Action::Reset { lane: id(1), incarnation: 1, covered: Sequence(13), condemned, refused: None };
    assert!(actions.contains(&expected), "{actions:?}");
    for (lane, covered) in [(0, 5), (1, 13), (2, 25)] {
        assert!(actions.contains(&committed(lane, covered)), "{lane}: {actions:?}");
    }
    // Its dead letter goes through, and the rest as before.
    committer.submit(&id(1), 1, vec![idle(14), step(15)]);
    let (batches, actions) = drain(&mut committer, refuse);
    assert_eq!((batches.len(), actions), (1, vec![committed(1, 15)]));
}

#[test]
fn what_cannot_shrink_any_further_halts_the_lane() {
    let halts = |committer: &mut Committer| {
        next(committer);
        let actions = committer.resolve(refused());
        assert!(
            matches!(actions.as_slice(), [Action::Halt { reason, .. }] if reason.contains("bad header")),
            "{actions:?}"
        );
        committer.submit(&id(0), 0, vec![step(3)]);
        committer.submit(&id(0), 1, vec![step(3)]);
        assert!(committer.is_idle(), "a halted lane commits nothing");
    };
    let mut condemned = committer(1, ROOMY);
    condemned.submit(&id(0), 0, vec![step(1)]);
    next(&mut condemned);
    assert!(matches!(condemned.resolve(refused()).as_slice(), [Action::Reset { condemned: Some(_), .. }]));
    condemned.submit(&id(0), 1, vec![step(1)]);
    halts(&mut condemned);

    let mut bare = committer(1, ROOMY);
    let mark = Mark { sequence: Sequence(5), fingerprint: None };
    bare.submit(&id(0), 0, vec![Done::nothing(Covers::Read(mark))]);
    halts(&mut bare);
}

#[test]
fn while_the_server_cannot_store_the_same_batch_waits() {
    let mut committer = committer(1, ROOMY);
    committer.submit(&id(0), 0, vec![step(1)]);
    let first = next(&mut committer);
    for _ in 0..100 {
        let actions = committer.resolve(Outcome::Unavailable(Hindrance::Server, "no leader".to_owned()));
        assert_eq!(actions, [Action::Resend("no leader".to_owned())]);
        committer.submit(&id(0), 0, vec![step(2)]);
        assert_eq!(shown(committer.resend().unwrap()), first);
    }
}

#[test]
fn an_outcome_that_nobody_waits_for_changes_nothing() {
    let mut committer = committer(1, ROOMY);
    assert_eq!(committer.resolve(Outcome::Committed(Sequence(9))), []);
    assert_eq!(committer.checked(None), []);
    committer.submit(&id(0), 0, vec![step(1)]);
    assert!(committer.resend().is_none());
    assert_eq!(next(&mut committer), ["events.e.1", "ckpt.m.1.0@10 1"]);
}

#[test]
fn a_detached_lane_is_forgotten_even_while_its_batch_is_in_flight() {
    let mut committer = committer(2, ROOMY);
    (0..2).for_each(|lane| committer.submit(&id(lane), 0, vec![step(u64::from(lane) + 1)]));
    next(&mut committer);
    committer.detach(&id(0));
    assert_eq!(committer.resolve(Outcome::Committed(Sequence(20))), [committed(1, 2)]);
    committer.submit(&id(0), 0, vec![step(3)]);
    assert!(committer.is_idle());
}
