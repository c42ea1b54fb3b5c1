//! What gathers on the native side for the next batch: events, and for each view key the last value written to it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use pelton::effects::{CheckedWrite, Outgoing};
use pelton::event::Sequence;

const GUARD: &str = "Nats-Expected-Last-Subject-Sequence";

/// The views, and what is not committed yet.
#[derive(Default)]
pub struct Gathered {
    values: HashMap<Arc<str>, Value>,
    events: Vec<Outgoing>,
    written: Vec<Arc<str>>,
}

/// What stands under a view key.
#[derive(Default)]
struct Value {
    value: Option<Bytes>,
    revision: Sequence,
    /// Whether a module has read it: then its writes are guarded.
    read: bool,
    /// Whether it is among those to be written.
    waiting: bool,
}

impl Gathered {
    /// How many messages have gathered.
    pub fn len(&self) -> usize {
        self.events.len() + self.written.len()
    }

    /// Adds an event.
    pub fn emit(&mut self, event: Outgoing) {
        self.events.push(event);
    }

    /// The value of a view key.
    pub fn read(&mut self, subject: &str) -> Option<Bytes> {
        if let Some(known) = self.values.get_mut(subject) {
            known.read = true;
            return known.value.clone();
        }
        self.values.insert(subject.into(), Value { read: true, ..Value::default() });
        None
    }

    /// Writes a view key.
    pub fn write(&mut self, subject: &str, value: Bytes) {
        let subject = match self.values.get_key_value(subject) {
            Some((known, _)) => known.clone(),
            None => subject.into(),
        };
        let entry = self.values.entry(subject.clone()).or_default();
        entry.value = Some(value);
        if !std::mem::replace(&mut entry.waiting, true) {
            self.written.push(subject);
        }
    }

    /// Takes what has gathered: the messages, and the keys of the view writes, which come last.
    pub fn take(&mut self) -> (Vec<Outgoing>, Vec<Arc<str>>) {
        let mut messages = std::mem::take(&mut self.events);
        let written = std::mem::take(&mut self.written);
        for subject in &written {
            let Some(entry) = self.values.get_mut(subject) else { continue };
            entry.waiting = false;
            let mut message = CheckedWrite { subject: subject.clone(), value: entry.value.clone() }.message();
            if entry.read {
                message.push(GUARD, entry.revision.to_string());
            }
            messages.push(message);
        }
        (messages, written)
    }

    /// Notes where view writes were stored, the first of them at `first`.
    pub fn stored(&mut self, written: &[Arc<str>], first: u64) {
        for (subject, at) in written.iter().zip(first..) {
            if let Some(entry) = self.values.get_mut(subject) {
                entry.revision = Sequence(at);
            }
        }
    }
}
