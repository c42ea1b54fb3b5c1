//! What is in a batch, and when it is sent.

use super::*;

#[test]
fn a_batch_holds_effects_and_behind_them_the_guarded_checkpoint() {
    let mut committer = committer(1, ROOMY);
    let (known, unknown) = (Revision::known(Sequence(5)), Revision::unknown());
    let letter = Done { own: vec![outgoing("pelton.shop.dlq.m.0.2".to_owned())], ..idle(2) };
    let writes = vec![write("a", "1", &known, false), write("b", "2", &known, true), write("c", "3", &unknown, true)];
    committer.submit(&id(0), 0, vec![step(1), letter, writing(3, writes), step(4)]);
    let expected = ["events.e.1", "dlq.m.0.2", "events.e.4", "v.1.a 1", "v.1.b@5 2", "v.1.c 3", "ckpt.m.1.0@10 4"];
    assert_eq!(next(&mut committer), expected);
}

#[test]
fn a_batch_leads_from_one_checkpoint_to_the_next() {
    let mut committer = committer(1, ROOMY);
    let read = |sequence| {
        let mark = Mark { sequence: Sequence(sequence), fingerprint: Some(crate::event::Fingerprint(1)) };
        Done::nothing(Covers::Read(mark))
    };
    let cases = [
        (vec![step(1), idle(2)], (2, 2, Some(delivery(2).message.fingerprint()))),
        (vec![step(4), read(7)], (4, 7, Some(crate::event::Fingerprint(1)))),
        (vec![read(9)], (4, 9, Some(crate::event::Fingerprint(1)))),
    ];
    for (steps, (position, covered, hash)) in cases {
        committer.submit(&id(0), 0, steps);
        next(&mut committer);
        let (position, covered) = (Sequence(position), Sequence(covered));
        assert_eq!(sent(&committer, 0), Checkpoint { position, covered, hash, ..checkpoint(1, 0) });
        committer.resolve(Outcome::Committed(Sequence(100)));
    }
}

#[test]
fn a_commit_tells_every_lane_and_moves_its_guards() {
    let mut committer = committer(2, ROOMY);
    let revision = Revision::unknown();
    committer.submit(&id(0), 0, vec![step(1)]);
    committer.submit(&id(1), 0, vec![step(2), writing(3, vec![write("a", "1", &revision, false)])]);
    let expected = ["events.e.1", "ckpt.m.1.0@10 1", "events.e.2", "v.1.a 1", "ckpt.m.1.1@11 3"];
    assert_eq!(next(&mut committer), expected);
    assert_eq!(committer.resolve(Outcome::Committed(Sequence(205))), [committed(0, 1), committed(1, 3)]);
    assert_eq!(revision.get(), Some(Sequence(204)));
    assert!(committer.is_idle());
    committer.submit(&id(0), 0, vec![idle(4)]);
    committer.submit(&id(1), 0, vec![writing(5, vec![write("a", "2", &revision, true)])]);
    assert_eq!(next(&mut committer), ["v.1.a@204 2", "ckpt.m.1.1@205 5", "ckpt.m.1.0@202 4"]);
}

#[test]
fn one_batch_is_in_flight_and_what_gathers_meanwhile_rides_in_the_next() {
    let mut committer = committer(2, ROOMY);
    assert_eq!(next(&mut committer), [""; 0]);
    committer.submit(&id(0), 0, vec![step(1)]);
    assert_eq!(next(&mut committer), ["events.e.1", "ckpt.m.1.0@10 1"]);
    committer.submit(&id(0), 0, vec![step(2)]);
    committer.submit(&id(0), 0, vec![step(3)]);
    committer.submit(&id(1), 0, vec![step(4)]);
    assert!(committer.next_batch().is_none() && !committer.is_idle());
    committer.resolve(Outcome::Committed(Sequence(20)));
    let expected = ["events.e.2", "events.e.3", "ckpt.m.1.0@20 3", "events.e.4", "ckpt.m.1.1@11 4"];
    assert_eq!(next(&mut committer), expected);
}

#[test]
fn nothing_is_sent_while_a_checkpoint_is_read_or_a_batch_waits() {
    let mut committer = committer(2, ROOMY);
    committer.submit(&id(0), 0, vec![step(1)]);
    next(&mut committer);
    committer.resolve(ambiguous());
    committer.submit(&id(1), 0, vec![step(2)]);
    assert!(committer.next_batch().is_none() && committer.resend().is_none());
    committer.checked(Some(Stored { value: checkpoint(1, 0), revision: Sequence(10) }));
    assert!(committer.next_batch().is_none() && !committer.is_idle());
    assert!(committer.resend().is_some());
}

#[test]
fn writes_to_one_key_become_the_last_one_under_the_first_guard() {
    let mut committer = committer(2, ROOMY);
    let revisions = [5, 6].map(|revision| Revision::known(Sequence(revision)));
    let [a, b] = &revisions;
    let first = vec![write("a", "1", a, false), write("b", "1", b, true), write("a", "2", a, false)];
    let removal =
        Write { write: CheckedWrite { value: None, ..write("b", "", b, true).write }, ..write("b", "", b, true) };
    let second = vec![write("a", "3", a, true), removal];
    committer.submit(&id(0), 0, vec![writing(1, first), writing(2, second)]);
    // Another lane's keys are its own.
    committer.submit(&id(1), 0, vec![writing(3, vec![write("a", "4", &Revision::unknown(), false)])]);
    assert_eq!(next(&mut committer), ["v.1.a@5 3", "v.1.b@6", "ckpt.m.1.0@10 2", "v.1.a 4", "ckpt.m.1.1@11 3"]);
    let headers = &committer.in_flight().unwrap()[1].headers;
    assert!(headers.iter().any(|(name, value)| name == "KV-Operation" && value == "DEL"));
    committer.resolve(Outcome::Committed(Sequence(105)));
    assert_eq!(revisions.map(|revision| revision.get()), [Some(Sequence(101)), Some(Sequence(102))]);
}

#[test]
fn lanes_share_the_room_of_a_batch() {
    let cases: [(usize, &[u64], &[u64]); 7] = [
        // What one lane leaves, the next may use.
        (12, &[9, 9, 9], &[3, 3, 3]),
        (12, &[1, 9, 9], &[1, 4, 4]),
        (13, &[9, 9, 1], &[3, 3, 1]),
        (100, &[9, 0, 9], &[9, 0, 9]),
        // A share too small for a step takes one, as long as there is room; the first step goes in any case.
        (7, &[9, 9, 9, 9], &[1, 1, 1, 0]),
        (3, &[9, 9, 9, 9], &[1, 0, 0, 0]),
        (1, &[9, 9], &[1, 0]),
    ];
    for (batch_messages, waiting, expected) in cases {
        let mut committer = committer(4, Bounds { batch_messages, ..ROOMY });
        for (lane, steps) in (0..).zip(waiting) {
            committer.submit(&id(lane), 0, (1..=*steps).map(step).collect());
        }
        let batch = next(&mut committer);
        let covered = |lane| {
            let checkpoint = batch.iter().find(|message| message.starts_with(&format!("ckpt.m.1.{lane}")));
            checkpoint.map_or(0, |message| message.rsplit(' ').next().unwrap().parse().unwrap())
        };
        let found: Vec<u64> = (0..waiting.len()).map(covered).collect();
        assert_eq!(found, expected, "{batch_messages}: {batch:?}");
    }
}

#[test]
fn a_batch_is_bounded_in_bytes_and_a_larger_step_goes_alone() {
    let large = |sequence, bytes| {
        let event = Outgoing { payload: vec![b'x'; bytes].into(), ..outgoing("e".to_owned()) };
        Done { events: vec![event], ..idle(sequence) }
    };
    let mut committer = committer(1, Bounds { batch_bytes: 10_000, ..ROOMY });
    committer.submit(&id(0), 0, vec![large(1, 4_000), large(2, 4_000), large(3, 20_000), large(4, 1)]);
    for covered in [2, 3, 4] {
        next(&mut committer);
        assert_eq!(sent(&committer, 0).covered, Sequence(covered));
        committer.resolve(Outcome::Committed(Sequence(50)));
    }
}

#[test]
fn with_more_lanes_than_room_each_is_served_in_its_turn() {
    const LANES: u16 = 30;
    const A_BATCH: u16 = 4;
    let mut committer = committer(LANES, Bounds { batch_messages: 8, ..ROOMY });
    for lane in 0..LANES {
        committer.submit(&id(lane), 0, (1..=5).map(step).collect());
    }
    let mut served = [0; LANES as usize];
    for batch in 1.. {
        assert!(next(&mut committer).len() <= 8);
        for action in committer.resolve(Outcome::Committed(Sequence(100))) {
            let Action::Committed { lane, covered, .. } = action else { panic!("{action:?}") };
            served[usize::from(lane.lane)] = covered.0;
        }
        if served.iter().all(|covered| *covered > 0) {
            break;
        }
        assert!(batch < LANES.div_ceil(A_BATCH), "{served:?}");
    }
}

#[test]
fn a_lane_is_released_behind_its_last_step() {
    let mut committer = committer(2, ROOMY);
    committer.submit(&id(0), 0, vec![step(1), step(2)]);
    committer.release(&id(0));
    committer.release(&id(1));
    assert_eq!(next(&mut committer), ["events.e.1", "events.e.2", "ckpt.m.1.0@10 2", "ckpt.m.1.1@11 0"]);
    for lane in 0..2 {
        let Checkpoint { owner, epoch, .. } = sent(&committer, lane);
        assert_eq!((owner, epoch), (None, 1));
    }
    let released = |lane| Action::Released { lane: id(lane) };
    let actions = committer.resolve(Outcome::Committed(Sequence(30)));
    assert_eq!(actions, [committed(0, 2), released(0), committed(1, 0), released(1)]);
    committer.submit(&id(0), 0, vec![step(3)]);
    assert!(committer.is_idle(), "it is nobody's");
}

#[test]
fn a_lane_that_does_not_fit_one_batch_is_released_with_the_last() {
    let mut committer = committer(1, Bounds { batch_messages: 3, ..ROOMY });
    committer.submit(&id(0), 0, vec![step(1), step(2), step(3)]);
    committer.release(&id(0));
    assert_eq!(next(&mut committer), ["events.e.1", "events.e.2", "ckpt.m.1.0@10 2"]);
    assert!(sent(&committer, 0).owner.is_some());
    committer.resolve(Outcome::Committed(Sequence(20)));
    assert_eq!(next(&mut committer), ["events.e.3", "ckpt.m.1.0@20 3"]);
    assert_eq!(sent(&committer, 0).owner, None);
}

#[test]
fn a_release_that_is_refused_or_lost_is_tried_again() {
    let mut committer = committer(1, ROOMY);
    committer.release(&id(0));
    assert_eq!(next(&mut committer), ["ckpt.m.1.0@10 0"]);
    assert_eq!(committer.resolve(ambiguous()), [Action::Check(id(0))]);
    let stored = Stored { value: checkpoint(1, 0), revision: Sequence(10) };
    assert!(matches!(committer.checked(Some(stored)).as_slice(), [Action::Resend(_)]));
    committer.resend();
    assert_eq!(committer.resolve(ambiguous()), [Action::Check(id(0))]);
    let landed = Stored { value: sent_before(), revision: Sequence(40) };
    assert_eq!(committer.checked(Some(landed)), [committed(0, 0), Action::Released { lane: id(0) }]);
}

/// The checkpoint of a lane that was released where it stood.
fn sent_before() -> Checkpoint {
    checkpoint(1, 0).released()
}
