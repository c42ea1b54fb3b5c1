//! What a verification makes of an input: tables of what the plugin gives and what is stored.

use super::*;

const PAYLOAD: &[u8] = b"[]";

fn input() -> Message {
    let stored = time::OffsetDateTime::UNIX_EPOCH;
    Message { sequence: Sequence(7), stored, subject: "in.a".into(), headers: Vec::new(), payload: PAYLOAD.into() }
}

fn given(id: &str) -> Given {
    let (id, subject, data) = (id.to_owned(), format!("e.{id}"), "d".to_owned());
    Given { print: [1; 32], id, subject, data, may_be_gone: false }
}

fn seen(at: u64, id: &str) -> Seen {
    Seen { at: Sequence(at), id: id.to_owned(), print: [1; 32], subject: format!("e.{id}") }
}

fn cause(kind: CauseKind, message: &str) -> Cause {
    Cause::new(kind, message)
}

fn letter(kind: CauseKind, message: &str) -> Letter {
    let payload = format!("{:x}", Sha256::digest(PAYLOAD));
    Letter { at: Sequence(9), cause: cause(kind, message), plugin: "p".into(), subject: "in.a".into(), payload }
}

fn fails(kind: CauseKind, message: &str) -> Made {
    Made::Failure(cause(kind, message))
}

fn with_letter(letter: Letter) -> Stored {
    Stored { letter: Some(letter), ..Stored::default() }
}

fn with_events(events: &[Seen]) -> Stored {
    Stored { events: events.to_vec(), ..Stored::default() }
}

/// What differs, in short: what was expected, and where what is stored stands.
fn differs(made: &Made, stored: &Stored) -> Vec<(String, Option<u64>)> {
    match judge(&input(), made, stored) {
        Verdict::Differs(found) => found.into_iter().map(|one| (one.expected, one.at.map(|at| at.0))).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn events_are_there_each_once_and_in_order() {
    let made = Made::Events(vec![given("a"), given("b")]);
    let (a, b) = (seen(1, "a"), seen(2, "b"));
    assert_eq!(judge(&input(), &made, &with_events(&[a.clone(), b.clone()])), Verdict::Same);
    assert_eq!(judge(&input(), &Made::Events(Vec::new()), &Stored::default()), Verdict::Same);
    let changed = Seen { print: [2; 32], ..b.clone() };
    let cases = [
        (vec![a.clone()], vec![("e.b d", None)]),
        (vec![], vec![("e.a d", None), ("e.b d", None)]),
        (vec![a.clone(), b.clone(), seen(3, "b")], vec![("it once", Some(3))]),
        (vec![a.clone(), b.clone(), seen(4, "x")], vec![("no such event", Some(4))]),
        (vec![a.clone(), changed], vec![("e.b d", Some(2))]),
        (vec![seen(5, "b"), seen(6, "a")], vec![("its events in another order", Some(5))]),
    ];
    for (stored, expected) in cases {
        let expected: Vec<_> = expected.into_iter().map(|(text, at)| (text.to_owned(), at)).collect();
        assert_eq!(differs(&made, &with_events(&stored)), expected, "{stored:?}");
    }
}

#[test]
fn an_event_that_retention_removed_is_no_difference() {
    let made = Made::Events(vec![Given { may_be_gone: true, ..given("a") }, given("b")]);
    assert!(matches!(judge(&input(), &made, &with_events(&[seen(2, "b")])), Verdict::Unclear(..)));
    assert_eq!(differs(&made, &with_events(&[seen(1, "a")])), [("e.b d".to_owned(), None)]);
}

#[test]
fn a_dead_letter_stands_for_an_input_that_fails_alike() {
    use CauseKind::{Effects, Limit, Reject, Retry, Size, Timeout, Trap};
    let same =
        [(Reject, "no", Reject, "no"), (Trap, "x", Trap, "y"), (Retry, "1", Retry, "5"), (Timeout, "", Timeout, "")];
    for (now, said, then, before) in same {
        let verdict = judge(&input(), &fails(now, said), &with_letter(letter(then, before)));
        assert_eq!(verdict, Verdict::Same, "{now:?}");
    }
    for (now, said, then, before) in [(Reject, "no", Reject, "other"), (Trap, "", Reject, ""), (Effects, "", Trap, "")]
    {
        assert_eq!(differs(&fails(now, said), &with_letter(letter(then, before))).len(), 1, "{now:?} {then:?}");
    }
    let nothing = Made::Events(Vec::new());
    assert_eq!(differs(&nothing, &with_letter(letter(Reject, "no"))), [("effects".to_owned(), Some(9))]);
    let beside = Stored { events: vec![seen(1, "a")], ..with_letter(letter(Reject, "no")) };
    assert_eq!(differs(&Made::Events(vec![given("a")]), &beside), [("effects".to_owned(), Some(9))]);
    assert!(
        !beside.had_none() && with_letter(letter(Reject, "no")).had_none(),
        "what has events is not believed to fail"
    );
    for then in [Timeout, Limit, Size] {
        let verdict = judge(&input(), &nothing, &with_letter(letter(then, "")));
        assert!(matches!(verdict, Verdict::Unclear(_, false)), "it had no effects: {verdict:?}");
    }
    let other = Letter { payload: "0".into(), ..letter(Reject, "no") };
    assert_eq!(differs(&fails(Reject, "no"), &with_letter(other)).len(), 1, "of another input");
}

#[test]
fn an_input_that_fails_without_a_dead_letter_is_a_difference_unless_by_chance() {
    assert_eq!(differs(&fails(CauseKind::Reject, "no"), &Stored::default()).len(), 1);
    assert_eq!(differs(&fails(CauseKind::Trap, ""), &with_events(&[seen(1, "a")])).len(), 1);
    let verdict = judge(&input(), &fails(CauseKind::Timeout, ""), &Stored::default());
    assert!(matches!(verdict, Verdict::Unclear(_, true)), "it may have had effects: {verdict:?}");
}

#[test]
fn a_dead_letter_that_is_gone_stood_for_an_input_that_fails() {
    let gone = Stored { set_aside: true, ..Stored::default() };
    assert_eq!(judge(&input(), &fails(CauseKind::Timeout, ""), &gone), Verdict::Same);
    assert!(matches!(judge(&input(), &Made::Events(vec![given("a")]), &gone), Verdict::Unclear(_, false)));
}

#[test]
fn what_the_commit_adds_and_settings_decide_is_no_part_of_an_event() {
    let outgoing = |headers: &[(&'static str, &str)], payload: &'static [u8]| Outgoing {
        subject: "s".into(),
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).to_owned())).collect::<Vec<_>>().into(),
        payload: payload.into(),
    };
    let event = outgoing(&[("ce-type", "t"), ("ce-id", "1"), ("traceparent", "00-aa-bb-01"), ("Nats-TTL", "9s")], b"d");
    let stored = |id: &str, flags: &str, payload: &'static [u8]| Message {
        subject: "s".into(),
        headers: [
            ("Nats-Batch-Id", "b"),
            ("ce-id", id),
            ("ce-type", "t"),
            ("traceparent", &format!("00-aa-bb-{flags}")),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        payload: payload.into(),
        ..input()
    };
    assert_eq!(print_of(&event), print_of_stored(&stored("1", "00", b"d")));
    assert_ne!(print_of(&event), print_of_stored(&stored("2", "01", b"d")));
    assert_ne!(print_of(&event), print_of_stored(&stored("1", "01", b"e")));
}
