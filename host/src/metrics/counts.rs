//! What was measured of a module so far, as numbers for those who ask again and again and compute rates.

use std::collections::BTreeMap;

use prometheus_client::metrics::counter::Counter;
use serde::{Deserialize, Serialize};

use super::{ByCause, Module};
use crate::policy::CauseKind;

/// What was counted of a module since its host started, and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Inputs whose effects or dead letters are committed.
    pub inputs: u64,
    /// Events that are committed.
    pub events: u64,
    /// View writes that are committed.
    pub writes: u64,
    /// Dead letters whose replay is committed.
    pub replays: u64,
    /// Inputs that became dead letters.
    pub dead_letters: u64,
    /// Tries that gave no effects.
    pub failures: u64,
    /// Tries after which the input is tried again.
    pub retries: u64,
    /// Whether it waits, since its inputs fail in a row.
    pub breaker_open: bool,
    /// Inputs that the lane furthest behind has before it.
    pub lag: i64,
    /// For how long the oldest of them has been stored, in seconds.
    pub lag_seconds: f64,
    /// Inputs that wait in its lanes.
    pub waiting: i64,
    /// View keys that its lanes remember.
    pub cached: i64,
    /// Lanes that the host took over.
    #[serde(default)]
    pub lanes_taken: u64,
    /// Lanes that another host took from it.
    #[serde(default)]
    pub lanes_lost: u64,
}

impl Module {
    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        Counts {
            inputs: self.inputs.get(),
            events: self.events.get(),
            writes: self.writes.get(),
            replays: self.replays.get(),
            dead_letters: self.dead_letters.total(),
            failures: self.failures.total(),
            retries: self.retries.get(),
            breaker_open: self.breaker_open.get() == 1,
            lag: self.lag.get(),
            lag_seconds: self.lag_seconds.get(),
            waiting: self.waiting.get(),
            cached: self.cached.get(),
            lanes_taken: self.takeovers.get(),
            lanes_lost: self.lost.get(),
        }
    }

    /// How many inputs became dead letters so far, by the kinds of cause that there are.
    pub fn dead_letters(&self) -> BTreeMap<CauseKind, u64> {
        let each = self.dead_letters.0.iter().map(|(kind, counter)| (*kind, counter.get()));
        each.filter(|(_, count)| *count > 0).collect()
    }
}

impl ByCause {
    fn total(&self) -> u64 {
        self.0.iter().map(|(_, counter)| Counter::get(counter)).sum()
    }
}
