//! The last thing that went wrong in a module.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::event::{Sequence, rfc3339};
use crate::policy::{Cause, CauseKind};

/// What became of an input that gave no effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is tried again.
    Again,
    /// It is a dead letter.
    DeadLetter,
    /// The module halts before it.
    Halt,
}

/// A try that gave no effects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// When, RFC 3339.
    pub time: String,
    /// In which lane.
    pub lane: u16,
    /// Of which input; none if it is tried again.
    pub sequence: Option<Sequence>,
    /// The kind of cause.
    pub kind: CauseKind,
    /// A sentence for people.
    pub message: String,
    /// What became of the input.
    pub fate: Fate,
}

/// The most characters of a message that are kept: a guest may write it.
const MESSAGE: usize = 4_000;

impl Fault {
    /// A try that failed now, for `cause`.
    pub fn now(lane: u16, sequence: Option<Sequence>, cause: &Cause, fate: Fate) -> Self {
        let message = cause.message.chars().take(MESSAGE).collect();
        Self { time: rfc3339(OffsetDateTime::now_utc()), lane, sequence, kind: cause.kind, message, fate }
    }
}
