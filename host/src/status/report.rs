//! What a host tells of itself to those who ask over NATS: counters as they stand, of which the asker makes rates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Phase, Status};
use crate::metrics::{self, Counts, Fault, Spread};
use crate::ownership::LaneSet;
use crate::policy::CauseKind;
use crate::subject::Name;

/// Which host it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Host {
    /// Its id as a micro service: another one after each start.
    pub id: String,
    /// The name of its machine.
    pub machine: String,
    /// Its process id there.
    pub process: u32,
    /// Its version.
    pub version: String,
}

impl Host {
    /// How it is called in lists: its machine and process.
    pub fn shown(&self) -> String {
        format!("{}:{}", self.machine, self.process)
    }

    /// This process, which has that id.
    pub fn this(id: String) -> Self {
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { id, machine, process: std::process::id(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// All that a host tells of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Which host.
    pub host: Host,
    /// For how long it has run, in seconds: two reports are so far apart as these are.
    pub uptime: f64,
    /// Its modules, by name.
    pub modules: Vec<Module>,
    /// What its committer did.
    pub commits: Commits,
    /// Why the batch in hand is not stored yet, if it is not.
    pub refusal: Option<String>,
}

/// What a host tells of a module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Module {
    /// Which.
    pub module: Name,
    /// What it is doing.
    #[serde(flatten)]
    pub phase: Phase,
    /// The lanes that are the host's.
    pub lanes: LaneSet,
    /// What was counted of it since the host started, and where it stands.
    pub counts: Counts,
    /// Whether the lag among them was measured yet.
    pub lag_is_known: bool,
    /// Its dead letters since the host started, by cause.
    pub dead_letters: BTreeMap<CauseKind, u64>,
    /// How long calls of its plugin took, in seconds.
    pub calls: Spread,
    /// The last try that gave no effects.
    pub last_fault: Option<Fault>,
}

/// What a host's committer did since the host started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Commits {
    /// Batches, by what became of them.
    pub outcomes: BTreeMap<String, u64>,
    /// How many messages the committed ones had.
    pub messages: Spread,
    /// How long the server took to store them, in seconds.
    pub seconds: Spread,
}

impl Status {
    /// What this host, which is `host`, tells of itself now.
    pub fn report(&self, host: &Host) -> Report {
        let metrics = self.metrics();
        let modules =
            self.phases().map(|(name, phase)| Module::of(name, phase, self.lanes(name), &self.measured(name)));
        let outcomes = metrics.commits.outcomes().into_iter().map(|(outcome, count)| (outcome.to_owned(), count));
        Report {
            host: host.clone(),
            uptime: self.0.began.elapsed().as_secs_f64(),
            modules: modules.collect(),
            commits: Commits {
                outcomes: outcomes.collect(),
                messages: metrics.commits.messages(),
                seconds: metrics.commits.seconds(),
            },
            refusal: self.refusal(),
        }
    }
}

impl Report {
    /// Whether the host runs `module`.
    pub fn runs(&self, module: &Name) -> bool {
        self.modules.iter().any(|known| known.module == *module && known.phase == Phase::Running)
    }
}

impl Module {
    fn of(name: &Name, phase: Phase, lanes: LaneSet, measured: &metrics::Module) -> Self {
        Self {
            module: name.clone(),
            phase,
            lanes,
            counts: measured.counts(),
            lag_is_known: measured.lag_is_known(),
            dead_letters: measured.dead_letters(),
            calls: measured.calls.spread(),
            last_fault: measured.last_fault(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_back_as_it_was_sent() {
        let text = "app = \"shop\"\n[modules.totals]\nplugin = \"a.wasm\"\ninput = { stream = \"ORDERS\" }\n";
        let config = crate::config::parse(text, std::path::Path::new("pelton.toml")).unwrap();
        let status = Status::new(config.modules.iter());
        let totals: Name = "totals".parse().unwrap();
        status.note(&totals, Phase::Halted("lane 0: input 7: no".to_owned()));
        status.measured(&totals).calls.observe(2e-6);
        let report = status.report(&Host::this("an-id".to_owned()));
        let sent = serde_json::to_string(&report).unwrap();
        assert!(sent.contains(r#""phase":"halted","why":"lane 0: input 7: no""#), "{sent}");
        assert_eq!(serde_json::from_str::<Report>(&sent).unwrap(), report);
    }
}
