//! Runs a folder of cases natively.

use std::path::Path;
use std::time::Duration;

use super::case::{self, Case, Then, When};
use super::outcome::Wanted;
use super::{Expected, Role, Sample, delete, event, event_raw, given, put, to_json};
use crate::Emitted;

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
    let Case { name, given: before, steps } = case;
    let mut state = given::<P>();
    for (view, values) in before.views {
        state = values.into_iter().fold(state, |state, (key, value)| state.view(&view, &key, &value));
    }
    state = before.config.into_iter().fold(state, |state, (name, value)| state.config(&name, &value));
    let several = steps.len() > 1;
    for (step, number) in steps.into_iter().zip(1..) {
        let at = if several { format!(" (step {number})") } else { String::new() };
        let outcome = state.when(step.when.into());
        state = outcome.meets(step.then.into()).map_err(|message| format!("{name}{at}: {message}"))?;
    }
    Ok(())
}

impl From<Then> for Wanted {
    fn from(then: Then) -> Self {
        match then {
            Then::Effects { events, writes } => {
                let events = events.into_iter().map(Into::into);
                Self::Effects(events.chain(writes.into_iter().map(Into::into)).collect())
            }
            Then::Reject(reason) => Self::Rejection(reason),
            Then::Retry(retry) => {
                let wait = retry.milliseconds.map(|wait| Duration::from_millis(wait.into()));
                Self::Retry(wait)
            }
        }
    }
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

impl From<case::Event> for Expected {
    fn from(event: case::Event) -> Self {
        let content_type = event.content_type.as_deref().unwrap_or("application/json");
        let mut emitted = Emitted::raw(&event.category, &event.kind, content_type, to_json(&event.data));
        if let Some(key) = event.key {
            emitted = emitted.key(key);
        }
        if let Some(subject) = event.subject {
            emitted = emitted.subject(subject);
        }
        event.attributes.into_iter().fold(emitted, |emitted, (name, value)| emitted.attribute(name, value)).into()
    }
}

impl From<case::Write> for Expected {
    fn from(write: case::Write) -> Self {
        match write.value {
            Some(value) => put(&write.view, &write.key, &value),
            None => delete(&write.view, &write.key),
        }
    }
}
