//! `pelton dlq`: dead letters.

use super::Common;
use super::output::{print, table};
use crate::dlq::{DeadLetter, Payload};
use crate::event::Sequence;
use crate::subject::Name;

#[derive(clap::Subcommand)]
pub enum Verb {
    /// List dead letters
    Ls {
        /// Only those of this module
        module: Option<Name>,
        #[command(flatten)]
        common: Common,
    },
    /// Show one with its input
    Show {
        /// The module
        module: Name,
        /// Its lane
        lane: u16,
        /// The input's position in its stream
        sequence: u64,
        #[command(flatten)]
        common: Common,
    },
}

impl Verb {
    pub async fn main(self) -> anyhow::Result<()> {
        match self {
            Self::Ls { module, common } => {
                let reading = common.read().await?;
                print(reading.output, &reading.query.dead_letters(module.as_ref()).await?, |letters| list(letters))
            }
            Self::Show { module, lane, sequence, common } => {
                let reading = common.read().await?;
                print(reading.output, &reading.query.dead_letter(&module, lane, Sequence(sequence)).await?, show)
            }
        }
    }
}

fn list(letters: &[DeadLetter]) -> String {
    const SHOWN: usize = 100;
    let rows = letters.iter().map(|letter| {
        let first_line = letter.cause.message.lines().next().unwrap_or_default();
        let kind = format!("{:?}", letter.cause.kind).to_lowercase();
        let cause = format!("{kind}: {first_line}");
        let cause: String = cause.chars().take(SHOWN).collect();
        [
            letter.module.clone(),
            letter.lane.to_string(),
            letter.sequence.to_string(),
            letter.attempts.to_string(),
            cause,
        ]
    });
    table(["MODULE", "LANE", "SEQUENCE", "TRIES", "CAUSE"], rows)
}

fn show(letter: &DeadLetter) -> String {
    let facts = [
        ("module", format!("{}, lane {}", letter.module, letter.lane)),
        ("input", format!("{} {} on {}, stored {}", letter.stream, letter.sequence, letter.subject, letter.time)),
        ("cause", format!("{:?} after {} tries: {}", letter.cause.kind, letter.attempts, letter.cause.message)),
        ("plugin", letter.plugin.clone()),
    ];
    let facts = facts.map(|(name, fact)| format!("{name:8}{fact}\n")).concat();
    let headers: String = letter.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let payload = match &letter.payload {
        Payload::Text { data } => data.clone(),
        Payload::Bytes { data_base64 } => format!("base64 {data_base64}"),
        Payload::Cut { data_cut_base64, size, sha256 } => {
            format!("cut: {size} bytes, sha256 {sha256}, beginning in base64 {data_cut_base64}")
        }
    };
    format!("{facts}\n{headers}\n{payload}")
}
