//! `pelton dlq`: dead letters: list, show, replay, discard, and try a candidate plugin on one.

use std::path::PathBuf;

use anyhow::{Context, bail};
use futures::{StreamExt, stream};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::output::{print, table};
use super::{Common, Reading, who};
use crate::commit::audit::Letter;
use crate::control;
use crate::dlq::{DeadLetter, Payload, Selection};
use crate::event::{Gap, Sequence};
use crate::lane::replay::Answer;
use crate::policy::{CauseKind, backoff};
use crate::subject::Name;
use crate::trial::{self, Trial};

#[derive(clap::Subcommand)]
pub enum Verb {
    /// List dead letters
    #[command(after_help = "Example:\n  pelton dlq ls totals --cause reject --since 2026-01-31T00:00:00Z")]
    Ls {
        #[command(flatten)]
        selected: Selected,
        #[command(flatten)]
        common: Common,
    },
    /// Show one with its input, its cause and what the plugin logged
    #[command(after_help = "Example:\n  pelton dlq show totals 0 42")]
    Show {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        common: Common,
    },
    /// Run inputs again in their lanes; what succeeds is committed and its dead letter removed, in one batch
    #[command(after_help = "Examples:\n  pelton dlq replay totals --message timeout\n  pelton dlq replay --all")]
    Replay {
        #[command(flatten)]
        selected: Selected,
        /// All dead letters of the app
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Throw dead letters away
    #[command(after_help = "Example:\n  pelton dlq discard totals --sequence 42,43")]
    Discard {
        #[command(flatten)]
        selected: Selected,
        /// All dead letters of the app
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Run one against a plugin and print what it would do; nothing is committed
    #[command(after_help = "Example:\n  pelton dlq retry totals 0 42 --plugin totals-2.wasm")]
    Retry {
        #[command(flatten)]
        one: One,
        /// The candidate; without it, the module's own plugin
        #[arg(long)]
        plugin: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
}

/// Which dead letter.
#[derive(clap::Args)]
pub struct One {
    /// The module
    module: Name,
    /// Its lane
    lane: u16,
    /// The input's position in its stream
    sequence: u64,
}

/// Which dead letters.
#[derive(clap::Args)]
pub struct Selected {
    /// Of this module
    module: Option<Name>,
    /// Of this lane
    #[arg(long)]
    lane: Option<u16>,
    /// Of inputs at these positions, with commas between
    #[arg(long = "sequence", value_delimiter = ',')]
    sequences: Vec<u64>,
    /// Of this kind of cause
    #[arg(long)]
    cause: Option<CauseKind>,
    /// With this text in their cause
    #[arg(long)]
    message: Option<String>,
    /// Of this key
    #[arg(long)]
    key: Option<String>,
    /// Of inputs stored at this time or later (RFC 3339)
    #[arg(long, value_parser = moment)]
    since: Option<OffsetDateTime>,
    /// Of inputs stored before this time (RFC 3339)
    #[arg(long, value_parser = moment)]
    until: Option<OffsetDateTime>,
}

fn moment(text: &str) -> Result<OffsetDateTime, String> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339);
    parsed.map_err(|_| format!("{text:?} is no RFC 3339 time, like 2026-01-31T00:00:00Z"))
}

impl From<Selected> for Selection {
    fn from(selected: Selected) -> Self {
        let Selected { module, lane, sequences, cause, message, key, since, until } = selected;
        let sequences = sequences.into_iter().map(Sequence).collect();
        Self { module, lane, sequences, cause, message, key, since, until }
    }
}

impl Verb {
    pub async fn main(self) -> anyhow::Result<()> {
        match self {
            Self::Ls { selected, common } => {
                let reading = common.read().await?;
                print(reading.output, &reading.query.dead_letters(&selected.into()).await?, |letters| list(letters))
            }
            Self::Show { one, common } => {
                let reading = common.read().await?;
                print(reading.output, &letter(&reading, &one).await?, show)
            }
            Self::Replay { selected, all, common } => replay(selected.into(), all, &common).await,
            Self::Discard { selected, all, common } => discard(selected.into(), all, &common).await,
            Self::Retry { one, plugin, common } => retry(one, plugin, &common).await,
        }
    }
}

async fn letter(reading: &Reading, one: &One) -> anyhow::Result<DeadLetter> {
    Ok(reading.query.dead_letter(&one.module, one.lane, Sequence(one.sequence)).await?)
}

/// Replays that are asked for at a time.
const AT_A_TIME: usize = 64;
/// How often a replay is asked for that had to begin again.
const TRIES: u32 = 5;

/// What became of one dead letter.
#[derive(Serialize)]
struct Outcome {
    #[serde(flatten)]
    letter: Letter,
    #[serde(flatten)]
    answer: Answer,
}

/// The letters that are meant, unless all are meant by mistake.
async fn selected(reading: &Reading, selection: Selection, all: bool) -> anyhow::Result<Vec<Letter>> {
    if selection.is_all() && !all {
        bail!("say which dead letters: a module, --sequence, --cause, --key, --since, --until, or --all");
    }
    if let Some(module) = &selection.module {
        reading.query.record(module).await?;
    }
    let found = reading.query.dead_letters(&selection).await?;
    if found.is_empty() && !selection.sequences.is_empty() {
        bail!("no dead letter is like that: `pelton dlq ls` lists those there are");
    }
    let letters = found.into_iter().map(|letter| {
        let DeadLetter { module, lane, sequence, .. } = letter;
        Ok(Letter { module: module.parse()?, lane, sequence })
    });
    letters.collect()
}

async fn replay(selection: Selection, all: bool, common: &Common) -> anyhow::Result<()> {
    let reading = common.read().await?;
    let letters = selected(&reading, selection, all).await?;
    let tried = stream::iter(letters).map(|letter| replay_one(&reading, letter)).buffered(AT_A_TIME);
    let tried: Vec<_> = tried.collect().await;
    let nothing_ran = !tried.is_empty() && tried.iter().all(|(_, answer)| answer.is_err());
    let mut outcomes = Vec::new();
    for (letter, answer) in tried {
        let answer = match answer {
            Err(error) if nothing_ran => return Err(error),
            // Of the others it is to be told what came of them.
            Err(error) => Answer::Again { reason: error.to_string() },
            Ok(answer) => answer,
        };
        outcomes.push(Outcome { letter, answer });
    }
    print(reading.output, &outcomes, |outcomes| some(outcomes, replayed))?;
    let failed =
        outcomes.iter().filter(|one| matches!(one.answer, Answer::Failed { .. } | Answer::Again { .. })).count();
    if failed > 0 {
        bail!("{failed} of {} dead letters could not be replayed, and stay", outcomes.len());
    }
    Ok(())
}

async fn replay_one(reading: &Reading, letter: Letter) -> (Letter, anyhow::Result<Answer>) {
    let answer = answer_of(reading, &letter).await;
    (letter, answer)
}

async fn answer_of(reading: &Reading, letter: &Letter) -> anyhow::Result<Answer> {
    let who = who();
    let lane = reading.query.lane_of(letter).await?;
    let mut tries = 1;
    loop {
        let place = (letter, lane);
        let answer = control::replay::replay(&reading.connections.read, &reading.subjects, place, &who).await?;
        if !matches!(answer, Answer::Again { .. }) || tries == TRIES {
            return Ok(answer);
        }
        tokio::time::sleep(backoff(letter.sequence, tries)).await;
        tries += 1;
    }
}

async fn discard(selection: Selection, all: bool, common: &Common) -> anyhow::Result<()> {
    let reading = common.read().await?;
    let (ledger, who) = (reading.ledger(), who());
    let mut discarded = Vec::new();
    for letter in selected(&reading, selection, all).await? {
        let lane = reading.query.lane_of(&letter).await?;
        if ledger.discard(letter.clone(), &who, OffsetDateTime::now_utc()).await? {
            control::replay::discarded(&reading.connections.read, &reading.subjects, (&letter, lane)).await;
            discarded.push(letter);
        }
    }
    print(reading.output, &discarded, |discarded| {
        some(discarded, |all| table(["DISCARDED", "LANE", "SEQUENCE"], all.iter().map(place)))
    })
}

/// What is to be shown of some letters; a word if there are none.
fn some<T>(letters: &[T], shown: impl FnOnce(&[T]) -> String) -> String {
    if letters.is_empty() { "no dead letter is like that".to_owned() } else { shown(letters) }
}

async fn retry(one: One, plugin: Option<PathBuf>, common: &Common) -> anyhow::Result<()> {
    let config = common.load()?;
    let module = config.modules.iter().find(|module| module.name == one.module);
    let module = module.with_context(|| format!("the config has no module {:?}", one.module.as_str()))?;
    let reading = common.read().await?;
    let letter = letter(&reading, &one).await?;
    let context = reading.connections.jetstream();
    let tried = trial::of_letter(&reading.query, context, (module, config.traces.ratio), plugin, letter).await?;
    print(reading.output, &tried, would)?;
    match tried.outcome {
        trial::Outcome::Effects { .. } => Ok(()),
        trial::Outcome::Failure(_) => bail!("it would fail again"),
    }
}

fn place(letter: &Letter) -> [String; 3] {
    [letter.module.to_string(), letter.lane.to_string(), letter.sequence.to_string()]
}

fn list(letters: &[DeadLetter]) -> String {
    let rows = letters.iter().map(|letter| {
        let first_line = letter.cause.message.lines().next().unwrap_or_default();
        let cause = shortened(&format!("{}: {first_line}", kind(letter.cause.kind)), 100);
        let (lane, sequence, attempts) =
            (letter.lane.to_string(), letter.sequence.to_string(), letter.attempts.to_string());
        let key = shortened(letter.key.as_deref().unwrap_or("-"), 30);
        // Seconds are enough to find it by.
        let time = letter.time.split('.').next().unwrap_or_default().trim_end_matches('Z').to_owned();
        [letter.module.clone(), lane, sequence, time, key, attempts, cause]
    });
    table(["MODULE", "LANE", "SEQUENCE", "STORED", "KEY", "TRIES", "CAUSE"], rows)
}

fn shortened(text: &str, most: usize) -> String {
    let short: String = text.chars().take(most).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

fn kind(kind: CauseKind) -> String {
    format!("{kind:?}").to_lowercase()
}

fn show(letter: &DeadLetter) -> String {
    if let Some(gap) = letter.removed {
        return show_gap(letter, gap);
    }
    let facts = [
        ("module", format!("{}, lane {}", letter.module, letter.lane)),
        ("input", format!("{} {} on {}, stored {}", letter.stream, letter.sequence, letter.subject, letter.time)),
        ("key", letter.key.clone().unwrap_or_else(|| "-".to_owned())),
        ("cause", format!("{} after {} tries: {}", kind(letter.cause.kind), letter.attempts, letter.cause.message)),
        ("plugin", letter.plugin.clone()),
    ];
    let facts = lines(facts);
    let section = |title: &str, lines: &[String]| match lines {
        [] => String::new(),
        lines => format!("\n{title}\n  {}\n", lines.join("\n  ")),
    };
    let backtrace = section("backtrace", &letter.cause.backtrace);
    let log = section("the plugin logged last", &letter.log);
    let headers: Vec<String> = letter.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let payload = match &letter.payload {
        Payload::Text { data } => data.clone(),
        Payload::Bytes { data_base64 } => format!("base64 {data_base64}"),
        Payload::Cut { data_cut_base64, size, sha256 } => {
            format!("cut: {size} bytes, sha256 {sha256}, beginning in base64 {data_cut_base64}")
        }
    };
    format!("{facts}{backtrace}{log}{}\npayload\n{payload}", section("headers", &headers))
}

fn lines<const N: usize>(facts: [(&str, String); N]) -> String {
    facts.map(|(name, fact)| format!("{name:8}{fact}\n")).concat()
}

/// A dead letter that holds no input: the inputs are gone.
fn show_gap(letter: &DeadLetter, gap: Gap) -> String {
    let DeadLetter { module, lane, sequence, .. } = letter;
    let discard = format!("pelton dlq discard {module} --lane {lane} --sequence {sequence}");
    lines([
        ("module", format!("{module}, lane {lane}")),
        ("removed", format!("{gap} of {}, found {}", letter.stream, letter.time)),
        ("cause", format!("{}: {}", kind(letter.cause.kind), letter.cause.message)),
        ("replay", format!("there is nothing to replay; `{discard}` removes the dead letter")),
        ("plugin", letter.plugin.clone()),
    ])
}

fn replayed(outcomes: &[Outcome]) -> String {
    let rows = outcomes.iter().map(|Outcome { letter, answer }| {
        let became = match answer {
            Answer::Replayed { events, writes } => format!("replayed: {events} events, {writes} view writes"),
            Answer::Failed { cause } => format!("failed again, {}: {}", kind(cause.kind), cause.message),
            Answer::Gone => "gone: replayed or discarded before".to_owned(),
            Answer::Parked { behind } => {
                format!("waits behind input {behind}, and follows when that is replayed or discarded")
            }
            Answer::Again { reason } => format!("not done: {reason}"),
        };
        let [module, lane, sequence] = place(letter);
        [module, lane, sequence, became]
    });
    table(["MODULE", "LANE", "SEQUENCE", "OUTCOME"], rows)
}

fn would(trial: &Trial) -> String {
    let mut lines = vec![format!("plugin {}", trial.plugin)];
    match &trial.outcome {
        trial::Outcome::Effects { events, writes } => {
            lines.extend(events.iter().map(|event| format!("event {} {}", event.subject, event.data)));
            lines.extend(writes.iter().map(|write| format!("write {} {}", write.subject, write.value)));
            if events.is_empty() && writes.is_empty() {
                lines.push("no effects".to_owned());
            }
        }
        trial::Outcome::Failure(cause) => {
            lines.push(format!("{}: {}", kind(cause.kind), cause.message));
            lines.extend(cause.backtrace.iter().map(|frame| format!("  {frame}")));
        }
    }
    lines.extend(trial.log.iter().map(|line| format!("log {line}")));
    lines.join("\n")
}
