//! Keys in subjects, names, key expressions and subject filters.

use pelton::route::{Filter, KeyExpr};
use pelton::subject::{Generation, Name, Subjects, decode, encode};

use super::source::Source;

const KEYS: [&str; 8] = ["a", "United Kingdom", "17850.0", "a/b-c_d", "=", "é", "*", ">"];
const TOKENS: [&str; 9] = ["=20", "=3D", "=41", "=2e", "=", "=C3=A9", "=FF", "a", "."];
const NAMES: [&str; 6] = ["totals", "by-day", "a", "-", "A", "$KV.x"];
const PARTS: [&str; 9] = ["a", ".", "*", ">", ".a", ".*", ".>", "a*", " "];
const EXPRESSIONS: [&str; 7] = [
    "{}",
    r#"{"token":2}"#,
    r#"{"token":0}"#,
    r#"{"header":"a"}"#,
    r#"{"json":"/a~1b/0"}"#,
    r#"{"json":"/a","missing":"b"}"#,
    r#""subject""#,
];

/// What is written comes back, and what could not have been written is not read.
pub fn keys(data: &[u8]) {
    let mut source = Source::new(data);
    key(&source.text(&KEYS));
    token(&source.text(&TOKENS));
    name(&source.text(&NAMES), &source.text(&KEYS));
    expression(&source.text(&EXPRESSIONS));
    filters(&source.text(&PARTS), &source.text(&PARTS), &source.text(&PARTS));
}

fn key(key: &str) {
    let token = encode(key);
    assert!(is_token(&token), "{token:?}");
    assert_eq!(decode(&token).as_deref(), Some(key));
}

fn is_token(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/=".contains(&byte))
}

fn token(token: &str) {
    if let Some(key) = decode(token) {
        assert_eq!(encode(&key), token);
    }
}

fn name(text: &str, key: &str) {
    let Ok(name) = text.parse::<Name>() else { return };
    assert_eq!((name.as_str(), encode(text).as_str()), (text, text), "a name is a token as it is");
    assert!((1..=64).contains(&text.len()), "{text}");
    let subjects = Subjects::new(&name);
    let value = subjects.view_value(&name, Generation::default(), key);
    let prefix = format!("$KV.{name}.{name}.{}.", Generation::default());
    assert_eq!(value.strip_prefix(&prefix).and_then(decode).as_deref(), Some(key));
    let of_event = subjects.event(&name, key);
    for (all, subject) in subjects.all().into_iter().zip([value, of_event]) {
        assert!(Filter::try_from(all).is_ok_and(|all| key.is_empty() || all.matches(&subject)), "{subject:?}");
    }
}

fn expression(text: &str) {
    let Ok(expression) = serde_json::from_str::<KeyExpr>(text) else { return };
    let written = serde_json::to_string(&expression).unwrap_or_default();
    assert_eq!(serde_json::from_str::<KeyExpr>(&written).ok(), Some(expression), "{written}");
}

fn filters(one: &str, other: &str, subject: &str) {
    let (Ok(one), Ok(other)) = (Filter::try_from(one.to_owned()), Filter::try_from(other.to_owned())) else { return };
    assert!(one.overlaps(&one));
    assert_eq!(one.overlaps(&other), other.overlaps(&one));
    let both_match = |subject: &str| one.matches(subject) && other.matches(subject);
    match common(one.as_str(), other.as_str()) {
        Some(shared) => assert!(one.overlaps(&other) && both_match(&shared), "{one:?} {other:?} {shared:?}"),
        None => assert!(!one.overlaps(&other) && !both_match(subject), "{one:?} {other:?} {subject:?}"),
    }
    let Ok(literal) = Filter::try_from(subject.to_owned()) else { return };
    assert!(!one.matches(subject) || one.overlaps(&literal), "{one:?} {subject:?}");
    if !subject.split('.').any(|token| ["*", ">"].contains(&token)) {
        assert_eq!(one.matches(subject), one.overlaps(&literal), "{one:?} {subject:?}");
    }
}

/// A subject that passes both filters, if there is one.
fn common(one: &str, other: &str) -> Option<String> {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    let mut subject = Vec::new();
    loop {
        match (one.next(), other.next()) {
            (None, None) => return Some(filled(subject)),
            (Some(">"), Some(token)) => return Some(filled(subject.into_iter().chain([token]).chain(other))),
            (Some(token), Some(">")) => return Some(filled(subject.into_iter().chain([token]).chain(one))),
            (Some(token), Some("*")) | (Some("*"), Some(token)) => subject.push(token),
            (Some(token), Some(same)) if token == same => subject.push(token),
            _ => return None,
        }
    }
}

/// A subject of these tokens, with something in place of wildcards.
fn filled<'t>(tokens: impl IntoIterator<Item = &'t str>) -> String {
    let literals = tokens.into_iter().map(|token| if ["*", ">"].contains(&token) { "x" } else { token });
    literals.collect::<Vec<_>>().join(".")
}
