use std::sync::Arc;

use bytes::Bytes;
use time::macros::datetime;

use super::*;
use crate::event::{Delivery, Message};
use crate::subject::{Generation, Subjects};
use crate::traces::Ratio;

const ROOMY: Bounds = Bounds { message: 1 << 20, batch_messages: 1_000, batch_bytes: 8 << 20 };

fn origin() -> Origin {
    let (app, module) = ("shop".parse().unwrap(), "totals".parse().unwrap());
    Origin {
        subjects: Subjects::new(&app),
        app,
        module,
        stream: "ORDERS".to_owned(),
        created: String::new(),
        generation: Generation::default(),
        ratio: Ratio::default(),
    }
}

fn input(payload: impl Into<Bytes>) -> Delivery {
    let message = Message {
        sequence: Sequence(7),
        stored: datetime!(2026-01-02 03:04:05 UTC),
        subject: "orders.new".to_owned(),
        headers: vec![("A".to_owned(), "1".to_owned()), ("A".to_owned(), "é".to_owned())],
        payload: payload.into(),
    };
    let input = Err(crate::route::KeyError::Empty.into());
    Delivery { message: Arc::new(message), input }
}

fn cause(message: &str) -> Cause {
    Cause::new(CauseKind::Reject, message)
}

fn given_up(input: &Delivery, cause: Cause) -> GivenUp {
    GivenUp { input: Arc::new(input.clone()), cause, attempts: 5, log: vec!["last words".to_owned()], parks: false }
}

fn kept(input: &Delivery, cause: Cause, bounds: &Bounds) -> (Outgoing, DeadLetter) {
    let origin = origin();
    let by = By { origin: &origin, lane: 3, plugin: "sha256:abc" };
    let outgoing = message(by, given_up(input, cause), bounds);
    let letter = serde_json::from_slice(&outgoing.payload).unwrap();
    (outgoing, letter)
}

fn letter(payload: Payload) -> DeadLetter {
    DeadLetter {
        removed: None,
        format: 1,
        module: "totals".to_owned(),
        lane: 3,
        stream: "ORDERS".to_owned(),
        sequence: Sequence(7),
        subject: "orders.new".to_owned(),
        time: "2026-01-02T03:04:05Z".to_owned(),
        key: None,
        headers: vec![("A".to_owned(), "1".to_owned()), ("A".to_owned(), "é".to_owned())],
        payload,
        cause: cause("no such country"),
        log: vec!["last words".to_owned()],
        attempts: 5,
        parks: false,
        plugin: "sha256:abc".to_owned(),
    }
}

#[test]
fn an_input_is_kept_whole_if_it_fits() {
    let cases: [(&'static [u8], Payload); 3] = [
        (b"{\"a\":1}\n", Payload::Text { data: "{\"a\":1}\n".to_owned() }),
        (b"", Payload::Text { data: String::new() }),
        (&[0xFF, 0, b'a'], Payload::Bytes { data_base64: "/wBh".to_owned() }),
    ];
    for (payload, expected) in cases {
        let (message, found) = kept(&input(payload), cause("no such country"), &ROOMY);
        assert_eq!(message.subject.as_ref(), "pelton.shop.dlq.totals.3.7");
        assert_eq!(*message.headers, [("Content-Type".into(), "application/json".to_owned())]);
        assert_eq!(found, letter(expected));
    }
}

#[test]
fn what_does_not_fit_is_cut_and_keeps_its_hash() {
    let payload = vec![b'a'; 1_000_000];
    let expected = letter(Payload::Cut {
        data_cut_base64: BASE64.encode([b'a'; CUT]),
        size: 1_000_000,
        // printf 'a%.0s' $(seq 1000000) | sha256sum
        sha256: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0".to_owned(),
    });
    let bounds = Bounds { message: 1_000_000, ..ROOMY };
    let (message, found) = kept(&input(payload), cause("no such country"), &bounds);
    assert_eq!(found, DeadLetter { headers: Vec::new(), log: Vec::new(), ..expected });
    assert_eq!(bounds.check(&message), Ok(()));
}

#[test]
fn a_minimal_dead_letter_fits_whatever_the_input_and_the_cause() {
    let mut input = input(vec![0xFF; 900_000]);
    let message = Arc::make_mut(&mut input.message);
    message.subject = "é".repeat(2_000);
    message.headers = vec![("big".to_owned(), "x".repeat(900_000))];
    let bounds = Bounds { message: 32 << 10, ..ROOMY };
    let (message, found) = kept(&input, cause(&"\u{1}".repeat(100_000)), &bounds);
    assert_eq!(bounds.check(&message), Ok(()));
    assert!(matches!(found.payload, Payload::Cut { size: 900_000, .. }));
    assert_eq!((found.sequence, found.cause.kind), (Sequence(7), CauseKind::Reject));
}

#[test]
fn a_short_payload_is_whole_even_in_a_minimal_dead_letter() {
    let origin = origin();
    let message = minimal(By { origin: &origin, lane: 0, plugin: "" }, given_up(&input("short"), cause("")));
    let found: DeadLetter = serde_json::from_slice(&message.payload).unwrap();
    let Payload::Cut { data_cut_base64, size: 5, .. } = found.payload else { panic!("{found:?}") };
    assert_eq!(BASE64.decode(data_cut_base64).unwrap(), b"short");
}

#[test]
fn a_long_cause_is_cut_between_characters() {
    let (_, found) = kept(&input("x"), cause(&"é".repeat(CAUSE + 1)), &ROOMY);
    assert_eq!(found.cause.message, "é".repeat(CAUSE));
}

/// What clients read. A change of shape is a change of the format.
#[test]
fn the_shape_in_the_stream_is_pinned() {
    let (message, _) = kept(&input("x"), cause("no"), &ROOMY);
    let expected = r#"{"format":1,"module":"totals","lane":3,"stream":"ORDERS","sequence":7,"#.to_owned()
        + r#""subject":"orders.new","#
        + r#""time":"2026-01-02T03:04:05Z","headers":[["A","1"],["A","é"]],"data":"x","#
        + r#""cause":{"kind":"reject","message":"no"},"log":["last words"],"attempts":5,"plugin":"sha256:abc"}"#;
    assert_eq!(message.payload, expected);
}

#[test]
fn what_the_server_refused_to_store_is_cut_though_it_would_fit() {
    let (_, found) = kept(&input("x"), Cause::new(CauseKind::Size, "too large"), &ROOMY);
    assert!(matches!(found.payload, Payload::Cut { size: 1, .. }) && found.log.is_empty(), "{found:?}");
}

#[test]
fn a_dead_letter_gives_its_input_back_as_it_was() {
    for payload in [Bytes::from_static(b"text"), Bytes::from_static(&[0xFF, 0, 1])] {
        let input = input(payload);
        let (_, found) = kept(&input, cause("no"), &ROOMY);
        let again = found.input(None).unwrap();
        let Message { sequence, stored, subject, headers, payload } = input.message.as_ref();
        let same = (again.sequence, again.stored, &again.subject, &again.headers, &again.payload);
        assert_eq!(same, (*sequence, *stored, subject, headers, payload));
    }
}

#[test]
fn a_cut_dead_letter_needs_the_very_message_of_its_stream() {
    let input = input("x");
    let (_, found) = kept(&input, Cause::new(CauseKind::Size, "too large"), &ROOMY);
    assert!(matches!(found.input(None), Err(Lost::Gone { .. })));
    assert_eq!(found.input(Some(input.message.as_ref().clone())).unwrap().payload, "x");
    let other = Message { payload: "y".into(), ..input.message.as_ref().clone() };
    assert!(matches!(found.input(Some(other)), Err(Lost::Differs { .. })));
}

#[test]
fn a_gap_is_kept_with_its_positions_and_holds_nothing_to_replay() {
    let (origin, gap) = (origin(), crate::event::Gap { first: Sequence(4), last: Sequence(7) });
    let by = By { origin: &origin, lane: 3, plugin: "sha256:abc" };
    let outgoing = of_gap(by, gap, false, datetime!(2026-01-02 03:04:05 UTC));
    assert_eq!(outgoing.subject.as_ref(), "pelton.shop.dlq.totals.3.7");
    let found: DeadLetter = serde_json::from_slice(&outgoing.payload).unwrap();
    assert_eq!((found.removed, found.cause.kind, found.attempts), (Some(gap), CauseKind::Gap, 0));
    assert!(found.cause.message.contains("messages 4 to 7 (4) of stream ORDERS may have been inputs"), "{found:?}");
    let lost = found.input(None).unwrap_err().to_string();
    assert!(lost.contains("nothing to replay") && lost.contains("discard totals --lane 3 --sequence 7"), "{lost}");
}

#[test]
fn a_selection_takes_what_all_its_parts_take() {
    let letter = DeadLetter { key: Some("a".to_owned()), ..letter(Payload::Text { data: String::new() }) };
    let all = Selection::default();
    let name = |text: &str| Some(text.parse().unwrap());
    let day = |day| Some(datetime!(2026-01-01 00:00 UTC) + time::Duration::days(day));
    let takes = [
        all.clone(),
        Selection { module: name("totals"), lane: Some(3), ..all.clone() },
        Selection { sequences: vec![Sequence(1), Sequence(7)], cause: Some(CauseKind::Reject), ..all.clone() },
        Selection { key: Some("a".to_owned()), message: Some("such".to_owned()), ..all.clone() },
        Selection { since: day(1), until: day(2), ..all.clone() },
    ];
    let takes_not = [
        Selection { module: name("other"), ..all.clone() },
        Selection { lane: Some(2), ..all.clone() },
        Selection { sequences: vec![Sequence(1)], ..all.clone() },
        Selection { cause: Some(CauseKind::Trap), ..all.clone() },
        Selection { message: Some("nothing of that".to_owned()), ..all.clone() },
        Selection { key: Some("b".to_owned()), ..all.clone() },
        Selection { since: day(2), ..all.clone() },
        Selection { until: day(1), ..all.clone() },
    ];
    assert!(takes.iter().all(|selection| selection.takes(&letter)));
    for selection in takes_not {
        assert!(!selection.takes(&letter) && !selection.is_all(), "{selection:?}");
    }
    assert!(all.is_all());
}
