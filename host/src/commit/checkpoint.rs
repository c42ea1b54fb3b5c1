//! A lane's checkpoint: how far it is in which stream, and who owns it. Pure.

use serde::{Deserialize, Serialize};

use crate::commit::format::Versioned;
use crate::event::{Fingerprint, Mark, Sequence};
use crate::ownership::HostId;

/// The format that this version writes.
pub const FORMAT: u32 = 1;

impl Versioned for Checkpoint {
    const FORMAT: u32 = FORMAT;
}

/// A lane's position in its input stream, with the owner's epoch, as JSON in the app stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The version of this format.
    pub format: u32,
    /// Counts the owners: a batch of an earlier epoch is refused, since its guard is stale.
    pub epoch: u64,
    /// The last input of this lane whose effects are committed; 0 if there was none.
    pub position: Sequence,
    /// Up to here every input of this lane is done. Reading starts behind it.
    pub covered: Sequence,
    /// The message at `covered`, to recognise the stream by.
    pub hash: Option<Fingerprint>,
    /// The input stream.
    pub stream: String,
    /// When the input stream was created, RFC 3339.
    pub created: String,
    /// Takeovers since the lane last got on, from owners that did not release it.
    pub takeovers: u32,
    /// The host that owns the lane; none since it was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<HostId>,
}

impl Checkpoint {
    /// The checkpoint of a lane that nobody has run yet.
    pub fn start(stream: &str, created: &str, at: Mark) -> Self {
        Self {
            format: FORMAT,
            epoch: 0,
            position: Sequence(0),
            covered: at.sequence,
            hash: at.fingerprint,
            stream: stream.to_owned(),
            created: created.to_owned(),
            takeovers: 0,
            owner: None,
        }
    }

    /// The checkpoint that a new owner writes, given who lives.
    pub fn taken_over(&self, by: HostId, lives: impl Fn(HostId) -> bool) -> Self {
        Self { epoch: self.epoch + 1, takeovers: self.crashes(lives), owner: Some(by), ..self.clone() }
    }

    /// How many owners in a row ended without a word before the lane got on, given who lives.
    pub fn crashes(&self, lives: impl Fn(HostId) -> bool) -> u32 {
        self.takeovers + u32::from(self.owner.is_some_and(|owner| !lives(owner)))
    }

    /// The checkpoint that an owner leaves behind who is done with the lane.
    pub fn released(&self) -> Self {
        Self { owner: None, ..self.clone() }
    }

    /// The checkpoint that covers all up to `mark`, after the input at `position` if there was one.
    pub fn advanced(&self, position: Option<Sequence>, mark: Mark) -> Self {
        Self {
            position: position.unwrap_or(self.position),
            covered: mark.sequence,
            hash: mark.fingerprint,
            takeovers: 0,
            ..self.clone()
        }
    }

    /// Whether its owner is the first that the lane has.
    pub fn is_first(&self) -> bool {
        self.epoch == 1
    }

    /// Where the lane is.
    pub fn mark(&self) -> Mark {
        Mark { sequence: self.covered, fingerprint: self.hash }
    }
}

/// Something read from the app stream, with the position that guards its next write.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored<T> {
    /// What was read.
    pub value: T,
    /// Where it is stored.
    pub revision: Sequence,
}

/// The revision that guards the first write of a subject.
pub const NEVER_WRITTEN: Sequence = Sequence(0);
