//! Runs a folder of cases natively.

use std::path::Path;

use super::case::{self, Answer, Case, When};
use super::{Role, Sample, event, event_raw, given};

/// Runs all cases in `folder`, which is relative to the package's own, on the plugin `P`. What fails is shown with the
/// case's name. Their format is described at [`case`].
///
/// ```no_run
/// # use pelton_sdk::{Event, Failure, Projector, View, Write};
/// # struct Count;
/// # impl Projector for Count {
/// #     type Payload = serde_json::Value;
/// #     fn project(event: Event<Self::Payload>) -> Result<Vec<Write>, Failure> { Ok(vec![]) }
/// # }
/// pelton_sdk::testing::cases::<Count, _>("cases");
/// ```
#[track_caller]
#[expect(clippy::panic, reason = "a test fails by panicking")]
pub fn cases<P: Role<R>, R>(folder: impl AsRef<Path>) {
    let cases = match case::read(folder.as_ref()) {
        Ok(cases) => cases,
        Err(error) => panic!("{error}"),
    };
    let count = cases.len();
    let failed: Vec<String> = cases.into_iter().filter_map(|case| run::<P, R>(case).err()).collect();
    if !failed.is_empty() {
        panic!("{} of {count} cases failed\n\n{}", failed.len(), failed.join("\n"));
    }
}

fn run<P: Role<R>, R>(case: Case) -> Result<(), String> {
    let name = case.to_string();
    let Case { given: before, steps, .. } = case;
    let mut state = given::<P>();
    for (view, values) in before.views {
        state = values.into_iter().fold(state, |state, (key, value)| state.view(&view, &key, &value));
    }
    state = before.config.into_iter().fold(state, |state, (name, value)| state.config(&name, &value));
    let several = steps.len() > 1;
    for (step, number) in steps.into_iter().zip(1..) {
        let at = if several { format!(" (step {number})") } else { String::new() };
        let outcome = state.when(step.when.into());
        state = outcome.meets(&Answer::from(&step.then)).map_err(|message| format!("{name}{at}: {message}"))?;
    }
    Ok(())
}

impl From<When> for Sample {
    fn from(when: When) -> Self {
        let mut sample = match &when.payload {
            Some(payload) => event(payload),
            None => event_raw(when.bytes()),
        };
        let mut set = |value: Option<String>, setter: fn(Self, &str) -> Self| {
            if let Some(value) = value {
                sample = setter(sample.clone(), &value);
            }
        };
        set(when.key, Self::key);
        set(when.id, Self::id);
        set(when.source, Self::source);
        set(when.kind, Self::kind);
        set(when.subject, Self::subject);
        set(when.time, Self::time);
        set(when.content_type, Self::content_type);
        if let Some(sequence) = when.sequence {
            sample = sample.sequence(sequence);
        }
        when.attributes.iter().fold(sample, |sample, (name, value)| sample.attribute(name, value))
    }
}
