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
            Some(Knows { host: report.host.shown(), phase: known.phase.clone(), lanes: known.lanes.clone() })
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
        [name, state, lanes, listed.count(), lag(&listed.module), input(record, subjects), plugin]
    });
    table(["MODULE", "STATE", "LANES", "HOSTS", "LAG", "INPUT", "PLUGIN"], rows)
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
    format!("{facts}\n{}{differ}", table(["LANE", "POSITION", "COVERED", "EPOCH", "HOST"], lanes))
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
