//! What a plugin answered, and whether that is what a test expects: both as text, compared line by line.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::{Event, Retry, Then, Write, defaults};

/// The longest that two texts are compared for their best difference; after that it may be longer than it need be.
const COMPARING: Duration = Duration::from_secs(1);

/// What a plugin answered, or is expected to.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// These effects.
    Effects {
        /// Events, in order.
        events: Vec<Emitted>,
        /// View writes, in order.
        writes: Vec<Written>,
    },
    /// A rejection for this reason; if expected, for one that contains it.
    Reject(String),
    /// The wish for the same event again, after this long.
    Retry(Option<Duration>),
    /// No answer: the plugin failed in a way that no test can expect, as this says.
    Fault(String),
}

/// An event in an answer.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields of an emitted event")]
pub struct Emitted {
    pub category: String,
    /// None for the input's key.
    pub key: Option<String>,
    pub kind: String,
    pub subject: Option<String>,
    pub content_type: String,
    pub attributes: Vec<(String, String)>,
    pub data: Vec<u8>,
}

/// A view write in an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The view.
    pub view: String,
    /// The key.
    pub key: String,
    /// The value; none removes the key.
    pub value: Option<Vec<u8>>,
}

impl Answer {
    /// Whether a plugin that gave this answer to an event of that key did what is `expected`; else what differs: `- `
    /// before what is only expected, `+ ` before what only came.
    pub fn meets(&self, expected: &Self, key: &str) -> Result<(), String> {
        let expected = match (expected, self) {
            (Self::Reject(part), Self::Reject(reason)) if reason.contains(part) => self,
            _ => expected,
        };
        let (expected, got) = (expected.lines(key), self.lines(key));
        if expected == got { Ok(()) } else { Err(diff(&expected, &got)) }
    }

    /// The answer as text: events first, then writes, each as a headline and its content.
    fn lines(&self, key: &str) -> String {
        let lines = match self {
            Self::Effects { events, writes } => {
                let events = events.iter().flat_map(|event| event.lines(key));
                events.chain(writes.iter().flat_map(Written::lines)).collect()
            }
            Self::Reject(reason) => vec![format!("reject: {reason}")],
            Self::Retry(None) => vec!["retry".to_owned()],
            Self::Retry(Some(after)) => vec![format!("retry after {after:?}")],
            Self::Fault(fault) => fault.lines().map(str::to_owned).collect(),
        };
        lines.into_iter().map(|line: String| line + "\n").collect()
    }
}

impl Emitted {
    fn lines(&self, key: &str) -> Vec<String> {
        let key = self.key.as_deref().unwrap_or(key);
        let mut lines = vec![format!("emit {}/{key} {}", self.category, self.kind)];
        lines.extend(self.subject.as_ref().map(|subject| format!("  subject: {subject}")));
        // A case writes them as an object, whose names have no order.
        let mut attributes: Vec<_> = self.attributes.iter().collect();
        attributes.sort();
        lines.extend(attributes.into_iter().map(|(name, value)| format!("  {name}: {value}")));
        if self.content_type != defaults::CONTENT_TYPE {
            lines.push(format!("  content type: {}", self.content_type));
        }
        lines.extend(content(&self.data));
        lines
    }
}

impl Written {
    fn lines(&self) -> Vec<String> {
        let place = format!("{}/{}", self.view, self.key);
        match &self.value {
            Some(value) => [vec![format!("put {place}")], content(value)].concat(),
            None => vec![format!("delete {place}")],
        }
    }
}

/// JSON prettily and with its names sorted, anything else as text.
fn content(data: &[u8]) -> Vec<String> {
    let text = match serde_json::from_slice::<Value>(data) {
        Ok(value) => format!("{value:#}"),
        Err(_) => data.escape_ascii().to_string(),
    };
    text.lines().map(|line| format!("  {line}")).collect()
}

/// All lines, in order: `- ` before those that only `expected` has, `+ ` before those that only `got` has.
fn diff(expected: &str, got: &str) -> String {
    let diff = TextDiff::configure().timeout(COMPARING).diff_lines(expected, got);
    let marked = diff.iter_all_changes().map(|change| {
        let mark = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        format!("{mark} {}", change.value())
    });
    marked.collect()
}

impl From<&Then> for Answer {
    fn from(then: &Then) -> Self {
        match then {
            Then::Effects { events, writes } => Self::Effects {
                events: events.iter().map(Emitted::from).collect(),
                writes: writes.iter().map(Written::from).collect(),
            },
            Then::Reject(reason) => Self::Reject(reason.clone()),
            Then::Retry(retry) => Self::Retry(retry.milliseconds.map(|wait| Duration::from_millis(wait.into()))),
        }
    }
}

impl From<&Event> for Emitted {
    fn from(event: &Event) -> Self {
        let Event { category, key, kind, subject, content_type, attributes, data } = event.clone();
        Self {
            category,
            key,
            kind,
            subject,
            content_type: content_type.unwrap_or_else(|| defaults::CONTENT_TYPE.to_owned()),
            attributes: attributes.into_iter().collect(),
            data: data.to_string().into_bytes(),
        }
    }
}

impl From<&Write> for Written {
    fn from(write: &Write) -> Self {
        let Write { view, key, value } = write.clone();
        Self { view, key, value: value.map(|value| value.to_string().into_bytes()) }
    }
}

/// Why no case can expect an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unsaid {
    /// It is no answer.
    Fault,
    /// It holds what is no JSON.
    NoJson,
}

/// An answer as it is written into a case.
#[derive(Serialize)]
struct Said {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<Event>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    writes: Vec<Write>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
}

impl Answer {
    /// The JSON of a `then` that expects this answer, over several lines.
    pub fn as_then(&self) -> Result<String, Unsaid> {
        let mut said = Said { events: Vec::new(), writes: Vec::new(), reject: None, retry: None };
        match self {
            Self::Effects { events, writes } => {
                said.events = events.iter().map(Emitted::said).collect::<Result<_, _>>()?;
                said.writes = writes.iter().map(Written::said).collect::<Result<_, _>>()?;
            }
            Self::Reject(reason) => said.reject = Some(reason.clone()),
            Self::Retry(after) => {
                let milliseconds = after.map(|after| u32::try_from(after.as_millis()).unwrap_or(u32::MAX));
                said.retry = Some(Retry { milliseconds });
            }
            Self::Fault(_) => return Err(Unsaid::Fault),
        }
        serde_json::to_string_pretty(&said).map_err(|_| Unsaid::NoJson)
    }
}

impl Emitted {
    fn said(&self) -> Result<Event, Unsaid> {
        let Self { category, key, kind, subject, content_type, attributes, data } = self.clone();
        Ok(Event {
            category,
            key,
            kind,
            subject,
            content_type: Some(content_type).filter(|found| found != defaults::CONTENT_TYPE),
            attributes: BTreeMap::from_iter(attributes),
            data: json(&data)?,
        })
    }
}

impl Written {
    fn said(&self) -> Result<Write, Unsaid> {
        let Self { view, key, value } = self.clone();
        Ok(Write { view, key, value: value.map(|value| json(&value)).transpose()? })
    }
}

fn json(data: &[u8]) -> Result<Value, Unsaid> {
    serde_json::from_slice(data).map_err(|_| Unsaid::NoJson)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_of_both_stand_once_and_the_others_are_marked() {
        for (expected, got, marked) in [
            ("", "", ""),
            ("a b", "a b", "  a,  b"),
            ("a b c", "a x c", "  a,- b,+ x,  c"),
            ("a b", "b", "- a,  b"),
            ("b", "a b c", "+ a,  b,+ c"),
            ("a b c d", "b d", "- a,  b,- c,  d"),
        ] {
            let lines = |text: &str| text.split_whitespace().map(|word| format!("{word}\n")).collect::<String>();
            let found = diff(&lines(expected), &lines(got));
            assert_eq!(found.lines().collect::<Vec<_>>().join(","), marked, "{expected} against {got}");
        }
    }

    #[test]
    fn what_an_answer_says_of_itself_as_a_case_is_met_by_it() {
        for then in [
            json!({}),
            json!({ "events": [{ "category": "c", "kind": "k", "data": { "b": 1, "a": null } }] }),
            json!({ "events": [{ "category": "c", "key": "x", "kind": "k", "subject": "s", "content_type": "text/x",
                                 "attributes": { "n": "v" }, "data": "text" }],
                    "writes": [{ "view": "v", "key": "k", "value": [1] }, { "view": "v", "key": "l", "value": null }] }),
            json!({ "reject": "no \"tea\"" }),
            json!({ "retry": {} }),
            json!({ "retry": { "milliseconds": 5 } }),
        ] {
            let expected = Answer::from(&serde_json::from_value::<Then>(then.clone()).unwrap());
            let said = expected.as_then().unwrap();
            assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), then);
            assert_eq!(expected.meets(&expected, "key"), Ok(()));
        }
        assert_eq!(Answer::Fault("trap".into()).as_then(), Err(Unsaid::Fault));
        let binary = Written { view: "v".into(), key: "k".into(), value: Some(vec![0xff]) };
        assert_eq!(Answer::Effects { events: vec![], writes: vec![binary] }.as_then(), Err(Unsaid::NoJson));
    }

    #[test]
    fn attributes_have_no_order() {
        let then =
            json!({ "events": [{ "category": "c", "kind": "k", "attributes": { "a": "2", "b": "1" }, "data": 0 }] });
        let expected = Answer::from(&serde_json::from_value::<Then>(then).unwrap());
        let Answer::Effects { mut events, writes } = expected.clone() else { panic!("{expected:?}") };
        events[0].attributes.reverse();
        assert_eq!(Answer::Effects { events, writes }.meets(&expected, "key"), Ok(()));
    }

    #[test]
    fn a_rejection_is_expected_by_a_part_of_its_reason() {
        let reject = |reason: &str| Answer::Reject(reason.into());
        assert_eq!(reject("payload: total: missing").meets(&reject("total"), "k"), Ok(()));
        assert_eq!(reject("payload").meets(&reject("total"), "k"), Err("- reject: total\n+ reject: payload\n".into()));
    }
}
