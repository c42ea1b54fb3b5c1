//! Cases as they are written in a file, and what they come to.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{Case, Event, Given, Retry, Step, Then, When, Write};

/// A file of cases as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    #[serde(default)]
    pub when: Value,
    pub cases: Vec<WrittenCase>,
}

/// A case as written: with one step of its own, or several.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenCase {
    name: String,
    #[serde(default)]
    given: Given,
    when: Option<Value>,
    then: Option<Then>,
    steps: Option<Vec<WrittenStep>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStep {
    #[serde(default)]
    when: Value,
    then: Then,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenThen {
    #[serde(default)]
    events: Vec<Event>,
    #[serde(default)]
    writes: Vec<Write>,
    reject: Option<String>,
    retry: Option<Retry>,
}

impl WrittenCase {
    /// The case with its steps laid over what all cases of the file have in common.
    pub fn over(self, common: &Value, file: &Path) -> Result<Case, String> {
        let Self { name, given, when, then, steps } = self;
        let steps = match (when, then, steps) {
            (when, Some(then), None) => vec![WrittenStep { when: when.unwrap_or_default(), then }],
            (None, None, Some(steps)) if steps.is_empty() => {
                return Err(format!("case {name:?}: \"steps\" has none: it would pass whatever the plugin does"));
            }
            (None, None, Some(steps)) => steps,
            _ => return Err(format!("case {name:?}: give either \"when\" and \"then\", or \"steps\"")),
        };
        let steps: Result<_, _> = steps.into_iter().map(|step| step.over(common)).collect();
        let steps = steps.map_err(|error| format!("case {name:?}: {error}"))?;
        Ok(Case { file: file.to_owned(), name, given, steps })
    }
}

impl WrittenStep {
    fn over(self, common: &Value) -> Result<Step, String> {
        let mut when = common.clone();
        merge(&mut when, self.when);
        let when: Option<When> = serde_json::from_value(when).map_err(|error| format!("when: {error}"))?;
        let when = when.unwrap_or_default();
        if when.payload.is_some() && when.data.is_some() {
            return Err("when: give either \"payload\" or \"data\"".into());
        }
        Ok(Step { when, then: self.then })
    }
}

impl TryFrom<WrittenThen> for Then {
    type Error = &'static str;

    fn try_from(then: WrittenThen) -> Result<Self, Self::Error> {
        let WrittenThen { events, writes, reject, retry } = then;
        match (reject, retry) {
            (None, None) => Ok(Self::Effects { events, writes }),
            (Some(reason), None) if events.is_empty() && writes.is_empty() => Ok(Self::Reject(reason)),
            (None, Some(retry)) if events.is_empty() && writes.is_empty() => Ok(Self::Retry(retry)),
            _ => Err("then: give \"events\" and \"writes\", or \"reject\", or \"retry\""),
        }
    }
}

/// Lays `patch` over `target`, as RFC 7396 says. At the top, where nothing can be left out, null changes nothing.
fn merge(target: &mut Value, patch: Value) {
    match patch {
        Value::Object(patch) => {
            if !target.is_object() {
                *target = Value::Object(serde_json::Map::new());
            }
            let Value::Object(target) = target else { return };
            for (name, value) in patch {
                if value.is_null() {
                    target.remove(&name);
                } else {
                    merge(target.entry(name).or_insert(Value::Null), value);
                }
            }
        }
        Value::Null => {}
        value => *target = value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patches_are_laid_over_as_rfc_7396_says() {
        let common = json!({ "key": "a", "payload": { "item": "tea", "left": 5, "at": { "place": "x" } } });
        for (patch, merged) in [
            (json!(null), common.clone()),
            (json!({ "key": "b" }), json!({ "key": "b", "payload": common["payload"] })),
            (json!({ "payload": null }), json!({ "key": "a" })),
            (json!({ "payload": [1] }), json!({ "key": "a", "payload": [1] })),
            (
                json!({ "payload": { "left": null, "at": { "place": "y" }, "new": { "of": null } } }),
                json!({ "key": "a", "payload": { "item": "tea", "at": { "place": "y" }, "new": {} } }),
            ),
        ] {
            let mut target = common.clone();
            merge(&mut target, patch.clone());
            assert_eq!(target, merged, "{patch}");
        }
    }

    #[test]
    fn a_case_has_one_step_or_several_and_an_answer_one_form() {
        for (case, fault) in [
            (json!({ "name": "x" }), "either"),
            (json!({ "name": "x", "when": {} }), "either"),
            (json!({ "name": "x", "when": {}, "then": {}, "steps": [] }), "either"),
            (json!({ "name": "x", "steps": [] }), "case \"x\": \"steps\" has none"),
            (json!({ "name": "x", "then": {}, "when": { "keys": "a" } }), "unknown field `keys`"),
            (json!({ "name": "x", "then": {}, "when": { "payload": 1, "data": "1" } }), "\"payload\" or \"data\""),
            (json!({ "name": "x", "then": { "rejects": "a" } }), "unknown field `rejects`"),
            (json!({ "name": "x", "then": { "reject": "a", "retry": {} } }), "or \"reject\", or \"retry\""),
        ] {
            let read = serde_json::from_value::<WrittenCase>(case.clone()).map_err(|error| error.to_string());
            let fault_found = read.and_then(|case| case.over(&Value::Null, Path::new("f.json"))).err();
            assert!(fault_found.as_ref().is_some_and(|found| found.contains(fault)), "{case}: {fault_found:?}");
        }
    }
}
