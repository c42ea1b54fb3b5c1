//! `pelton module`: modules as the app stream knows them.

mod listed;
mod reset;
mod scale;

use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::Serialize;
use time::OffsetDateTime;

use self::listed::{Listed, list, show};
use super::output::print;
use super::{Common, who};
use crate::control;
use crate::control::swap::{Answer, Wish};
use crate::lane::version::Outcome;
use crate::subject::Name;

#[derive(clap::Subcommand)]
pub enum Verb {
    /// List the modules
    #[command(after_help = "Example:\n  pelton module ls")]
    Ls {
        #[command(flatten)]
        common: Common,
    },
    /// Stop a module for a while: what is in hand is committed, the rest waits. Survives restarts
    #[command(after_help = "Example:\n  pelton module pause totals")]
    Pause {
        /// The module
        name: Name,
        #[command(flatten)]
        common: Common,
    },
    /// Start a paused or halted module
    #[command(after_help = "Example:\n  pelton module resume totals")]
    Resume {
        /// The module
        name: Name,
        #[command(flatten)]
        common: Common,
    },
    /// Run another plugin in a module, from its next input on; if it fails on that one, the old one returns
    #[command(
        after_help = "Examples:\n  pelton module swap totals\n  pelton module swap totals --plugin totals-2.wasm"
    )]
    Swap {
        /// The module
        name: Name,
        /// The plugin, a file that the host can read; without it, what the config file names now
        #[arg(long)]
        plugin: Option<PathBuf>,
        /// Let it stay whatever its first input does
        #[arg(long)]
        untried: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Change the number of a module's lanes: what is in hand is committed, and nothing is lost, doubled or out of order
    #[command(after_help = "Example:\n  pelton module scale totals --lanes 16")]
    Scale(scale::Scale),
    /// Have a paused or halted module go on elsewhere in its input stream
    #[command(
        after_help = "Examples:\n  pelton module reset totals --to first --views anew\n  pelton module reset totals --to here"
    )]
    Reset(reset::Reset),
    /// Show a module and its lanes
    #[command(after_help = "Example:\n  pelton module show totals")]
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
                print(reading.output, &Listed::all(&reading).await?, |modules| list(modules, &reading.subjects))
            }
            Self::Pause { name, common } => set(&name, true, &common).await,
            Self::Resume { name, common } => set(&name, false, &common).await,
            Self::Swap { name, plugin, untried, common } => swap(&name, plugin, untried, &common).await,
            Self::Scale(scale) => scale.main().await,
            Self::Reset(reset) => reset.main().await,
            Self::Show { name, common } => {
                let reading = common.read().await?;
                print(reading.output, &Listed::one(&reading, &name).await?, show)
            }
        }
    }
}

#[derive(Serialize)]
struct Set {
    module: Name,
    state: &'static str,
    changed: bool,
}

async fn set(name: &Name, paused: bool, common: &Common) -> anyhow::Result<()> {
    let reading = common.read().await?;
    let changed = reading.ledger().set_paused(name, paused, &who(), OffsetDateTime::now_utc()).await?;
    let state = if paused { "paused" } else { "running" };
    print(reading.output, &Set { module: name.clone(), state, changed }, |set| {
        let was = if set.changed { "is" } else { "was already" };
        format!("module {} {was} {}", set.module, set.state)
    })
}

async fn swap(name: &Name, plugin: Option<PathBuf>, untried: bool, common: &Common) -> anyhow::Result<()> {
    let config = common.load()?;
    let configured = config.modules.iter().find(|module| module.name == *name);
    let configured = configured.and_then(|module| module.plugin.canonicalize().ok());
    let reading = common.read().await?;
    let plugin =
        plugin.map(|plugin| plugin.canonicalize().with_context(|| plugin.display().to_string())).transpose()?;
    let is_other = plugin.is_some() && plugin != configured;
    let wish = Wish { plugin, untried, who: who() };
    let answer = control::swap::swap(&reading.connections.read, &reading.subjects, name, &wish).await?;
    print(reading.output, &answer, |answer| swapped(name, answer, is_other))?;
    match answer {
        Answer::Refused { .. } => bail!("module {:?}: nothing was swapped", name.as_str()),
        Answer::Decided { outcome: Outcome::Returns { .. }, .. } => {
            bail!("module {:?} runs the plugin that it ran before", name.as_str())
        }
        Answer::Decided { .. } | Answer::Next { .. } | Answer::Same { .. } => Ok(()),
    }
}

fn swapped(name: &Name, answer: &Answer, is_other: bool) -> String {
    let until = if is_other { "\nThe config names another file: change it, or the next start goes back" } else { "" };
    match answer {
        Answer::Decided { plugin, outcome: Outcome::Stays { lane, sequence }, .. } => {
            format!("module {name} runs {}, since input {sequence} of lane {lane}{until}", digest(plugin))
        }
        Answer::Decided { was, outcome: Outcome::Returns { lane, sequence, cause }, .. } => {
            let (was, kind) = (digest(was), cause.kind);
            let then = format!("{was} returned, and runs that input");
            format!("input {sequence} of lane {lane} failed, {kind:?}: {}\n{then}", cause.message)
        }
        Answer::Next { plugin, .. } => {
            format!("module {name} runs {} from its next input on{until}", digest(plugin))
        }
        Answer::Same { plugin } => format!("module {name} runs {} already", digest(plugin)),
        Answer::Refused { reason, .. } => format!("refused: {reason}"),
    }
}

/// Enough of a digest to tell plugins apart.
fn digest(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Sequence;
    use crate::policy::{Failure, cause_of};

    #[test]
    fn a_plugin_that_returned_is_not_said_to_have_done_what_it_may_still_fail_on() {
        let cause = cause_of(&Failure::Reject("no".to_owned()), 1);
        let outcome = Outcome::Returns { lane: 0, sequence: Sequence(7), cause };
        let answer = Answer::Decided { was: "sha256:a".to_owned(), plugin: "sha256:b".to_owned(), outcome };
        let said = swapped(&"m".parse().unwrap(), &answer, false);
        assert_eq!(said, "input 7 of lane 0 failed, Reject: no\nsha256:a returned, and runs that input");
    }
}
