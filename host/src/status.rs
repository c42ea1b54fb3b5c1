//! What a running host knows of itself: for readiness, for metrics, and for readers that wait until an input is covered.

mod report;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use self::report::{Commits, Host, Module as ModuleReport, Report};
use crate::commit::batch::Outcome;
use crate::commit::{LaneId, Tally};
use crate::config::{self, Lanes};
use crate::event::Sequence;
use crate::metrics::{self, Metrics};
use crate::ownership::LaneSet;
use crate::subject::Name;

/// What a host knows of itself. Clones share it.
#[derive(Clone, Debug)]
pub struct Status(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    metrics: Metrics,
    modules: BTreeMap<Name, Module>,
    /// Why the batch in hand is not stored yet, if it is not.
    refusal: Mutex<Option<String>>,
    /// Changes whenever a lane has moved.
    moved: watch::Sender<()>,
}

#[derive(Debug)]
struct Module {
    stream: String,
    /// How many lanes it has.
    lanes: AtomicU16,
    /// Whether this host is the one that measures its lag.
    measures: AtomicBool,
    phase: Mutex<Phase>,
    /// Up to where each lane has committed; [`UNKNOWN`] of those that are not this host's.
    covered: Vec<AtomicU64>,
}

const UNKNOWN: u64 = u64::MAX;

/// What a module is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", content = "why", rename_all = "lowercase")]
pub enum Phase {
    /// It is about to run.
    Starting,
    /// It runs.
    Running,
    /// An operator paused it.
    Paused,
    /// It was stopped, for this reason.
    Halted(String),
    /// Other hosts run it as something else than this one would, which this says.
    Differs(String),
}

impl Phase {
    /// The phase's name, one of [`metrics::STATES`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Halted(_) => "halted",
            Self::Differs(_) => "differs",
        }
    }
}

/// Why a host is not ready.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// What is not as it should be: `nats`, `commit`, `module` or `breaker`.
    pub what: &'static str,
    /// The module, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<Name>,
    /// A sentence for people.
    pub reason: String,
}

impl Status {
    /// The status of a host that is about to run `modules`.
    pub fn new<'m>(modules: impl Iterator<Item = &'m config::Module> + Clone) -> Self {
        let metrics = Metrics::new(modules.clone().map(|module| &module.name));
        let each = modules.map(|module| {
            let covered = (0..Lanes::MOST).map(|_| AtomicU64::new(UNKNOWN)).collect();
            let (stream, lanes) = (module.input.stream.clone(), module.lanes.get().into());
            let (measures, phase) = (AtomicBool::new(true), Mutex::new(Phase::Starting));
            (module.name.clone(), Module { stream, lanes, measures, phase, covered })
        });
        let (modules, moved) = (each.collect(), watch::Sender::new(()));
        let began = Instant::now();
        let status = Self(Arc::new(Inner { began, metrics, modules, refusal: Mutex::new(None), moved }));
        status.0.modules.keys().for_each(|name| status.note(name, Phase::Starting));
        status
    }

    /// What the host measures.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// What is measured of a module; of nobody, if it is not one of the host's.
    pub fn measured(&self, module: &Name) -> Arc<metrics::Module> {
        self.0.metrics.module(module).cloned().unwrap_or_else(|| metrics::Module::of_nobody(module))
    }

    /// Notes what a module is doing.
    pub fn note(&self, module: &Name, phase: Phase) {
        let Some(known) = self.0.modules.get(module) else { return };
        if let Some(metrics) = self.0.metrics.module(module) {
            metrics.state(phase.name());
        }
        *known.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// What a module is doing; none if it is not one of the host's.
    pub fn phase(&self, module: &Name) -> Option<Phase> {
        self.phases().find(|(name, _)| *name == module).map(|(_, phase)| phase)
    }

    /// What each module is doing.
    pub fn phases(&self) -> impl Iterator<Item = (&Name, Phase)> {
        let phase = |module: &Module| module.phase.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.0.modules.iter().map(move |(name, module)| (name, phase(module)))
    }

    /// Notes whether this host is the one that measures a module's lag.
    pub fn set_measures(&self, module: &Name, measures: bool) {
        if let Some(known) = self.0.modules.get(module) {
            known.measures.store(measures, Ordering::Release);
        }
    }

    /// Whether this host is the one that measures a module's lag.
    pub fn measures(&self, module: &Name) -> bool {
        self.0.modules.get(module).is_some_and(|module| module.measures.load(Ordering::Acquire))
    }

    /// Notes how many lanes a module has.
    pub fn has_lanes(&self, module: &Name, lanes: u16) {
        if let Some(known) = self.0.modules.get(module) {
            known.lanes.store(lanes, Ordering::Release);
        }
    }

    /// Notes that a lane has committed up to `covered`.
    pub fn covered(&self, lane: &LaneId, covered: Sequence) {
        let module = self.0.modules.get(&lane.module);
        if let Some(known) = module.and_then(|module| module.covered.get(usize::from(lane.lane))) {
            known.store(covered.0, Ordering::Release);
            self.0.moved.send_replace(());
        }
    }

    /// Notes that a lane is not this host's any more.
    pub fn left(&self, lane: &LaneId) {
        let module = self.0.modules.get(&lane.module);
        if let Some(known) = module.and_then(|module| module.covered.get(usize::from(lane.lane))) {
            known.store(UNKNOWN, Ordering::Release);
        }
    }

    /// The lanes of a module that are this host's.
    pub fn lanes(&self, module: &Name) -> LaneSet {
        let covered = self.0.modules.get(module).map(|module| &module.covered).into_iter().flatten();
        let owned = (0..).zip(covered).filter(|(_, covered)| covered.load(Ordering::Acquire) != UNKNOWN);
        owned.map(|(lane, _)| lane).collect()
    }

    /// Up to where all lanes of a module have committed, and in which stream; none if not all of them are this host's.
    pub fn position(&self, module: &Name) -> Option<(&str, Sequence)> {
        let module = self.0.modules.get(module)?;
        let lanes = module.covered.iter().take(module.lanes.load(Ordering::Acquire).into());
        let covered = lanes.map(|covered| covered.load(Ordering::Acquire));
        let known: Option<Vec<u64>> = covered.map(|covered| (covered != UNKNOWN).then_some(covered)).collect();
        Some((&module.stream, Sequence(known?.into_iter().min()?)))
    }

    /// Whether this host runs a module, so that its position here is the newest there is.
    pub fn runs(&self, module: &Name) -> bool {
        self.position(module).is_some() && self.phase(module) == Some(Phase::Running)
    }

    /// Waits until `module` has committed up to `sequence`; false if it has not after `patience`.
    pub async fn wait(&self, module: &Name, sequence: Sequence, patience: Duration) -> bool {
        let mut moved = self.0.moved.subscribe();
        let arrives = moved.wait_for(|()| self.position(module).is_some_and(|(_, covered)| covered >= sequence));
        tokio::time::timeout(patience, arrives).await.is_ok_and(|arrived| arrived.is_ok())
    }

    /// Notes what became of a batch of so many messages and bytes, after so long.
    pub fn sent(&self, outcome: &Outcome, size: (usize, usize), took: Duration) {
        self.0.metrics.commits.sent(outcome, size, took.as_secs_f64());
        let refusal = match outcome {
            Outcome::Committed(_) | Outcome::GuardRejected => None,
            Outcome::Ambiguous(reason) | Outcome::Refused(reason) | Outcome::Unavailable(_, reason) => {
                Some(reason.clone())
            }
        };
        *self.0.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    /// Notes that no batch is in hand any more: what stood in the way of the last one is over, however it ended.
    pub fn settled(&self) {
        *self.0.refusal.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.metrics.commits.settled();
    }

    /// Counts what was committed of a module.
    pub fn committed(&self, module: &Name, tally: &Tally) {
        if let Some(metrics) = self.0.metrics.module(module) {
            metrics.committed(tally);
        }
    }

    /// Why the batch in hand is not stored yet, if it is not.
    fn refusal(&self) -> Option<String> {
        self.0.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the host is not ready, as far as it knows itself; empty if it is.
    pub fn reasons(&self) -> Vec<Reason> {
        let refused = self.refusal().map(|reason| Reason { what: "commit", module: None, reason });
        refused.into_iter().chain(self.phases().filter_map(|(name, phase)| self.reason(name, phase))).collect()
    }

    fn reason(&self, name: &Name, phase: Phase) -> Option<Reason> {
        let module = Some(name.clone());
        let breaker_is_open = || self.0.metrics.module(name).is_some_and(|metrics| metrics.breaker_open.get() == 1);
        match phase {
            Phase::Starting => Some(Reason { what: "module", module, reason: "it is starting".to_owned() }),
            Phase::Halted(why) => Some(Reason { what: "module", module, reason: format!("it halted: {why}") }),
            Phase::Running if breaker_is_open() => {
                let reason = "its breaker is open: it waits, since its inputs fail in a row".to_owned();
                Some(Reason { what: "breaker", module, reason })
            }
            // An operator wants it so; or other hosts run it, and this one is ready to take over when they end.
            Phase::Running | Phase::Paused | Phase::Differs(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::hindrance::Hindrance;

    #[test]
    fn a_batch_that_is_not_stored_is_a_reason_until_one_is() {
        let (status, took) = (Status::new([].iter()), Duration::from_millis(1));
        let reasons = |outcome| {
            status.sent(&outcome, (1, 1), took);
            status.reasons().into_iter().map(|reason| (reason.what, reason.reason)).collect::<Vec<_>>()
        };
        let full = || "insufficient storage (10047)".to_owned();
        for outcome in
            [Outcome::Unavailable(Hindrance::Storage, full()), Outcome::Refused(full()), Outcome::Ambiguous(full())]
        {
            assert_eq!(reasons(outcome), [("commit", full())]);
        }
        assert_eq!(reasons(Outcome::GuardRejected), []);
        assert_eq!(reasons(Outcome::Unavailable(Hindrance::Storage, full())).len(), 1);
        assert_eq!(reasons(Outcome::Committed(Sequence(7))), []);
        assert_eq!(reasons(Outcome::Ambiguous("timed out".to_owned())).len(), 1);
        status.settled();
        assert_eq!(status.reasons(), [], "it had landed after all");
    }
}
