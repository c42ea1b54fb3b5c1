use bytes::Bytes;
use serde_json::{Value, json};
use time::macros::datetime;

use super::item::{effect, inputs};
use super::*;
use crate::commit::record::State;
use crate::route::{HASH_VERSION, KeyExpr};
use crate::subject::{Generation, Name};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn record(module: &str, stream: &str, view: &str) -> Record {
    Record {
        format: 1,
        module: name(module),
        stream: stream.to_owned(),
        filters: Vec::new(),
        key: KeyExpr::Token(2),
        hash: HASH_VERSION,
        lanes: 1,
        scaled: Vec::new(),
        views: vec![name(view)],
        edition: crate::ownership::Edition { plugin: "sha256:1".to_owned(), settings: String::new() },
        generation: Generation::default(),
        state: State::Running,
    }
}

fn message(subject: &str, headers: &[(&str, &str)], payload: &str) -> Message {
    Message {
        sequence: Sequence(7),
        stored: datetime!(2026-01-02 03:04:05 UTC),
        subject: subject.to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        payload: Bytes::from(payload.to_owned()),
    }
}

fn shown(item: &Item) -> Value {
    let mut value = serde_json::to_value(item).unwrap();
    assert_eq!(&serde_json::from_value::<Item>(value.clone()).unwrap(), item, "it comes back");
    for same in ["time", "subject"] {
        value.as_object_mut().unwrap().remove(same);
    }
    value
}

#[test]
fn an_input_is_shown_once_for_each_module_that_takes_it() {
    let routings = [record("one", "IN", "v"), record("two", "IN", "w")].map(|record| Routing::of_record(&record));
    let event =
        message("in.a", &[("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "s"), ("ce-type", "t")], "5");
    let [one, two] = inputs("IN", &Arc::new(event), &routings, DATA).try_into().unwrap();
    let expected = json!({"module": "one", "what": "input", "stream": "IN", "sequence": 7, "lane": 0, "key": "a",
        "kind": "t", "id": "1", "data": 5});
    assert_eq!((shown(&one), two.module), (expected, name("two")));

    let broken = Arc::new(message("in.a", &[("ce-specversion", "1.0")], "5"));
    let problems = inputs("IN", &broken, &routings, DATA).into_iter().map(|item| item.problem).collect::<Vec<_>>();
    assert!(
        problems.iter().all(|problem| problem.as_ref().is_some_and(|text| text.contains("missing"))),
        "{problems:?}"
    );
}

#[test]
fn what_the_app_stream_holds_is_shown_as_what_its_subject_says() {
    let subjects = Subjects::new(&name("shop"));
    let records = [record("one", "IN", "v")];
    let letter = json!({"module": "one", "lane": 3, "stream": "IN", "sequence": 4, "subject": "in.a",
        "time": "2026-01-02T03:04:05Z", "key": "a", "headers": [["ce-id", "x"]], "data": "{\"a\":1}",
        "cause": {"kind": "trap", "message": "no"}, "attempts": 2, "plugin": "sha256:1"});
    let checkpoint = json!({"format": 1, "epoch": 2, "position": 4, "covered": 6, "hash": null, "stream": "IN",
        "created": "", "takeovers": 0});
    let emitted = [
        ("ce-specversion", "1.0"),
        ("ce-id", "u"),
        ("ce-source", "pelton/shop/one"),
        ("ce-type", "t"),
        ("ce-causationid", "IN:4"),
    ];
    let stored = |what: &str| json!({"module": "one", "what": what, "stream": "KV_shop", "sequence": 7});
    let cases = [
        (
            message(&subjects.event(&name("out"), "a b"), &emitted, "text"),
            json!({"key": "a b", "kind": "t", "id": "u", "causation": "IN:4", "data": "text", "what": "event"}),
        ),
        (
            message(&subjects.view_value(&name("v"), Generation::default(), "k"), &[("Nats-Rollup", "sub")], "1"),
            json!({"key": "k", "data": 1, "what": "view"}),
        ),
        (
            message(&subjects.view_value(&name("v"), Generation::default(), "k"), &[("KV-Operation", "DEL")], ""),
            json!({"key": "k", "removed": true, "what": "view"}),
        ),
        (
            message(&subjects.dead_letter(&name("one"), 3, 4), &[], &letter.to_string()),
            json!({"lane": 3, "key": "a", "id": "x", "causation": "IN:4", "problem": "trap: no", "data": {"a": 1},
                "what": "dead-letter"}),
        ),
        (
            message(&subjects.dead_letter(&name("one"), 3, 4), &[("KV-Operation", "DEL")], ""),
            json!({"lane": 3, "removed": true, "what": "dead-letter"}),
        ),
        (
            message(&subjects.checkpoint(&name("one"), Generation::default(), 3), &[], &checkpoint.to_string()),
            json!({"lane": 3, "causation": "IN:4", "data": {"position": 4, "covered": 6, "epoch": 2}, "what": "commit"}),
        ),
    ];
    for (message, own) in cases {
        let mut expected = stored("");
        expected.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        assert_eq!(shown(&effect(&subjects, &message, &records, DATA).unwrap()), expected);
        assert_eq!(effect(&subjects, &message, &[record("other", "IN", "w")], DATA), None, "of another module");
    }
}

#[test]
fn a_view_in_two_records_is_one_filter() {
    let subjects = Subjects::new(&name("shop"));
    let records = [record("one", "IN", "v"), record("two", "IN", "v")];
    assert_eq!(effects_of(&subjects, &records, &[What::View].into()), ["$KV.shop.v.*.>"]);
}

#[test]
fn a_wish_takes_what_all_of_it_takes() {
    let routings = [Routing::of_record(&record("one", "IN", "v"))];
    let item = inputs("IN", &Arc::new(message("in.a", &[], "5")), &routings, DATA).remove(0);
    let wish = Wish::default;
    let cases = [
        (wish(), true),
        (
            Wish { modules: [name("one")].into(), key: Some("a".to_owned()), kind: Some("in.a".to_owned()), ..wish() },
            true,
        ),
        (Wish { modules: [name("two")].into(), ..wish() }, false),
        (Wish { what: [What::View].into(), ..wish() }, false),
        (Wish { key: Some("b".to_owned()), ..wish() }, false),
        (Wish { kind: Some("t".to_owned()), ..wish() }, false),
    ];
    for (wish, takes) in cases {
        assert_eq!(wish.takes(&item), takes, "{wish:?}");
    }
}

#[test]
fn a_position_without_a_stream_is_of_the_one_that_the_modules_read() {
    let of = |streams: &[&str]| {
        let records: Vec<_> = streams.iter().map(|stream| record("m", stream, "v")).collect();
        the_stream("KV_shop", &records, Sequence(5)).map_err(|error| error.to_string())
    };
    assert_eq!(of(&["IN", "KV_shop", "IN"]).as_deref(), Ok("IN"));
    assert_eq!(of(&["KV_shop"]).as_deref(), Ok("KV_shop"));
    assert!(of(&["IN", "OTHER"]).unwrap_err().ends_with("as in IN:5"));
}
