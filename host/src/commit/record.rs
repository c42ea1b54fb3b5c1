//! Module records: what a module is deployed as. A change that would put keys on other lanes is refused by name.

use serde::{Deserialize, Serialize};

use crate::config::Module;
use crate::ownership::Edition;
use crate::route::{Filter, HASH_VERSION, KeyExpr};
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

/// A change of a module that its record forbids.
#[derive(Debug, thiserror::Error)]
#[error(
    "module {module:?}: its {what} was {was} and is now {is}; that would break order or skip inputs. Set it back in \
     the config, or give the module a new name to begin anew"
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
            format: 1,
            module: module.name.clone(),
            stream: module.input.stream.clone(),
            filters: module.input.filters.clone(),
            key: module.key.clone(),
            hash: HASH_VERSION,
            lanes: module.lanes.get(),
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
        changed("number of lanes", self.lanes.to_string(), now.lanes.to_string())
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            format: 1,
            module: "totals".parse().unwrap(),
            stream: "ORDERS".to_owned(),
            filters: Vec::new(),
            key: KeyExpr::Subject,
            hash: HASH_VERSION,
            lanes: 4,
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
}
