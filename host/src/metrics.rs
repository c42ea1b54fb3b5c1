//! What a host measures: all metrics, by name, in one place. Handles are resolved once, so that counting is an addition.

mod commits;
mod counts;
mod fault;
mod histogram;
mod share;
mod spans;
mod spread;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};
use tokio::runtime::Handle;

pub use self::commits::Commits;
pub use self::counts::Counts;
pub use self::fault::{Fate, Fault};
pub use self::histogram::Histogram;
pub use self::share::Share;
pub use self::spans::Spans;
pub use self::spread::{Scale, Spread};
use crate::commit::Tally;
use crate::policy::CauseKind;
use crate::subject::Name;

/// The media type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The states that a module may be in, as `pelton_module_state` names them.
pub const STATES: [&str; 5] = ["starting", "running", "paused", "halted", "differs"];

type Labels = Vec<(&'static str, String)>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// All that a host measures.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    modules: BTreeMap<Name, Arc<Module>>,
    /// What the committer does.
    pub commits: Commits,
    /// What the export of traces does.
    pub spans: Spans,
    /// Hosts of the app that live, this one among them.
    pub hosts: Gauge,
    tasks: Gauge,
    /// Reconnects of the connection that reads.
    pub read_reconnects: Counter,
    /// Reconnects of the connection that commits.
    pub commit_reconnects: Counter,
}

/// What is measured of one module.
#[derive(Debug)]
pub struct Module {
    inputs: Counter,
    events: Counter,
    writes: Counter,
    replays: Counter,
    dead_letters: ByCause,
    failures: ByCause,
    /// Inputs that are to be tried again.
    pub retries: Counter,
    /// How long calls of the plugin take, in seconds.
    pub calls: Histogram,
    /// 1 while the breaker is open.
    pub breaker_open: Gauge,
    /// Lanes that are this host's.
    pub lanes: Gauge,
    /// Lanes that this host took over.
    pub takeovers: Counter,
    /// Lanes that another host took from this one.
    pub lost: Counter,
    /// 1 for the state that the module is in.
    states: [Gauge; STATES.len()],
    /// Inputs that the lane furthest behind has before it.
    lag: Gauge,
    /// How long the oldest of them is stored, in seconds.
    lag_seconds: Gauge<f64, AtomicU64>,
    lag_is_known: AtomicBool,
    /// Inputs that wait in its lanes.
    pub waiting: Gauge,
    /// View keys that its lanes remember.
    pub cached: Gauge,
    /// Dead letters that its keys wait behind, and that wait behind them.
    pub parked: Gauge,
    /// The last try that gave no effects.
    last_fault: Mutex<Option<Fault>>,
}

/// A counter for each kind of cause.
#[derive(Debug)]
struct ByCause(Vec<(CauseKind, Counter)>);

impl ByCause {
    fn inc(&self, kind: CauseKind) {
        if let Some((_, counter)) = self.0.iter().find(|(of, _)| *of == kind) {
            counter.inc();
        }
    }
}

/// The families that have a metric for each module.
struct Families {
    inputs: Family<Labels, Counter>,
    events: Family<Labels, Counter>,
    writes: Family<Labels, Counter>,
    replays: Family<Labels, Counter>,
    dead_letters: Family<Labels, Counter>,
    failures: Family<Labels, Counter>,
    retries: Family<Labels, Counter>,
    calls: Histograms,
    breaker_open: Family<Labels, Gauge>,
    lanes: Family<Labels, Gauge>,
    takeovers: Family<Labels, Counter>,
    lost: Family<Labels, Counter>,
    states: Family<Labels, Gauge>,
    lag: Family<Labels, Gauge>,
    lag_seconds: Family<Labels, Gauge<f64, AtomicU64>>,
    waiting: Family<Labels, Gauge>,
    cached: Family<Labels, Gauge>,
    parked: Family<Labels, Gauge>,
}

impl Metrics {
    /// The metrics of a host that runs these modules, all at zero.
    pub fn new<'a>(modules: impl IntoIterator<Item = &'a Name>) -> Self {
        let mut registry = Registry::with_prefix("pelton");
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of this host", version);
        let families = Families::registered(&mut registry);
        let (commits, spans) = (Commits::registered(&mut registry), Spans::registered(&mut registry));
        let reconnects = family::<Family<Labels, Counter>>(
            &mut registry,
            "reconnects",
            "Connections to NATS that were made again, by what they are for",
        );
        let hosts = Gauge::default();
        registry.register("hosts", "Hosts of the app that live, this one among them", hosts.clone());
        let tasks = Gauge::default();
        registry.register("tasks", "Tasks of this host that have not ended: some for each lane", tasks.clone());
        let reconnects = |of: &str| reconnects.get_or_create_owned(&vec![("connection", of.to_owned())]);
        Self {
            modules: modules.into_iter().map(|name| (name.clone(), Arc::new(families.module(name)))).collect(),
            commits,
            spans,
            hosts,
            tasks,
            read_reconnects: reconnects("read"),
            commit_reconnects: reconnects("commit"),
            registry,
        }
    }

    /// What is measured of the module of that name.
    pub fn module(&self, name: &Name) -> Option<&Arc<Module>> {
        self.modules.get(name)
    }

    /// All metrics in the OpenMetrics text format.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        if let Ok(runtime) = Handle::try_current() {
            self.tasks.set(i64::try_from(runtime.metrics().num_alive_tasks()).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// A family that is registered under `name`.
fn family<F: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> F {
    let family = F::default();
    registry.register(name, help, family.clone());
    family
}

/// From 1 µs, which is what a call takes at least, to 4 s.
fn call_buckets() -> Histogram {
    Histogram::new(Scale { start: 1e-6, factor: 4.0, buckets: 12 })
}

impl Families {
    fn registered(registry: &mut Registry) -> Self {
        let calls = Histograms::new_with_constructor(call_buckets);
        registry.register("handler_duration_seconds", "How long calls of the plugin take", calls.clone());
        let to = registry;
        Self {
            inputs: family(to, "inputs", "Inputs whose effects or dead letters are committed"),
            events: family(to, "events", "Events that are committed"),
            writes: family(to, "view_writes", "View writes that are committed, before those to one key are merged"),
            replays: family(to, "replays", "Dead letters whose replay is committed"),
            dead_letters: family(to, "dead_letters", "Inputs that became dead letters, by kind of cause"),
            failures: family(to, "failures", "Tries that gave no effects, by reason: trap, limit, timeout and others"),
            retries: family(to, "retries", "Tries after which the input is tried again"),
            breaker_open: family(to, "breaker_open", "1 while the module waits since its inputs fail in a row"),
            lanes: family(to, "lanes", "Lanes of the module that are this host's"),
            takeovers: family(to, "lanes_taken", "Lanes that this host took over"),
            lost: family(to, "lanes_lost", "Lanes that another host took from this one"),
            states: family(to, "module_state", "1 for the state that the module is in"),
            lag: family(to, "lag_messages", "Inputs that the lane furthest behind has before it"),
            lag_seconds: family(to, "lag_seconds", "How long ago the oldest input before any lane was stored"),
            waiting: family(to, "inputs_waiting", "Inputs that were read and wait in the module's lanes"),
            cached: family(to, "views_cached", "View keys that the module's lanes remember"),
            parked: family(to, "inputs_parked", "Dead letters that keys wait behind, and those that wait behind them"),
            calls,
        }
    }

    fn module(&self, name: &Name) -> Module {
        let of = vec![("module", name.to_string())];
        let with = |label, value: &str| vec![("module", name.to_string()), (label, value.to_owned())];
        let by_cause = |family: &Family<Labels, Counter>, label: &'static str| {
            let kinds = CauseKind::value_variants().iter();
            ByCause(kinds.map(|kind| (*kind, family.get_or_create_owned(&with(label, kind.name())))).collect())
        };
        Module {
            inputs: self.inputs.get_or_create_owned(&of),
            events: self.events.get_or_create_owned(&of),
            writes: self.writes.get_or_create_owned(&of),
            replays: self.replays.get_or_create_owned(&of),
            dead_letters: by_cause(&self.dead_letters, "cause"),
            failures: by_cause(&self.failures, "reason"),
            retries: self.retries.get_or_create_owned(&of),
            calls: self.calls.get_or_create_owned(&of),
            breaker_open: self.breaker_open.get_or_create_owned(&of),
            lanes: self.lanes.get_or_create_owned(&of),
            takeovers: self.takeovers.get_or_create_owned(&of),
            lost: self.lost.get_or_create_owned(&of),
            states: STATES.map(|state| self.states.get_or_create_owned(&with("state", state))),
            lag: self.lag.get_or_create_owned(&of),
            lag_seconds: self.lag_seconds.get_or_create_owned(&of),
            lag_is_known: AtomicBool::new(false),
            waiting: self.waiting.get_or_create_owned(&of),
            cached: self.cached.get_or_create_owned(&of),
            parked: self.parked.get_or_create_owned(&of),
            last_fault: Mutex::default(),
        }
    }
}

impl Module {
    /// Handles that no registry knows.
    pub fn of_nobody(name: &Name) -> Arc<Self> {
        Arc::new(Families::registered(&mut Registry::default()).module(name))
    }

    /// Counts what was committed.
    pub fn committed(&self, tally: &Tally) {
        self.inputs.inc_by(tally.inputs);
        self.events.inc_by(tally.events);
        self.writes.inc_by(tally.writes);
        self.replays.inc_by(tally.replays);
        tally.dead_letters.iter().for_each(|kind| self.dead_letters.inc(*kind));
    }

    /// Counts a try that gave no effects.
    pub fn failed(&self, kind: CauseKind) {
        self.failures.inc(kind);
    }

    /// Notes how many inputs the lane furthest behind has before it, and for how long the oldest of them is stored, in
    /// seconds.
    pub fn behind(&self, messages: u64, seconds: f64) {
        self.lag.set(i64::try_from(messages).unwrap_or(i64::MAX));
        self.lag_seconds.set(seconds);
        self.lag_is_known.store(true, Ordering::Release);
    }

    /// Another host measures that.
    pub fn is_measured_elsewhere(&self) {
        self.lag.set(0);
        self.lag_seconds.set(0.0);
        self.lag_is_known.store(false, Ordering::Release);
    }

    /// Whether that was noted yet.
    pub fn lag_is_known(&self) -> bool {
        self.lag_is_known.load(Ordering::Acquire)
    }

    /// Notes what came of the last try that gave no effects.
    pub fn faulted(&self, fault: Fault) {
        *self.last_fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    /// The last try that gave no effects.
    pub fn last_fault(&self) -> Option<Fault> {
        self.last_fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes the state that the module is in, one of [`STATES`].
    pub fn state(&self, state: &str) {
        for (gauge, name) in self.states.iter().zip(STATES) {
            gauge.set(i64::from(name == state));
        }
    }
}
