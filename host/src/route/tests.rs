use bytes::Bytes;
use proptest::prelude::*;
use time::OffsetDateTime;

use super::*;
use crate::event::{Message, Sequence};

fn filter(text: &str) -> Filter {
    Filter::try_from(text.to_owned()).unwrap()
}

#[test]
fn filters_match_as_nats_does() {
    let cases = [
        ("orders.new", "orders.new", true),
        ("orders.new", "orders.old", false),
        ("orders.new", "orders", false),
        ("orders", "orders.new", false),
        ("orders.*", "orders.new", true),
        ("orders.*", "orders", false),
        ("orders.*", "orders.new.big", false),
        ("*.new", "orders.new", true),
        ("*", "orders", true),
        ("*", "orders.new", false),
        ("orders.>", "orders.new", true),
        ("orders.>", "orders.new.big", true),
        ("orders.>", "orders", false),
        (">", "orders", true),
        (">", "orders.new.big", true),
        ("*.*.>", "a.b.c", true),
        ("*.*.>", "a.b", false),
        ("or*", "orders", false),
        ("Orders", "orders", false),
    ];
    for (pattern, subject, expected) in cases {
        assert_eq!(filter(pattern).matches(subject), expected, "{pattern} {subject}");
    }
}

#[test]
fn what_nats_would_refuse_is_no_filter() {
    for bad in ["", ".", "a.", ".a", "a..b", "a b", "a.\tb", ">.a", "a.>.b", "a\r\nb", "a\0"] {
        assert!(Filter::try_from(bad.to_owned()).is_err(), "{bad:?}");
    }
}

#[test]
fn filters_overlap_if_a_subject_passes_both() {
    let cases = [
        ("a.b", "a.b", true),
        ("a.b", "a.c", false),
        ("a.*", "*.b", true),
        ("a.*", "b.*", false),
        ("a.>", "a.*.c", true),
        ("a.>", "a", false),
        (">", "a", true),
        ("*.b.>", "a.>", true),
        ("*.b.>", "a.c.>", false),
        ("a.b.c", "a.*", false),
    ];
    for (one, other, expected) in cases {
        assert_eq!(filter(one).overlaps(&filter(other)), expected, "{one} {other}");
    }
}

#[test]
fn a_filter_covers_another_if_it_lets_pass_all_that_the_other_does() {
    let cases = [
        ("a.b", "a.b", true),
        ("a.*", "a.b", true),
        ("a.b", "a.*", false),
        ("a.>", "a.*", true),
        ("a.*", "a.>", false),
        ("a.>", "a.*.c", true),
        ("a.>", "a", false),
        ("a.>", "a.>", true),
        (">", "*.>", true),
        ("*.>", ">", false),
        ("a.*.c", "a.b.*", false),
        ("a.b.c", "a.b", false),
    ];
    for (one, other, expected) in cases {
        assert_eq!(filter(one).covers(&filter(other)), expected, "{one} {other}");
    }
}

#[test]
fn filters_that_overlap_have_one_that_covers_both() {
    let cases = [
        ("a.b", "a.b", Some("a.b")),
        ("a.>", "a.*", Some("a.>")),
        ("a.*.c", "a.b.*", Some("a.*.*")),
        ("*.b.>", "a.>", Some("*.>")),
        ("a.b", "a.c", None),
        ("a.>", "a", None),
    ];
    for (one, other, expected) in cases {
        let joined = filter(one).joined(&filter(other));
        assert_eq!(joined.as_ref().map(Filter::as_str), expected, "{one} {other}");
    }
}

/// All subjects of one to four tokens out of two: any two filters of up to three tokens that overlap do so on one.
fn small_subjects() -> Vec<String> {
    let mut all = vec!["a".to_owned(), "b".to_owned()];
    let mut longest = all.clone();
    for _ in 1..4 {
        longest = longest.iter().flat_map(|subject| [format!("{subject}.a"), format!("{subject}.b")]).collect();
        all.extend_from_slice(&longest);
    }
    all
}

proptest! {
    #[test]
    fn overlaps_agrees_with_trying_all_subjects(
        one in "([ab*]|([ab*]\\.){0,2}([ab*]|>))",
        other in "([ab*]|([ab*]\\.){0,2}([ab*]|>))",
    ) {
        let (one, other) = (filter(&one), filter(&other));
        let expected = small_subjects().iter().any(|subject| one.matches(subject) && other.matches(subject));
        prop_assert_eq!(one.overlaps(&other), expected);
        prop_assert_eq!(other.overlaps(&one), expected);
    }

    #[test]
    fn covers_agrees_with_trying_all_subjects_and_what_is_joined_covers_both(
        one in "([ab*]|([ab*]\\.){0,2}([ab*]|>))",
        other in "([ab*]|([ab*]\\.){0,2}([ab*]|>))",
    ) {
        let (one, other) = (filter(&one), filter(&other));
        let expected = small_subjects().iter().all(|subject| one.matches(subject) || !other.matches(subject));
        prop_assert_eq!(one.covers(&other), expected);
        let joined = one.joined(&other);
        prop_assert_eq!(joined.is_some(), one.overlaps(&other));
        prop_assert_eq!(&joined, &other.joined(&one));
        prop_assert!(joined.is_none_or(|joined| joined.covers(&one) && joined.covers(&other) && (joined == one) == one.covers(&other)));
    }
}

fn message(subject: &str, payload: &str) -> Message {
    let headers = vec![("Area".to_owned(), "north".to_owned()), ("None".to_owned(), String::new())];
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    Message { sequence: Sequence(1), stored: OffsetDateTime::UNIX_EPOCH, subject: subject.to_owned(), headers, payload }
}

fn key_of(expression: &KeyExpr, subject: &str, payload: &str) -> Result<String, KeyError> {
    let message = message(subject, payload);
    let event = crate::cloudevents::decode("S", &message).unwrap();
    expression.key_of(&message, &event).map(|key| key.to_string())
}

#[test]
fn keys_come_from_subject_token_or_header() {
    let no_token = |token| KeyError::Token { subject: "a.b".to_owned(), token };
    let cases = [
        (r#""subject""#, Ok("a.b")),
        ("{}", Ok("a.b")),
        (r#"{"token":1}"#, Ok("a")),
        (r#"{"token":2}"#, Ok("b")),
        (r#"{"token":3}"#, Err(no_token(3))),
        (r#"{"token":65535}"#, Err(no_token(65535))),
        (r#"{"header":"Area"}"#, Ok("north")),
        (r#"{"header":"aREA"}"#, Ok("north")),
        (r#"{"header":"none"}"#, Err(KeyError::Empty)),
        (r#"{"header":"gone"}"#, Err(KeyError::Header("gone".to_owned()))),
    ];
    for (expression, expected) in cases {
        let parsed = serde_json::from_str(expression).unwrap();
        assert_eq!(key_of(&parsed, "a.b", ""), expected.map(str::to_owned), "{expression}");
    }
}

fn json_key(pointer: &str, missing: Option<&str>, payload: &str) -> Result<String, KeyError> {
    let pointer = pointer.to_owned().try_into().unwrap();
    key_of(&KeyExpr::Json { pointer, missing: missing.map(str::to_owned) }, "s", payload)
}

#[test]
fn keys_come_from_a_json_pointer() {
    const DOCUMENT: &str = r#"{
        "text": "A 1", "escaped": "\u00e9\n", "count": 3, "minus": -4, "price": 2.50, "big": 18446744073709551615,
        "bigger": 340282366920938463463374607431768211457, "tens": 1e3, "whole": 2.0,
        "yes": true, "null": null, "empty": "", "": "nameless", "list": ["x", {"id": "y"}, [7]], "object": {"id": "z"},
        "a/b": "slash", "m~n": "tilde", "~1": "both", "0": "zero", "twice": 1, "twice": "last"
    }"#;
    let no = |pointer: &str| Err(KeyError::Pointer(pointer.to_owned()));
    let cases = [
        ("/text", Ok("A 1")),
        ("/escaped", Ok("é\n")),
        ("/count", Ok("3")),
        ("/minus", Ok("-4")),
        ("/price", Ok("2.5")),
        ("/big", Ok("18446744073709551615")),
        ("/bigger", Ok("340282366920938463463374607431768211457")),
        ("/tens", Ok("1000")),
        ("/whole", Ok("2")),
        ("/yes", Ok("true")),
        ("/", Ok("nameless")),
        ("/list/0", Ok("x")),
        ("/list/1/id", Ok("y")),
        ("/list/2/0", Ok("7")),
        ("/object/id", Ok("z")),
        ("/a~1b", Ok("slash")),
        ("/m~0n", Ok("tilde")),
        ("/~01", Ok("both")),
        ("/0", Ok("zero")),
        ("/twice", Ok("last")),
        ("/empty", Err(KeyError::Empty)),
        ("/null", no("/null")),
        ("/gone", no("/gone")),
        ("/list", no("/list")),
        ("/list/3", no("/list/3")),
        ("/list/-", no("/list/-")),
        ("/list/00", no("/list/00")),
        ("/list/+0", no("/list/+0")),
        ("/list/id", no("/list/id")),
        ("/object", no("/object")),
        ("/object/id/deeper", no("/object/id/deeper")),
        ("/null/deeper", no("/null/deeper")),
        ("/Text", no("/Text")),
    ];
    for (pointer, expected) in cases {
        assert_eq!(json_key(pointer, None, DOCUMENT), expected.map(str::to_owned), "{pointer}");
    }
}

#[test]
fn a_missing_key_has_a_stand_in_but_a_wrong_one_has_not() {
    let no = || Err(KeyError::Pointer("/k".to_owned()));
    let cases = [
        ("{}", Ok("nobody")),
        (r#"{"k":null}"#, Ok("nobody")),
        ("[]", Ok("nobody")),
        ("5", Ok("nobody")),
        (r#"{"k":"me"}"#, Ok("me")),
        (r#"{"k":{}}"#, no()),
        (r#"{"k":[1]}"#, no()),
    ];
    for (payload, expected) in cases {
        assert_eq!(json_key("/k", Some("nobody"), payload), expected.map(str::to_owned), "{payload}");
    }
}

#[test]
fn what_is_not_json_has_no_key_even_behind_the_key() {
    let cases =
        ["", "nonsense", r#"{"k":"#, r#"{"k":"v""#, r#"{"k":"v"} x"#, r#"{"k":"v","#, r#"{"k":"v","x":}"#, r#"["k"#];
    for payload in cases {
        let key = json_key("/k", Some("nobody"), payload);
        assert!(matches!(key, Err(KeyError::NotJson(_))), "{payload}: {key:?}");
    }
}

#[test]
fn json_nested_without_end_is_an_error_and_no_stack_overflow() {
    const DEPTH: usize = 100_000;
    let (open, close) = ("[".repeat(DEPTH), "]".repeat(DEPTH));
    let objects = r#"{"k":"#.repeat(DEPTH);
    let far_down = "/0".repeat(DEPTH);
    let cases = [
        ("/k", format!(r#"{{"k":{open}{close}}}"#)),
        ("/0", format!("{open}{close}")),
        ("/k", open.clone()),
        ("/k/k/k", objects),
        (far_down.as_str(), format!("{open}{close}")),
    ];
    for (pointer, payload) in cases {
        assert!(json_key(pointer, Some("nobody"), &payload).is_err(), "{}", payload.len());
    }
    let beside = format!(r#"{{"deep":{open}{close},"k":"v"}}"#);
    assert_eq!(json_key("/k", None, &beside), Ok("v".to_owned()));
}

#[test]
fn key_expressions_are_written_as_they_are_read() {
    let cases = [
        ("{}", KeyExpr::Subject),
        (r#"{"token":2}"#, KeyExpr::Token(2)),
        (r#"{"header":"area"}"#, KeyExpr::Header("area".to_owned())),
        (r#"{"json":"/a"}"#, KeyExpr::Json { pointer: "/a".to_owned().try_into().unwrap(), missing: None }),
    ];
    for (text, expression) in cases {
        assert_eq!(serde_json::from_str::<KeyExpr>(text).unwrap(), expression);
        assert_eq!(serde_json::to_string(&expression).unwrap(), text);
    }
}

#[test]
fn a_key_comes_from_one_place() {
    let cases = [
        (r#""whole""#, "expected"),
        (r#"{"token":0}"#, "count from 1"),
        (r#"{"token":1,"header":"a"}"#, "one place"),
        (r#"{"token":1,"missing":"a"}"#, "one place"),
        (r#"{"missing":"a"}"#, "one place"),
        (r#"{"json":"a"}"#, "begins with a slash"),
        (r#"{"json":""}"#, "begins with a slash"),
        (r#"{"tokens":1}"#, "unknown field"),
    ];
    for (text, expected) in cases {
        let error = serde_json::from_str::<KeyExpr>(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

/// The published vectors of XXH64 with seed 0. If they change, keys change lanes, and order is lost.
#[test]
fn lanes_are_pinned() {
    let vectors = [("", 0xEF46_DB37_51D8_E999_u64), ("a", 0xD24E_C4F1_A98C_6E5B), ("abc", 0x44BC_2CF5_AD77_0999)];
    for (key, hash) in vectors {
        for lanes in [1, 2, 7, 256, u16::MAX] {
            assert_eq!(u64::from(lane_of(key, lanes)), hash % u64::from(lanes), "{key:?} of {lanes}");
        }
    }
    assert_eq!(lane_of("a", 0), 0);
    assert_eq!(HASH_VERSION, 1);
}

#[test]
fn keys_spread_over_the_lanes() {
    let mut count = [0; 16];
    for key in 0..16_000 {
        count[usize::from(lane_of(&format!("customer-{key}"), 16))] += 1;
    }
    assert!(count.iter().all(|keys| (850..1_150).contains(keys)), "{count:?}");
}

#[test]
fn keys_that_may_write_the_same_view_key_share_a_lane() {
    for key in ["a", "17850.0", "United Kingdom"] {
        assert_eq!(lane_of(key, 256), lane_of(&format!("{key}/b/c"), 256), "{key}");
    }
}
