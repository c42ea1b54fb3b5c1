//! Figures of an app and its modules, from two looks at it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::look::Seen;
use crate::commit::record;
use crate::event::rfc3339;
use crate::metrics::{Fault, Spread};
use crate::policy::CauseKind;
use crate::status::{self, ModuleReport, Phase, Report};
use crate::subject::Name;

/// All figures of one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Those of the app.
    pub app: App,
    /// Those of its modules, by name.
    pub modules: Vec<Module>,
}

/// The figures of an app.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct App {
    /// Its name.
    pub name: Name,
    /// When, RFC 3339.
    pub time: String,
    /// The hosts that answer.
    pub hosts: Vec<Host>,
    /// Committed batches, of all hosts; none with a first look.
    pub commits_per_second: Option<f64>,
    /// The mean; none if nothing was committed meanwhile.
    pub messages_per_commit: Option<f64>,
    /// How long the server took to store a batch.
    pub commit_seconds: Option<Quantiles>,
    /// What the server says that does not store the batch in hand.
    pub waits_for: Option<String>,
}

/// A host that answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Host {
    /// Which.
    #[serde(flatten)]
    pub host: status::Host,
    /// For how long it has run.
    pub uptime_seconds: f64,
}

/// About the values under which half of all and nearly all lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "they are called what they are")]
pub struct Quantiles {
    pub p50: f64,
    pub p99: f64,
}

/// What a module is doing, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It was stopped for a reason that needs an operator.
    Halted,
    /// No host runs it that answers: those that do would run it as something else than its record says.
    Differs,
    /// No host runs it.
    NotRunning,
    /// A host is about to run it.
    Starting,
    /// An operator paused it.
    Paused,
    /// It runs.
    Running,
}

/// The figures of a module, of all hosts together. Counts are since the hosts started.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Module {
    /// Which.
    pub module: Name,
    /// Hosts that tell of it. If there are none, nothing is known but state and lag.
    pub hosts: usize,
    /// What it is doing.
    pub state: State,
    /// Why, if that is not as it should be.
    pub reason: Option<String>,
    /// Whether it waits, since its inputs fail in a row.
    pub breaker_open: bool,
    /// Committed inputs; none with a first look.
    pub inputs_per_second: Option<f64>,
    /// Committed events and view writes.
    pub effects_per_second: Option<f64>,
    /// Inputs that the lane furthest behind has before it.
    pub lag: Option<u64>,
    /// For how long the oldest of them has been stored.
    pub lag_seconds: Option<f64>,
    /// Inputs that wait in its lanes.
    pub waiting: u64,
    /// How long calls of its plugin took; none if there was none meanwhile.
    pub call_seconds: Option<Quantiles>,
    /// Inputs that are done.
    pub inputs: u64,
    /// Committed events.
    pub events: u64,
    /// Committed view writes.
    pub writes: u64,
    /// Inputs that became dead letters.
    pub dead_letters: u64,
    /// The same by cause.
    pub causes: BTreeMap<CauseKind, u64>,
    /// Tries that gave no effects.
    pub failures: u64,
    /// Tries after which the input is tried again.
    pub retries: u64,
    /// The last try that gave no effects.
    pub last_fault: Option<Fault>,
}

impl Figures {
    /// The figures of `later`, with rates since `earlier`.
    pub fn of(app: &Name, earlier: Option<&Seen>, later: &Seen) -> Self {
        let was = |now: &Report| earlier?.reports.iter().find(|report| report.host == now.host);
        let hosts: Vec<Pair<'_>> = later.reports.iter().map(|now| Pair { was: was(now), now }).collect();
        let told = later.reports.iter().flat_map(|report| &report.modules).map(|module| &module.module);
        let names: BTreeSet<&Name> = later.known.keys().chain(told).collect();
        let modules = names.into_iter().map(|name| module(name, &hosts, later)).collect();
        Self { app: of_app(app, &hosts, later), modules }
    }
}

/// What a host tells now, and what it told in the look before.
struct Pair<'a> {
    was: Option<&'a Report>,
    now: &'a Report,
}

impl Pair<'_> {
    /// What became more meanwhile, for each second; none if that is not known.
    fn rate(&self, count: impl Fn(&Report) -> Option<u64>) -> Option<f64> {
        let was = self.was?;
        let seconds = self.now.uptime - was.uptime;
        let more = count(self.now)?.saturating_sub(count(was)?);
        (seconds > 0.0).then(|| more as f64 / seconds)
    }

    /// The values that came meanwhile.
    fn recent(&self, spread: impl for<'r> Fn(&'r Report) -> Option<&'r Spread>) -> Option<Spread> {
        Some(spread(self.now)?.since(spread(self.was?)?))
    }
}

fn rate(hosts: &[Pair<'_>], count: impl Fn(&Report) -> Option<u64>) -> Option<f64> {
    hosts.iter().filter_map(|host| host.rate(&count)).reduce(|one, other| one + other)
}

fn recent(hosts: &[Pair<'_>], spread: impl for<'r> Fn(&'r Report) -> Option<&'r Spread>) -> Option<Spread> {
    hosts.iter().filter_map(|host| host.recent(&spread)).reduce(|one, other| one.and(&other))
}

fn quantiles(spread: Option<&Spread>) -> Option<Quantiles> {
    let spread = spread?;
    Some(Quantiles { p50: spread.quantile(0.5)?, p99: spread.quantile(0.99)? })
}

fn of_app(app: &Name, hosts: &[Pair<'_>], seen: &Seen) -> App {
    let committed = |report: &Report| report.commits.outcomes.get("committed").copied();
    App {
        name: app.clone(),
        time: rfc3339(seen.time),
        hosts: hosts
            .iter()
            .map(|Pair { now, .. }| Host { host: now.host.clone(), uptime_seconds: now.uptime })
            .collect(),
        commits_per_second: rate(hosts, committed),
        messages_per_commit: recent(hosts, |report| Some(&report.commits.messages)).and_then(|spread| spread.mean()),
        commit_seconds: quantiles(recent(hosts, |report| Some(&report.commits.seconds)).as_ref()),
        waits_for: hosts.iter().find_map(|host| host.now.refusal.clone()),
    }
}

fn module(name: &Name, hosts: &[Pair<'_>], seen: &Seen) -> Module {
    let told: Vec<&ModuleReport> = hosts.iter().filter_map(|host| of(host.now, name)).collect();
    let sum = |count: fn(&ModuleReport) -> u64| told.iter().map(|module| count(module)).sum();
    let mut causes = BTreeMap::new();
    for (kind, count) in told.iter().flat_map(|module| &module.dead_letters) {
        *causes.entry(*kind).or_default() += count;
    }
    let breaker_open = told.iter().any(|module| module.counts.breaker_open);
    let (state, reason) = state(&told, seen.known.get(name).and_then(Option::as_ref), breaker_open);
    let (lag, lag_seconds) = lag(name, &told, seen);
    Module {
        module: name.clone(),
        hosts: told.len(),
        state,
        reason,
        breaker_open,
        inputs_per_second: rate(hosts, |report| Some(of(report, name)?.counts.inputs)),
        effects_per_second: rate(hosts, |report| of(report, name).map(|of| of.counts.events + of.counts.writes)),
        lag,
        lag_seconds,
        waiting: sum(|module| u64::try_from(module.counts.waiting).unwrap_or_default()),
        call_seconds: quantiles(recent(hosts, |report| Some(&of(report, name)?.calls)).as_ref()),
        inputs: sum(|module| module.counts.inputs),
        events: sum(|module| module.counts.events),
        writes: sum(|module| module.counts.writes),
        dead_letters: sum(|module| module.counts.dead_letters),
        causes,
        failures: sum(|module| module.counts.failures),
        retries: sum(|module| module.counts.retries),
        last_fault: told
            .iter()
            .filter_map(|module| module.last_fault.as_ref())
            .max_by_key(|fault| &fault.time)
            .cloned(),
    }
}

fn of<'a>(report: &'a Report, name: &Name) -> Option<&'a ModuleReport> {
    report.modules.iter().find(|module| module.module == *name)
}

/// What a module is doing, and why: as its hosts tell, else as its record says. A halt of one host is not hidden by another
/// that runs.
fn state(told: &[&ModuleReport], recorded: Option<&record::State>, breaker_open: bool) -> (State, Option<String>) {
    let halted = told.iter().find_map(|module| match &module.phase {
        Phase::Halted(why) => Some(why.clone()),
        Phase::Starting | Phase::Running | Phase::Paused | Phase::Differs(_) => None,
    });
    let differs = told.iter().find_map(|module| match &module.phase {
        Phase::Differs(why) => Some(why.clone()),
        Phase::Starting | Phase::Running | Phase::Paused | Phase::Halted(_) => None,
    });
    let is = |phase: &Phase| told.iter().any(|module| module.phase == *phase);
    if halted.is_some() {
        (State::Halted, halted)
    } else if is(&Phase::Running) {
        (State::Running, breaker_open.then(|| BREAKER.to_owned()))
    } else if is(&Phase::Starting) {
        (State::Starting, None)
    } else if is(&Phase::Paused) {
        (State::Paused, None)
    } else if let Some(why) = differs {
        (State::Differs, Some(why))
    } else {
        match recorded {
            Some(record::State::Halted(why)) => (State::Halted, Some(why.clone())),
            Some(record::State::Paused) => (State::Paused, None),
            Some(record::State::Running) => (State::NotRunning, None),
            None => (State::NotRunning, Some("it never ran".to_owned())),
        }
    }
}

const BREAKER: &str = "the breaker is open: it waits, since its inputs fail in a row";

/// How far behind a module is: as its hosts measured, else as was read.
fn lag(name: &Name, told: &[&ModuleReport], seen: &Seen) -> (Option<u64>, Option<f64>) {
    let measured = || told.iter().filter(|module| module.lag_is_known).map(|module| &module.counts);
    let messages = measured().map(|counts| u64::try_from(counts.lag).unwrap_or_default()).max();
    let seconds = measured().map(|counts| counts.lag_seconds).reduce(f64::max);
    let read = seen.lags.get(name);
    (messages.or_else(|| read?.messages), seconds.or_else(|| read?.seconds))
}

#[cfg(test)]
pub(super) mod tests;
