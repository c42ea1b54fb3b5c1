//! Which plugin a module runs, and whether it has yet to show that it works.
//!
//! All lanes of a module look here before each input. A plugin that takes another's place while the module runs is on
//! trial: the first input that any lane runs on it decides for all of them whether it stays or the old one returns.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::event::Sequence;
use crate::guest::Plugin;
use crate::policy::{Cause, Failure, cause_of};

/// A plugin as a module runs it.
#[derive(Clone)]
pub struct Version {
    /// The plugin.
    pub plugin: Plugin,
    /// Set until it has shown that it works.
    pub trial: Option<Trial>,
}

/// A plugin's trial; clones share it.
#[derive(Clone)]
pub struct Trial {
    /// What returns if the plugin fails.
    pub proven: Plugin,
    outcome: watch::Sender<Option<Outcome>>,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// The plugin stays: this input was the first that it did.
    Stays {
        /// The lane.
        lane: u16,
        /// The input's position.
        sequence: Sequence,
    },
    /// The old plugin returned, from this input on.
    Returns {
        /// The lane.
        lane: u16,
        /// The input's position.
        sequence: Sequence,
        /// What the new one made of it.
        cause: Cause,
    },
}

impl Version {
    /// A plugin that is not on trial.
    pub fn proven(plugin: Plugin) -> Self {
        Self { plugin, trial: None }
    }

    /// A plugin that has to show that it works in the place of `proven`, and where its trial's outcome will be.
    pub fn on_trial(plugin: Plugin, proven: Plugin) -> (Self, watch::Receiver<Option<Outcome>>) {
        let (outcome, told) = watch::channel(None);
        (Self { plugin, trial: Some(Trial { proven, outcome }) }, told)
    }

    /// The plugin that is known to work: this one, or the one that it would give its place back to.
    pub fn known_to_work(&self) -> &Plugin {
        match &self.trial {
            Some(trial) if !matches!(trial.outcome(), Some(Outcome::Stays { .. })) => &trial.proven,
            _ => &self.plugin,
        }
    }

    /// The plugin for the next input.
    pub fn next(&self) -> &Plugin {
        match &self.trial {
            Some(trial) if matches!(trial.outcome(), Some(Outcome::Returns { .. })) => &trial.proven,
            _ => &self.plugin,
        }
    }
}

impl Trial {
    fn outcome(&self) -> Option<Outcome> {
        self.outcome.borrow().clone()
    }

    /// Whether the old plugin returned.
    pub fn is_lost(&self) -> bool {
        matches!(self.outcome(), Some(Outcome::Returns { .. }))
    }

    /// Whether it still runs.
    pub fn is_open(&self) -> bool {
        self.outcome.borrow().is_none()
    }

    /// Notes what became of an input on the plugin, if that says something about the plugin and is the first to do so.
    pub fn note(&self, lane: u16, sequence: Sequence, failed: Option<&Failure>) {
        let outcome = match failed {
            None => Outcome::Stays { lane, sequence },
            Some(failure) if tells_of_plugin(failure) => {
                Outcome::Returns { lane, sequence, cause: cause_of(failure, 1) }
            }
            Some(_) => return,
        };
        self.outcome.send_if_modified(|decided| {
            let first = decided.is_none();
            decided.get_or_insert(outcome);
            first
        });
    }
}

/// Whether a failure may lie in the plugin: any but a wish for another try, or what has nothing to do with it.
fn tells_of_plugin(failure: &Failure) -> bool {
    match failure {
        Failure::Reject(_) | Failure::Trap(_) | Failure::Timeout(_) | Failure::Limit(_) | Failure::Violation(_) => true,
        Failure::Retry(_)
        | Failure::Undecodable(_)
        | Failure::Refused(_)
        | Failure::Crash(_)
        | Failure::Interrupted(_) => false,
    }
}
