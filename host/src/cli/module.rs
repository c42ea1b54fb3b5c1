//! `pelton module`: modules as the app stream knows them.

use super::Common;
use super::output::{print, table};
use crate::commit::record::State;
use crate::query::ModuleState;
use crate::subject::Name;

#[derive(clap::Subcommand)]
pub enum Verb {
    /// List the modules
    Ls {
        #[command(flatten)]
        common: Common,
    },
    /// Show a module and its lanes
    Show {
        /// The module
        name: Name,
        #[command(flatten)]
        common: Common,
    },
}

impl Verb {
    pub async fn main(self) -> anyhow::Result<()> {
        match self {
            Self::Ls { common } => {
                let reading = common.read().await?;
                print(reading.output, &reading.query.modules().await?, |modules| list(modules))
            }
            Self::Show { name, common } => {
                let reading = common.read().await?;
                print(reading.output, &reading.query.module(&name).await?, show)
            }
        }
    }
}

fn list(modules: &[ModuleState]) -> String {
    let rows = modules.iter().map(|module| {
        let record = &module.record;
        let lanes = record.lanes.to_string();
        [
            record.module.to_string(),
            state(&record.state),
            lanes,
            lag(module),
            record.stream.clone(),
            digest(&record.plugin),
        ]
    });
    table(["MODULE", "STATE", "LANES", "LAG", "INPUT", "PLUGIN"], rows)
}

fn show(module: &ModuleState) -> String {
    let record = &module.record;
    let join = |names: Vec<String>| if names.is_empty() { "-".to_owned() } else { names.join(", ") };
    let filters = join(record.filters.iter().map(|filter| filter.as_str().to_owned()).collect());
    let views = join(record.views.iter().map(Name::to_string).collect());
    let facts = [
        ("module", record.module.to_string()),
        ("state", state(&record.state)),
        ("input", format!("{} ({filters})", record.stream)),
        ("key", serde_json::to_string(&record.key).unwrap_or_default()),
        ("views", views),
        ("plugin", record.plugin.clone()),
        ("lag", lag(module)),
    ];
    let facts = facts.map(|(name, fact)| format!("{name:8}{fact}\n")).concat();
    let lanes = module.checkpoints.iter().enumerate().map(|(lane, checkpoint)| {
        let c = checkpoint;
        [lane.to_string(), c.position.to_string(), c.covered.to_string(), c.epoch.to_string()]
    });
    format!("{facts}\n{}", table(["LANE", "POSITION", "COVERED", "EPOCH"], lanes))
}

fn state(state: &State) -> String {
    match state {
        State::Running => "running".to_owned(),
        State::Halted(why) => format!("halted: {why}"),
    }
}

fn lag(module: &ModuleState) -> String {
    module.lag.map_or_else(|| "?".to_owned(), |lag| lag.to_string())
}

/// Enough of a digest to tell plugins apart.
fn digest(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}
