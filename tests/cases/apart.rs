//! Keeps cases apart that run in one app, which has one view where each case expects its own.

use std::collections::BTreeSet;

use pelton_sdk::testing::case::{Case, Then};
use serde_json::Value;

/// Gives a case view keys of its own: wherever one of its texts is such a key, the case's number is added. A case with a
/// raw payload stays as it is, since its texts cannot be found.
pub fn apart(mut case: Case, number: usize) -> Case {
    let keys = view_keys(&case);
    let is_raw = case.steps.iter().any(|step| step.when.data.is_some());
    each_text(&mut case, &|text| {
        if !is_raw && keys.contains(text) {
            *text += &format!("-{number}");
        }
    });
    case
}

fn view_keys(case: &Case) -> BTreeSet<String> {
    let given = case.given.views.values().flat_map(|view| view.keys().cloned());
    let written = case.steps.iter().flat_map(|step| match &step.then {
        Then::Effects { writes, .. } => writes.as_slice(),
        Then::Reject(_) | Then::Retry(_) => &[],
    });
    given.chain(written.map(|write| write.key.clone())).collect()
}

/// Changes every text of a case that may be a view's key.
fn each_text(case: &mut Case, change: &impl Fn(&mut String)) {
    for view in case.given.views.values_mut() {
        *view = std::mem::take(view).into_iter().map(|(key, value)| (changed(key, change), value)).collect();
    }
    for step in &mut case.steps {
        step.when.key.iter_mut().for_each(change);
        step.when.payload.iter_mut().for_each(|payload| each_text_in(payload, change));
        if let Then::Effects { events, writes } = &mut step.then {
            for event in events {
                event.key.iter_mut().for_each(change);
                each_text_in(&mut event.data, change);
            }
            writes.iter_mut().for_each(|write| change(&mut write.key));
        }
    }
}

fn changed(mut text: String, change: &impl Fn(&mut String)) -> String {
    change(&mut text);
    text
}

fn each_text_in(value: &mut Value, change: &impl Fn(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(list) => list.iter_mut().for_each(|value| each_text_in(value, change)),
        Value::Object(fields) => fields.values_mut().for_each(|value| each_text_in(value, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
