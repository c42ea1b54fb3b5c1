//! `pelton module ls` and `show`: modules as the app stream knows them, and the hosts that run them.

use serde::Serialize;

use super::digest;
use crate::cli::Reading;
use crate::cli::output::table;
use crate::commit::checkpoint::Checkpoint;
use crate::commit::record::{Record, State};
use crate::control;
use crate::ownership::LaneSet;
use crate::query::ModuleState;
use crate::route::Filter;
use crate::status::{Phase, Report};
use crate::subject::{Name, Subjects};

/// A module, and the hosts that know it.
#[derive(Serialize)]
pub struct Listed {
    #[serde(flatten)]
    module: ModuleState,
    hosts: Vec<Knows>,
}

/// A host that knows a module.
#[derive(Serialize)]
struct Knows {
    host: String,
    #[serde(flatten)]
    phase: Phase,
    /// The lanes that it owns.
    lanes: LaneSet,
    /// Lanes that it took over since it started.
    taken: u64,
    /// Lanes that another host took from it.
    lost: u64,
}

impl Listed {
    /// All modules of the app.
    pub async fn all(reading: &Reading) -> anyhow::Result<Vec<Self>> {
        let modules = reading.query.modules().await?;
        let reports = control::status::ask(&reading.connections.read, &reading.subjects).await?;
        Ok(modules.into_iter().map(|module| Self::new(module, &reports)).collect())
    }

    /// The module of that name.
    pub async fn one(reading: &Reading, name: &Name) -> anyhow::Result<Self> {
        let module = reading.query.module(name).await?;
        Ok(Self::new(module, &control::status::ask(&reading.connections.read, &reading.subjects).await?))
    }

    fn new(module: ModuleState, reports: &[Report]) -> Self {
        let of = |report: &Report| {
            let known = report.modules.iter().find(|known| known.module == module.record.module)?;
            let (phase, lanes, counts) = (known.phase.clone(), known.lanes.clone(), &known.counts);
            Some(Knows { host: report.host.shown(), phase, lanes, taken: counts.lanes_taken, lost: counts.lanes_lost })
        };
        Self { hosts: reports.iter().filter_map(of).collect(), module }
    }

    /// How many hosts run it, and how many would run something else.
    fn count(&self) -> String {
        let runs = self.hosts.iter().filter(|host| host.phase == Phase::Running).count();
        match self.hosts.iter().filter(|host| matches!(host.phase, Phase::Differs(_))).count() {
            0 => runs.to_string(),
            differ => format!("{runs}, {differ} differ"),
        }
    }

    /// How many lanes its hosts took over since they started, and how many were taken from them.
    fn takeovers(&self) -> String {
        let sum = |of: fn(&Knows) -> u64| self.hosts.iter().map(of).sum::<u64>();
        format!("{}/{}", sum(|host| host.taken), sum(|host| host.lost))
    }

    fn owner(&self, lane: u16) -> String {
        let owner = self.hosts.iter().find(|host| host.lanes.contains(lane));
        owner.map_or_else(|| "-".to_owned(), |owner| owner.host.clone())
    }
}

/// A line for each module.
pub fn list(modules: &[Listed], subjects: &Subjects) -> String {
    let rows = modules.iter().map(|listed| {
        let record = &listed.module.record;
        let is_run = listed.hosts.iter().any(|host| host.phase == Phase::Running);
        let state = match &record.state {
            State::Running if !is_run => "running, but no host runs it".to_owned(),
            other => state(other),
        };
        let (name, lanes, plugin) =
            (record.module.to_string(), record.lanes.to_string(), digest(&record.edition.plugin));
        let (hosts, takeovers, lag) = (listed.count(), listed.takeovers(), lag(&listed.module));
        [name, state, lanes, hosts, takeovers, lag, input(record, subjects), plugin]
    });
    table(["MODULE", "STATE", "LANES", "HOSTS", "TAKEN/LOST", "LAG", "INPUT", "PLUGIN"], rows)
}

/// What a module takes: a stream, or events of the app.
fn input(record: &Record, subjects: &Subjects) -> String {
    if record.stream != subjects.stream() {
        return record.stream.clone();
    }
    // `pelton.<app>.events.<category>.…`
    let categories: Vec<&str> = record.filters.iter().filter_map(|filter| filter.as_str().split('.').nth(3)).collect();
    format!("events {}", categories.join(", "))
}

/// A module with its lanes, and who owns them.
pub fn show(listed: &Listed) -> String {
    let module = &listed.module;
    let record = &module.record;
    let join = |names: Vec<String>| if names.is_empty() { "-".to_owned() } else { names.join(", ") };
    let filters = join(Filter::texts(&record.filters));
    let views = join(record.views.iter().map(Name::to_string).collect());
    let facts = [
        ("module", record.module.to_string()),
        ("state", state(&record.state)),
        ("input", format!("{} ({filters})", record.stream)),
        ("key", serde_json::to_string(&record.key).unwrap_or_default()),
        ("views", views),
        ("plugin", record.edition.plugin.clone()),
        ("lag", lag(module)),
    ];
    let facts = facts.map(|(name, fact)| format!("{name:8}{fact}\n")).concat();
    let lanes = (0..).zip(&module.checkpoints).map(|(lane, checkpoint)| {
        let Checkpoint { position, covered, epoch, .. } = checkpoint;
        [lane.to_string(), position.to_string(), covered.to_string(), epoch.to_string(), listed.owner(lane)]
    });
    let differ = listed.hosts.iter().filter_map(|host| match &host.phase {
        Phase::Differs(why) => Some(format!("\n{} does not run it: {why}", host.host)),
        _ => None,
    });
    let differ = differ.collect::<String>();
    let hosts = listed.hosts.iter().map(|host| {
        let lanes = if host.lanes.is_empty() { "-".to_owned() } else { host.lanes.to_string() };
        [host.host.clone(), lanes, host.taken.to_string(), host.lost.to_string()]
    });
    let hosts = table(["HOST", "LANES", "TAKEN", "LOST"], hosts);
    format!("{facts}\n{hosts}\n{}{differ}", table(["LANE", "POSITION", "COVERED", "EPOCH", "HOST"], lanes))
}

fn state(state: &State) -> String {
    match state {
        State::Running => "running".to_owned(),
        State::Paused => "paused".to_owned(),
        State::Halted(why) => format!("halted: {why}"),
    }
}

fn lag(module: &ModuleState) -> String {
    module.lag.map_or_else(|| "?".to_owned(), |lag| lag.to_string())
}
