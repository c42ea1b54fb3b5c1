//! Which plugin a module runs, and whether it has yet to show that it works.
//!
//! All lanes of a module look here before each input. A plugin that takes another's place while the module runs is on
//! trial: the first input that any lane runs on it decides for all of them whether it stays or the old one returns. What
//! it made of inputs is kept back until the module's record says that it stays: whoever takes a lane over reads there what
//! ran last, so that no lane goes back to the old one behind effects of the new one.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::event::Sequence;
use crate::guest::Plugin;
use crate::policy::{Cause, Failure, cause_of};

/// A plugin as a module runs it.
#[derive(Clone)]
pub struct Version {
    /// The plugin.
    pub plugin: Plugin,
    /// Set until it has shown that it works, and the module's record says so.
    pub trial: Option<Trial>,
}

/// A plugin's trial; clones share it.
#[derive(Clone)]
pub struct Trial {
    /// What returns if the plugin fails.
    pub proven: Plugin,
    state: watch::Sender<State>,
}

/// How far a trial is.
#[derive(Clone, Debug, PartialEq)]
enum State {
    Open,
    /// An input decided.
    Decided(Outcome),
    /// It stays, and the module's record says so.
    Noted,
    /// Nothing came of it: the plugin has lost its place to another.
    Void,
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

    /// A plugin that has to show that it works in the place of `proven`.
    pub fn on_trial(plugin: Plugin, proven: Plugin) -> (Self, Trial) {
        let trial = Trial { proven, state: watch::Sender::new(State::Open) };
        (Self { plugin, trial: Some(trial.clone()) }, trial)
    }

    /// The plugin that the module's record names: this one, or the one that it would give its place back to.
    pub fn recorded(&self) -> &Plugin {
        match &self.trial {
            Some(trial) if *trial.state.borrow() != State::Noted => &trial.proven,
            _ => &self.plugin,
        }
    }

    /// The plugin for the next input.
    pub fn next(&self) -> &Plugin {
        match &self.trial {
            Some(trial) if trial.is_lost() => &trial.proven,
            _ => &self.plugin,
        }
    }
}

impl Trial {
    /// Waits for what an input decides; none if the plugin loses its place before.
    pub async fn outcome(&self) -> Option<Outcome> {
        let mut state = self.state.subscribe();
        let decided = state.wait_for(|state| *state != State::Open).await.ok()?;
        if let State::Decided(outcome) = &*decided { Some(outcome.clone()) } else { None }
    }

    /// Whether the plugin has lost its place.
    pub fn is_lost(&self) -> bool {
        matches!(*self.state.borrow(), State::Void | State::Decided(Outcome::Returns { .. }))
    }

    /// Whether no input has decided yet.
    pub fn is_open(&self) -> bool {
        *self.state.borrow() == State::Open
    }

    /// Whether the plugin stays, and its record does not say so yet.
    pub fn is_unnoted(&self) -> bool {
        matches!(*self.state.borrow(), State::Decided(Outcome::Stays { .. }))
    }

    /// What the plugin makes of inputs holds from now on: the module's record says that it stays.
    pub fn noted(&self) {
        self.state.send_replace(State::Noted);
    }

    /// The plugin loses its place: nothing that it made of inputs holds, unless the record says that it stays.
    pub fn void(&self) {
        self.state.send_if_modified(|state| {
            let holds = *state == State::Noted;
            if !holds {
                *state = State::Void;
            }
            !holds
        });
    }

    /// Waits on this thread until the record says that the plugin stays, if an input decided so. False if what it made of its
    /// input does not hold, since it has lost its place, or since `stop` ends its lane.
    pub fn holds(&self, stop: &CancellationToken) -> bool {
        let mut state = self.state.subscribe();
        tokio::runtime::Handle::current().block_on(async {
            tokio::select! {
                biased;
                state = state.wait_for(|state| !matches!(state, State::Decided(Outcome::Stays { .. }))) => {
                    state.is_ok_and(|state| *state == State::Noted)
                }
                () = stop.cancelled() => false,
            }
        })
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
        self.state.send_if_modified(|state| {
            let first = *state == State::Open;
            if first {
                *state = State::Decided(outcome);
            }
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
