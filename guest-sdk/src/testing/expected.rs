//! The effects that a test expects.

use serde::Serialize;

use super::to_json;
use crate::bindings::pelton::plugin::types::Change;
use crate::{Effects, Emitted, Write};

/// Expects an event of the CloudEvents type `kind` about the entity `key` in `category`, with `data` as JSON.
///
/// For one with a subject, attributes or another media type, make an [`Emitted`] and turn it `into` an [`Expected`].
pub fn emit<T: Serialize + ?Sized>(category: &str, key: &str, kind: &str, data: &T) -> Expected {
    let event = Emitted::raw(category, kind, "application/json", to_json(data));
    event.key(key).into()
}

/// Expects a write that puts `value` as JSON under `key` of `view`.
pub fn put<T: Serialize + ?Sized>(view: &str, key: &str, value: &T) -> Expected {
    Write::new(view, key, Change::Put(to_json(value))).into()
}

/// Expects a write that removes `key` from `view`.
pub fn delete(view: &str, key: &str) -> Expected {
    Write::new(view, key, Change::Delete).into()
}

/// One effect that a test expects.
#[derive(Clone, Debug)]
#[must_use = "nothing expects it until it is handed to `then`"]
pub struct Expected(Effect);

#[derive(Clone, Debug)]
enum Effect {
    Emit(Emitted),
    Write(Write),
}

impl From<Emitted> for Expected {
    fn from(event: Emitted) -> Self {
        Self(Effect::Emit(event))
    }
}

impl From<Write> for Expected {
    fn from(write: Write) -> Self {
        Self(Effect::Write(write))
    }
}

impl FromIterator<Expected> for Effects {
    fn from_iter<I: IntoIterator<Item = Expected>>(expected: I) -> Self {
        let mut effects = Self::new();
        for effect in expected {
            match effect.0 {
                Effect::Emit(event) => effects.emit(event),
                Effect::Write(write) => effects.write(write),
            }
        }
        effects
    }
}
