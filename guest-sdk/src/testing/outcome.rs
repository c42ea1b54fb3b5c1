//! What a plugin answered, and whether that is what the test expects.

use std::time::Duration;

use super::{Expected, Given, diff, render};
use crate::{Effects, Failure};

/// What a plugin answered to an event.
#[derive(Debug)]
#[must_use = "say what is expected: then, then_rejects or then_retries"]
pub struct Outcome<P> {
    pub(super) given: Given<P>,
    pub(super) key: String,
    pub(super) result: Result<Effects, Failure>,
}

/// What a test wants a plugin to answer.
#[derive(Debug)]
pub enum Wanted {
    Effects(Effects),
    /// A rejection whose reason contains this.
    Rejection(String),
    Retry(Option<Duration>),
}

impl<P> Outcome<P> {
    /// Expects these effects and no others: the events in this order, and the writes in this order.
    /// The writes are in the views from here on.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = Expected>) -> Given<P> {
        self.must_meet(Wanted::Effects(expected.into_iter().collect()))
    }

    /// Expects a rejection whose reason contains `reason`.
    #[track_caller]
    pub fn then_rejects(self, reason: &str) -> Given<P> {
        self.must_meet(Wanted::Rejection(reason.into()))
    }

    /// Expects that the plugin wants the event again, after this long.
    #[track_caller]
    pub fn then_retries(self, after: Option<Duration>) -> Given<P> {
        self.must_meet(Wanted::Retry(after))
    }

    #[track_caller]
    #[expect(clippy::panic, reason = "a test fails by panicking")]
    fn must_meet(self, wanted: Wanted) -> Given<P> {
        match self.meets(wanted) {
            Ok(given) => given,
            Err(message) => panic!("{message}"),
        }
    }

    /// What stands after the answer, if it is the one wanted; else what differs, line by line.
    pub(super) fn meets(mut self, wanted: Wanted) -> Result<Given<P>, String> {
        let wanted = match wanted {
            Wanted::Effects(effects) => Ok(effects),
            Wanted::Rejection(reason) => Err(self.rejection(reason)),
            Wanted::Retry(after) => Err(Failure::Retry(after)),
        };
        let (wanted, got) = (render::lines(&wanted, &self.key), render::lines(&self.result, &self.key));
        if wanted != got {
            let differs = "the plugin answered otherwise than expected (- expected, + got):";
            return Err(format!("{differs}\n{}{}", diff::lines(&wanted, &got), self.logged()));
        }
        if let Ok(effects) = self.result {
            self.given.apply(effects.writes);
        }
        Ok(self.given)
    }

    /// The rejection itself, if its reason contains `reason`; else one for that reason alone.
    fn rejection(&self, reason: String) -> Failure {
        match &self.result {
            Err(Failure::Reject(why)) if why.contains(&reason) => Failure::Reject(why.clone()),
            _ => Failure::Reject(reason),
        }
    }

    fn logged(&self) -> String {
        let lines = self.given.log().iter();
        lines.map(|line| format!("log {line}\n")).collect()
    }
}
