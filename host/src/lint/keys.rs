//! Keys: do they spread over the lanes, is there one at all, and are those of the cases the ones that events have? Pure.

use std::collections::BTreeSet;

use super::{App, Finding, Known};
use crate::config::Input;
use crate::route::{KeyExpr, lane_of};

/// What the subjects that a module takes say of its keys.
#[derive(Debug, PartialEq)]
enum Keys<'a> {
    /// As many as there may be.
    Many,
    /// These and no others.
    Only(BTreeSet<&'a str>),
    /// A subject that passes this filter has none.
    None(&'a str),
}

pub(super) fn lint(app: &App<'_>, known: &Known<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lanes = known.module.lanes.get();
    match keys(&known.module.key, &known.module.input) {
        Keys::None(filter) => findings.push(app.finding(
            known,
            "key",
            "no-key",
            format!("subjects that pass {filter:?} have no token that far: each such event becomes a dead letter"),
            "take the key from a token that all subjects have, or narrow the filter",
        )),
        Keys::Only(keys) => {
            let used: BTreeSet<u16> = keys.iter().map(|key| lane_of(key, lanes)).collect();
            if used.len() < usize::from(lanes) {
                let names: Vec<&str> = keys.iter().copied().take(5).collect();
                let what = format!("its keys can only be {}: {} of {lanes} lanes work", names.join(", "), used.len());
                let help = "take the key from what differs between events, or have fewer lanes";
                findings.push(app.finding(known, "key", "lanes", what, help));
            }
        }
        Keys::Many => {}
    }
    findings.extend(of_cases(app, known));
    findings
}

fn keys<'a>(key: &KeyExpr, input: &'a Input) -> Keys<'a> {
    let mut only = BTreeSet::new();
    for filter in &input.filters {
        let text = filter.as_str();
        match key {
            KeyExpr::Subject if text.split('.').all(is_literal) => {
                only.insert(text);
            }
            KeyExpr::Token(at) => match token(text, usize::from(*at)) {
                Some(token) if is_literal(token) => {
                    only.insert(token);
                }
                Some(_) => return Keys::Many,
                None => return Keys::None(text),
            },
            KeyExpr::Subject | KeyExpr::Header(_) | KeyExpr::Json { .. } => return Keys::Many,
        }
    }
    // Without filters it is the whole stream, with whatever subjects that has.
    if only.is_empty() { Keys::Many } else { Keys::Only(only) }
}

fn is_literal(token: &str) -> bool {
    token != "*" && token != ">"
}

/// The token of a filter that stands for the token `at` of a subject, from 1.
fn token(filter: &str, at: usize) -> Option<&str> {
    let found = at.checked_sub(1).and_then(|index| filter.split('.').nth(index));
    found.or_else(|| filter.split('.').next_back().filter(|last| *last == ">"))
}

/// Cases whose events have another key than the module would give them.
fn of_cases(app: &App<'_>, known: &Known<'_>) -> Vec<Finding> {
    let KeyExpr::Json { pointer, missing } = &known.module.key else { return Vec::new() };
    let mut findings = Vec::new();
    for (case, place) in known.cases() {
        let differs = case.steps.iter().find_map(|step| {
            let said = step.when.key.as_ref().filter(|_| step.when.payload.is_some())?;
            let real = pointer.key_in(&step.when.bytes(), missing.as_deref()).ok()?;
            (real != *said).then_some((said, real))
        });
        if let Some((said, real)) = differs {
            let what =
                format!("case {:?}: the key is {said:?}, but the module takes {real:?} from the payload", case.name);
            let help = "make the case's key the one that such an event has";
            findings.push(app.finding(known, "key", "case-key", what, help).at(&case.file, place.line));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Filter;

    #[test]
    fn filters_say_what_keys_there_can_be() {
        let (subject, second) = (KeyExpr::Subject, KeyExpr::Token(2));
        for (key, filters, expected) in [
            (&subject, &[][..], Keys::Many),
            (&subject, &["a.>"], Keys::Many),
            (&subject, &["a.b", "a.*"], Keys::Many),
            (&subject, &["a.b", "a.c", "a.b"], Keys::Only(["a.b", "a.c"].into())),
            (&second, &[], Keys::Many),
            (&second, &["a.*"], Keys::Many),
            (&second, &["a.>"], Keys::Many),
            (&second, &[">"], Keys::Many),
            (&second, &["a.b.*", "a.c"], Keys::Only(["b", "c"].into())),
            (&second, &["a.b", "a"], Keys::None("a")),
            (&KeyExpr::Header("h".into()), &["a"], Keys::Many),
        ] {
            let filters = filters.iter().map(|filter| Filter::try_from((*filter).to_owned()).unwrap()).collect();
            let input = Input { stream: "S".into(), filters };
            assert_eq!(keys(key, &input), expected, "{key:?} {input:?}");
        }
    }
}
