//! `pelton module reset`: has a module go on elsewhere in its input stream, on the operator's word.

use std::str::FromStr;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde::Serialize;
use time::OffsetDateTime;

use crate::cli::output::print;
use crate::cli::{Common, who};
use crate::commit::checkpoint::Checkpoint;
use crate::commit::ledger;
use crate::commit::record::{Record, State};
use crate::config::From;
use crate::event::Sequence;
use crate::query::Query;
use crate::source::InputStream;
use crate::subject::{Generation, Name};

#[derive(Args)]
pub struct Reset {
    /// The module, paused or halted
    name: Name,
    /// Where it goes on: `first`, `new`, a sequence, a time (RFC 3339), or `here`: where it is, in the stream as it is now
    #[arg(long)]
    to: To,
    /// What becomes of its views; to be said when inputs are run again that they may already hold
    #[arg(long)]
    views: Option<Views>,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy)]
enum To {
    Here,
    There(From),
}

impl FromStr for To {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "here" => Ok(Self::Here),
            other => other.parse().map(Self::There).map_err(|error: serde::de::value::Error| error.to_string()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Views {
    /// They stay, and inputs that are run again write over them
    Keep,
    /// They begin empty, in the next generation; what they held stays in the last one
    Anew,
}

#[derive(Serialize)]
struct Done {
    module: Name,
    stream: String,
    /// It goes on behind this position.
    behind: Sequence,
    generation: Generation,
    state: State,
}

impl Reset {
    pub async fn main(self) -> anyhow::Result<()> {
        let Self { name, to, views, common } = self;
        let reading = common.read().await?;
        let ledger = reading.ledger();
        let unknown = || ledger::Error::Unknown(name.to_string());
        let was = ledger.record(&name).await?.ok_or_else(unknown)?;
        if was.value.state == State::Running {
            bail!("module {name} runs: `pelton module pause {name}` first");
        }
        let stream = reading.query.stream(&was.value.stream).await?;
        let known = reading.query.module(&name).await?.checkpoints;
        if known.iter().any(|lane| lane.created != stream.created()) {
            check_letters(&reading.query, &name, stream.name()).await?;
        }
        let lanes = positions(&was.value, &stream, &known, to).await?;
        let repeats = known.len() != lanes.len() || lanes.iter().zip(&known).any(|(to, was)| to.covered < was.covered);
        if repeats && views.is_none() {
            bail!(
                "inputs of {name} will run again: the events that they emit are stored once more, and views may already \
                 hold what they write. Say `--views anew` to have its views begin empty, or `--views keep` to have them \
                 written over"
            );
        }
        let behind = lanes.iter().map(|lane| lane.covered).min().unwrap_or_default();
        let reset = ledger::Reset { lanes, views_anew: views == Some(Views::Anew) };
        let Record { generation, state, stream, .. } =
            ledger.reset(was, reset, &who(), OffsetDateTime::now_utc()).await?;
        print(reading.output, &Done { module: name, stream, behind, generation, state }, shown)
    }
}

/// Dead letters are known by the positions of their inputs, which are others' in a stream that was made anew.
async fn check_letters(query: &Query, module: &Name, stream: &str) -> anyhow::Result<()> {
    if let Some(letters) = query.waiting().await?.get(module) {
        bail!(
            "stream {stream} was made anew, and {letters} dead letters of {module} are of inputs of the one before: what has \
             their positions now would take their place. Keep what you need of them (`pelton dlq show`), then \
             `pelton dlq discard {module}`, and reset it again"
        );
    }
    Ok(())
}

/// Where the lanes are to go on in `stream`, as it is now.
async fn positions(
    record: &Record,
    stream: &InputStream,
    known: &[Checkpoint],
    to: To,
) -> anyhow::Result<Vec<Checkpoint>> {
    let at = |mark| Checkpoint::start(stream.name(), &stream.created(), mark);
    let there = match to {
        To::There(from) => return Ok(vec![at(stream.start(from).await?); record.lanes.into()]),
        To::Here => known.iter().map(|lane| stream.near(lane.covered)),
    };
    if known.len() != usize::from(record.lanes) {
        bail!("checkpoints of {} are gone: say where it is to go on, such as `--to first`", record.module);
    }
    Ok(there.map(at).collect())
}

fn shown(done: &Done) -> String {
    let Done { module, stream, behind, generation, state } = done;
    let next =
        if *state == State::Paused { format!("; `pelton module resume {module}` starts it") } else { String::new() };
    format!("module {module} goes on behind {behind} of {stream}, with generation {generation} of its views{next}")
}
