//! What a plugin answered, and whether that is what the test expects.

use std::time::Duration;

use super::case::{self, Answer};
use super::{Expected, Given};
use crate::bindings::pelton::plugin::types::Change;
use crate::{Effects, Emitted, Failure, Write};

/// What a plugin answered to an event.
#[derive(Debug)]
#[must_use = "say what is expected: then, then_rejects or then_retries"]
pub struct Outcome<P> {
    pub(super) given: Given<P>,
    pub(super) key: String,
    pub(super) result: Result<Effects, Failure>,
}

impl<P> Outcome<P> {
    /// Expects these effects and no others: the events in this order, and the writes in this order.
    /// The writes are in the views from here on.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = Expected>) -> Given<P> {
        self.must_meet(&effects(&expected.into_iter().collect()))
    }

    /// Expects a rejection whose reason contains `reason`.
    #[track_caller]
    pub fn then_rejects(self, reason: &str) -> Given<P> {
        self.must_meet(&Answer::Reject(reason.into()))
    }

    /// Expects that the plugin wants the event again, after this long.
    #[track_caller]
    pub fn then_retries(self, after: Option<Duration>) -> Given<P> {
        self.must_meet(&Answer::Retry(after))
    }

    #[track_caller]
    #[expect(clippy::panic, reason = "a test fails by panicking")]
    fn must_meet(self, wanted: &Answer) -> Given<P> {
        match self.meets(wanted) {
            Ok(given) => given,
            Err(message) => panic!("{message}"),
        }
    }

    /// What stands after the answer, if it is the one wanted; else what differs, line by line.
    pub(super) fn meets(mut self, wanted: &Answer) -> Result<Given<P>, String> {
        let got = match &self.result {
            Ok(done) => effects(done),
            Err(Failure::Reject(reason)) => Answer::Reject(reason.clone()),
            Err(Failure::Retry(after)) => Answer::Retry(*after),
        };
        if let Err(diff) = got.meets(wanted, &self.key) {
            let differs = "the plugin answered otherwise than expected (- expected, + got):";
            return Err(format!("{differs}\n{diff}{}", self.logged()));
        }
        if let Ok(effects) = self.result {
            self.given.apply(effects.writes);
        }
        Ok(self.given)
    }

    fn logged(&self) -> String {
        let lines = self.given.log().iter();
        lines.map(|line| format!("log {line}\n")).collect()
    }
}

fn effects(effects: &Effects) -> Answer {
    Answer::Effects {
        events: effects.events.iter().map(emitted).collect(),
        writes: effects.writes.iter().map(written).collect(),
    }
}

fn emitted(Emitted(event): &Emitted) -> case::Emitted {
    let attributes = event.attributes.iter().map(|attribute| (attribute.name.clone(), attribute.value.clone()));
    case::Emitted {
        category: event.category.clone(),
        key: event.key.clone(),
        kind: event.kind.clone(),
        subject: event.subject.clone(),
        content_type: event.content_type.clone(),
        attributes: attributes.collect(),
        data: event.data.clone(),
    }
}

fn written(Write(write): &Write) -> case::Written {
    let value = match &write.change {
        Change::Put(value) => Some(value.clone()),
        // The SDK makes no other change.
        Change::Delete | Change::Other(_) => None,
    };
    case::Written { view: write.view.clone(), key: write.key.clone(), value }
}
