//! Module records: what a module is deployed as. A change that would put keys on other lanes is refused by name.

use serde::{Deserialize, Serialize};

use crate::commit::format::Versioned;
use crate::config::Module;
use crate::event::Sequence;
use crate::ownership::Edition;
use crate::route::{Filter, HASH_VERSION, KeyExpr, lane_of};
use crate::subject::{Generation, Name};

/// A module as the app stream knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this format.
    pub format: u32,
    /// The module.
    pub module: Name,
    /// The input stream.
    pub stream: String,
    /// The filters on it; none is the whole stream.
    pub filters: Vec<Filter>,
    /// Where the key comes from.
    pub key: KeyExpr,
    /// The version of the hash from keys to lanes.
    pub hash: u32,
    /// The number of lanes.
    pub lanes: u16,
    /// The numbers of lanes that it had before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scaled: Vec<Scaled>,
    /// The views it owns.
    pub views: Vec<Name>,
    /// What decides about its effects.
    #[serde(flatten)]
    pub edition: Edition,
    /// The live generation of its views.
    pub generation: Generation,
    /// Whether it runs.
    pub state: State,
}

impl Versioned for Record {}

/// A number of lanes that a module had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaled {
    /// How many.
    pub lanes: u16,
    /// Up to where each of them was done when the number changed; empty once all lanes are further.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covered: Vec<Sequence>,
}

impl Scaled {
    /// Whether one of the earlier lanes has done the input at `sequence` with that key.
    pub fn did(&self, key: &str, sequence: Sequence) -> bool {
        let covered = self.covered.get(usize::from(lane_of(key, self.lanes)));
        covered.is_some_and(|covered| sequence <= *covered)
    }
}

/// Whether a module runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It runs when a host does.
    Running,
    /// An operator stopped it for a while.
    Paused,
    /// It was stopped for a reason that needs an operator.
    Halted(String),
}

/// What lanes are called in [`Changed`].
const LANES: &str = "number of lanes";

/// A change of a module that its record forbids.
#[derive(Debug, thiserror::Error)]
#[error(
    "module {module:?}: its {what} was {was} and is now {is}; that would break order or skip inputs. Set it back in \
     the config{}, or give the module a new name to begin anew",
    if *.what == LANES { ", change it with `pelton module scale`" } else { "" }
)]
pub struct Changed {
    module: String,
    what: &'static str,
    was: String,
    is: String,
}

impl Record {
    /// The record of `module` with the plugin of that digest.
    pub fn of(module: &Module, plugin: &str) -> Self {
        let edition = Edition { plugin: plugin.to_owned(), settings: module.settings() };
        Self {
            format: Self::FORMAT,
            module: module.name.clone(),
            stream: module.input.stream.clone(),
            filters: module.input.filters.clone(),
            key: module.key.clone(),
            hash: HASH_VERSION,
            lanes: module.lanes.get(),
            scaled: Vec::new(),
            views: module.grants.views.iter().cloned().collect(),
            edition,
            generation: Generation::default(),
            state: State::Running,
        }
    }

    /// Checks that a module of this record may run as `now` says.
    pub fn allows(&self, now: &Self) -> Result<(), Changed> {
        let changed = |what, was: String, is: String| {
            let same = was == is;
            let module = self.module.to_string();
            if same { Ok(()) } else { Err(Changed { module, what, was, is }) }
        };
        changed("input stream", self.stream.clone(), now.stream.clone())?;
        changed("input filter", json(&self.filters), json(&now.filters))?;
        changed("key", json(&self.key), json(&now.key))?;
        changed("hash version", self.hash.to_string(), now.hash.to_string())?;
        // A config may still say what was before a planned change.
        if self.scaled.iter().any(|before| before.lanes == now.lanes) {
            return Ok(());
        }
        changed(LANES, self.lanes.to_string(), now.lanes.to_string())
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A module of four lanes that runs.
    pub fn record() -> Record {
        Record {
            format: 1,
            module: "totals".parse().unwrap(),
            stream: "ORDERS".to_owned(),
            filters: Vec::new(),
            key: KeyExpr::Subject,
            hash: HASH_VERSION,
            lanes: 4,
            scaled: Vec::new(),
            views: Vec::new(),
            edition: Edition { plugin: "sha256:1".to_owned(), settings: String::new() },
            generation: Generation::default(),
            state: State::Running,
        }
    }

    #[test]
    fn what_would_break_order_or_skip_inputs_is_refused_by_name() {
        let filter = Filter::try_from("orders.>".to_owned()).unwrap();
        let cases = [
            (Record { stream: "BILLS".to_owned(), ..record() }, "input stream was ORDERS and is now BILLS"),
            (Record { filters: vec![filter], ..record() }, "input filter was [] and is now [\"orders.>\"]"),
            (Record { key: KeyExpr::Token(2), ..record() }, "key was {} and is now {\"token\":2}"),
            (Record { hash: HASH_VERSION + 1, ..record() }, "hash version was 1 and is now 2"),
            (Record { lanes: 8, ..record() }, "number of lanes was 4 and is now 8"),
        ];
        for (now, expected) in cases {
            let error = record().allows(&now).unwrap_err().to_string();
            assert!(error.contains("module \"totals\"") && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn plugin_views_and_state_may_change() {
        let views = vec!["more".parse().unwrap()];
        let edition = Edition { plugin: "sha256:2".to_owned(), settings: "sha256:3".to_owned() };
        let now = Record { edition, views, state: State::Paused, ..record() };
        assert!(record().allows(&now).is_ok());
    }

    #[test]
    fn a_config_from_before_a_planned_change_of_lanes_is_allowed() {
        let before = Scaled { lanes: 4, covered: vec![Sequence(9); 4] };
        let scaled = Record { lanes: 8, scaled: vec![before], ..record() };
        assert!(scaled.allows(&record()).is_ok() && scaled.allows(&scaled).is_ok());
        let error = scaled.allows(&Record { lanes: 2, ..record() }).unwrap_err().to_string();
        assert!(error.contains("number of lanes was 8 and is now 2"), "{error}");
    }

    #[test]
    fn an_input_was_done_if_the_lane_that_its_key_had_was_so_far() {
        let mut covered = vec![Sequence(0); 4];
        covered[usize::from(lane_of("a", 4))] = Sequence(7);
        let before = Scaled { lanes: 4, covered };
        assert!(before.did("a", Sequence(7)) && !before.did("a", Sequence(8)));
        let other = ["b", "c", "d", "e"].into_iter().find(|key| lane_of(key, 4) != lane_of("a", 4)).unwrap();
        assert!(!before.did(other, Sequence(1)));
        assert!(!Scaled { lanes: 4, covered: Vec::new() }.did("a", Sequence(1)));
    }
}
