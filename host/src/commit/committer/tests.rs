use bytes::Bytes;
use time::OffsetDateTime;

use super::*;
use crate::commit::Write;
use crate::effects::{CheckedWrite, GUARD};
use crate::event::{Delivery, Mark, Message};

mod simulation;

const ROOMY: Bounds = Bounds { message: 1 << 20, batch_messages: 1_000, batch_bytes: 8 << 20 };

fn id(lane: u16) -> LaneId {
    LaneId { module: "m".parse().unwrap(), lane }
}

fn delivery(sequence: u64) -> Arc<Delivery> {
    let message = Message {
        sequence: Sequence(sequence),
        stored: OffsetDateTime::UNIX_EPOCH,
        subject: "s".to_owned(),
        headers: Vec::new(),
        payload: Bytes::new(),
    };
    let input = Err(crate::route::KeyError::Empty.into());
    Arc::new(Delivery { message: Arc::new(message), input })
}

fn outgoing(subject: String) -> Outgoing {
    Outgoing { subject: subject.into(), headers: Vec::new(), payload: Bytes::new() }
}

/// The step of the input at `sequence` without effects.
fn idle(sequence: u64) -> Done {
    Done::nothing(Covers::Input(delivery(sequence)))
}

/// The step of the input at `sequence`, which emits one event.
fn step(sequence: u64) -> Done {
    Done { events: vec![outgoing(format!("pelton.shop.events.e.{sequence}"))], ..idle(sequence) }
}

/// The step of the input at `sequence`, which does `writes`.
fn writing(sequence: u64, writes: Vec<Write>) -> Done {
    Done { writes, ..idle(sequence) }
}

fn write(key: &str, value: &str, revision: &Revision, guarded: bool) -> Write {
    let value = Some(Bytes::copy_from_slice(value.as_bytes()));
    let write = CheckedWrite { subject: format!("$KV.shop.v.1.{key}").into(), value };
    Write { write, revision: revision.clone(), guarded }
}

fn checkpoint(epoch: u64, covered: u64) -> Checkpoint {
    let mark = Mark { sequence: Sequence(covered), fingerprint: None };
    Checkpoint { epoch, ..Checkpoint::start("ORDERS", "2026-01-01T00:00:00Z", mark) }
}

/// A committer with lanes 0, 1, …, whose checkpoints stand at 10, 11, … in epoch 1.
fn committer(lanes: u16, bounds: Bounds) -> Committer {
    let mut committer = Committer::new(Subjects::new(&"shop".parse().unwrap()), bounds);
    for lane in 0..lanes {
        let revision = Sequence(10 + u64::from(lane));
        committer.attach(id(lane), Stored { value: checkpoint(1, 0), revision });
    }
    committer
}

/// Messages as text: subject, `@` and guard, and then a checkpoint's position or a value.
fn shown(messages: &[Outgoing]) -> Vec<String> {
    let show = |message: &Outgoing| {
        let guard = message.headers.iter().find(|(name, _)| name == GUARD);
        let guard = guard.map(|(_, guard)| format!("@{guard}")).unwrap_or_default();
        let value = match serde_json::from_slice::<Checkpoint>(&message.payload) {
            Ok(checkpoint) => checkpoint.covered.to_string(),
            Err(_) => String::from_utf8(message.payload.to_vec()).unwrap(),
        };
        let subject = message.subject.trim_start_matches("pelton.shop.").trim_start_matches("$KV.shop.");
        format!("{subject}{guard} {value}").trim_end().to_owned()
    };
    messages.iter().map(show).collect()
}

/// The next batch as text.
fn next(committer: &mut Committer) -> Vec<String> {
    shown(committer.next_batch().unwrap_or_default())
}

/// The checkpoint of a lane in the batch in flight.
fn sent(committer: &Committer, lane: u16) -> Checkpoint {
    let subject = format!("pelton.shop.ckpt.m.1.{lane}");
    let message = committer.in_flight().unwrap().iter().find(|message| *message.subject == *subject).unwrap();
    serde_json::from_slice(&message.payload).unwrap()
}

fn committed(lane: u16, covered: u64) -> Action {
    Action::Committed { lane: id(lane), covered: Sequence(covered), replays: 0 }
}

fn reset(lane: u16, incarnation: u32, covered: u64) -> Action {
    Action::Reset { lane: id(lane), incarnation, covered: Sequence(covered), condemned: None }
}

fn ambiguous() -> Outcome {
    Outcome::Ambiguous("no answer".to_owned())
}

fn refused() -> Outcome {
    Outcome::Refused("bad header".to_owned())
}

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

/// Sends what is waiting until nothing is, with `answer` as the server, which is shown the batch; the checkpoints that
/// are asked for are still where they were. Gives the batches and the actions.
fn drain(committer: &mut Committer, answer: impl Fn(&[String]) -> Outcome) -> (Vec<Vec<String>>, Vec<Action>) {
    let (mut batches, mut actions) = (Vec::new(), Vec::new());
    loop {
        let batch = next(committer);
        if batch.is_empty() {
            return (batches, actions);
        }
        let mut told = committer.resolve(answer(&batch));
        batches.push(batch);
        if let [Action::Check(lane)] = told.as_slice() {
            let stored = Stored { value: checkpoint(1, 0), revision: Sequence(10 + u64::from(lane.lane)) };
            told.extend(committer.checked(Some(stored)));
        }
        actions.extend(told);
        assert!(batches.len() < 100, "{batches:?}");
    }
}

/// Whether a message of the batch begins so.
fn has(batch: &[String], beginning: &str) -> bool {
    batch.iter().any(|message| message.starts_with(beginning))
}

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

/// Leaves the batch in flight without an answer, and its checkpoint where it was, until the committer gives up sending
/// it unchanged. Gives how often it was sent, and what is to be done.
fn unanswered(committer: &mut Committer) -> (u32, Vec<Action>) {
    for sent in 1..100 {
        let actions = committer.resolve(ambiguous());
        let [Action::Check(lane)] = actions.as_slice() else { panic!("{actions:?}") };
        let stored = Stored { value: checkpoint(1, 0), revision: Sequence(10 + u64::from(lane.lane)) };
        let actions = committer.checked(Some(stored));
        if !matches!(actions.as_slice(), [Action::Resend(_)]) {
            return (sent, actions);
        }
        committer.resend();
    }
    panic!("the same batch for ever");
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
    let [Action::Reset { lane, incarnation: 1, covered: Sequence(0), condemned: Some((Sequence(1), _)) }] =
        actions.as_slice()
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
    let expected = Action::Reset { lane: id(1), incarnation: 1, covered: Sequence(13), condemned };
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
        let actions = committer.resolve(Outcome::Unavailable("no leader".to_owned()));
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
    let done = Action::Committed { lane: id(0), covered: Sequence(0), replays: 1 };
    assert_eq!(committer.resolve(Outcome::Committed(Sequence(20))), [done]);
    committer.submit(&id(0), 0, vec![step(2), replay(1), replay(3)]);
    let expected = ["events.e.2", "events.e.1", "dlq.m.0.1@91", "events.e.3", "dlq.m.0.3@93", "ckpt.m.1.0@20 2"];
    assert_eq!(next(&mut committer), expected);
    let done = Action::Committed { lane: id(0), covered: Sequence(2), replays: 2 };
    assert_eq!(committer.resolve(Outcome::Committed(Sequence(30))), [done]);
}

#[test]
fn a_replay_whose_answer_was_lost_is_told_by_the_checkpoints_own_position() {
    let mut committer = committer(1, ROOMY);
    committer.submit(&id(0), 0, vec![replay(1)]);
    next(&mut committer);
    let value = sent(&committer, 0);
    committer.resolve(ambiguous());
    let stored = Stored { value: value.clone(), revision: Sequence(10) };
    assert!(matches!(committer.checked(Some(stored)).as_slice(), [Action::Resend(_)]), "not there");
    committer.resend();
    committer.resolve(ambiguous());
    let done = Action::Committed { lane: id(0), covered: Sequence(0), replays: 1 };
    assert_eq!(committer.checked(Some(Stored { value, revision: Sequence(13) })), [done]);
}

#[test]
fn a_replay_that_the_server_refuses_begins_the_lane_anew_and_condemns_nothing() {
    let mut committer = committer(1, ROOMY);
    committer.submit(&id(0), 0, vec![replay(1)]);
    next(&mut committer);
    assert_eq!(committer.resolve(refused()), [reset(0, 1, 0)]);
}
