//! Where in a file of cases each case and each expectation stands, so that the file can be changed there and nowhere else.
//! Pure.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Where a case stands.
#[derive(Debug, PartialEq)]
pub struct Place {
    /// Its line, from 1.
    pub line: usize,
    /// The bytes of the `then` of each of its steps.
    pub thens: Vec<Range<usize>>,
}

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    cases: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    then: Option<&'a RawValue>,
    #[serde(borrow, default)]
    steps: Vec<&'a RawValue>,
}

/// The places of the cases in `text`, in order.
pub fn of(text: &str) -> serde_json::Result<Vec<Place>> {
    let file: File<'_> = serde_json::from_str(text)?;
    file.cases.into_iter().map(|case| place(text, case)).collect()
}

fn place(text: &str, case: &RawValue) -> serde_json::Result<Place> {
    let Body { then, steps } = serde_json::from_str(case.get())?;
    let mut thens = Vec::from_iter(then.map(|then| range(text, then)));
    for step in steps {
        let step: Body<'_> = serde_json::from_str(step.get())?;
        thens.extend(step.then.map(|then| range(text, then)));
    }
    let before = text.get(..range(text, case).start).unwrap_or_default();
    Ok(Place { line: before.matches('\n').count() + 1, thens })
}

/// Where in `text` a part of it is.
fn range(text: &str, part: &RawValue) -> Range<usize> {
    let start = part.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
    start..start + part.get().len()
}

/// `json`, whose lines are indented like the one of `text` that it begins in, at `start`.
pub fn indented(json: &str, text: &str, start: usize) -> String {
    let line = text.get(..start).and_then(|before| before.rsplit('\n').next()).unwrap_or_default();
    let indent: String = line.chars().take_while(|c| *c == ' ' || *c == '\t').collect();
    json.replace('\n', &format!("\n{indent}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
  "when": { "then": 1 },
  "cases": [
    { "name": "ü", "then": { "reject": "then" } },
    {
      "steps": [{ "then": {} }, { "when": { "then": {} }, "then": {"retry": {}} }]
    }
  ]
}"#;

    #[test]
    fn places_hold_the_expectations_and_nothing_else() {
        let places = of(TEXT).unwrap();
        assert_eq!(places.iter().map(|place| place.line).collect::<Vec<_>>(), [4, 5]);
        let thens: Vec<&str> = places.iter().flat_map(|place| &place.thens).map(|then| &TEXT[then.clone()]).collect();
        assert_eq!(thens, [r#"{ "reject": "then" }"#, "{}", r#"{"retry": {}}"#]);
    }

    #[test]
    fn what_is_written_stands_as_deep_as_its_line() {
        let start = of(TEXT).unwrap()[1].thens[0].start;
        assert_eq!(indented("{\n  \"a\": 1\n}", TEXT, start), "{\n        \"a\": 1\n      }");
    }
}
