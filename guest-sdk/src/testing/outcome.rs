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

impl<P> Outcome<P> {
    /// Expects these effects and no others: the events in this order, and the writes in this order.
    /// The writes are in the views from here on.
    #[track_caller]
    pub fn then(mut self, expected: impl IntoIterator<Item = Expected>) -> Given<P> {
        let expected = Ok(expected.into_iter().collect());
        self.check(&render::lines(&expected, &self.key));
        if let Ok(effects) = self.result {
            self.given.apply(effects.writes);
        }
        self.given
    }

    /// Expects a rejection whose reason contains `reason`.
    #[track_caller]
    pub fn then_rejects(self, reason: &str) -> Given<P> {
        let rejected = matches!(&self.result, Err(Failure::Reject(why)) if why.contains(reason));
        if !rejected {
            self.check(&render::lines(&Err(Failure::reject(reason)), &self.key));
        }
        self.given
    }

    /// Expects that the plugin wants the event again, after this long.
    #[track_caller]
    pub fn then_retries(self, after: Option<Duration>) -> Given<P> {
        self.check(&render::lines(&Err(Failure::Retry(after)), &self.key));
        self.given
    }

    #[track_caller]
    fn check(&self, expected: &[String]) {
        let got = render::lines(&self.result, &self.key);
        assert!(
            expected == got,
            "the plugin answered otherwise than expected (- expected, + got):\n{}{}",
            diff::lines(expected, &got),
            self.logged(),
        );
    }

    fn logged(&self) -> String {
        let lines = self.given.log().iter();
        lines.map(|line| format!("log {line}\n")).collect()
    }
}
