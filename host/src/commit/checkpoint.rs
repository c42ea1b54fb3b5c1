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
    /// How often its owner had begun the lane again behind what is stored, when it wrote this. What a lane computes in between
    /// builds on itself: so two checkpoints that are equal, this too, stand for the same effects.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub incarnation: u32,
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
    /// Set since an owner ended without a word, until the lane gets on: what it ran may be why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspect: Option<Suspect>,
    /// The host that owns the lane; none since it was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<HostId>,
    /// Whether the lane has seen nothing yet: what was removed before its reader began is nothing that it lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub starts: bool,
}

/// What is known of the inputs behind `covered`, one of which may end whoever runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// How many of them may be run together.
    pub inputs: u32,
    /// How many owners ended while they ran the first one alone.
    pub ends: u32,
    /// Whether the owner runs them now. It says so before it does.
    pub runs: bool,
}

/// How many inputs are run together that are suspected of nothing in particular.
pub const SUSPECTS: u32 = 16;

impl Suspect {
    /// What an owner leaves behind that ended without a word, given what it knew.
    fn after(known: Option<Self>) -> Self {
        match known {
            None => Self { inputs: SUSPECTS, ends: 0, runs: false },
            // It ended before it ran any.
            Some(known) if !known.runs => known,
            Some(Self { inputs: 1, ends, .. }) => Self { inputs: 1, ends: ends + 1, runs: false },
            Some(_) => Self { inputs: 1, ends: 0, runs: false },
        }
    }
}

impl Checkpoint {
    /// The checkpoint of a lane that nobody has run yet.
    pub fn start(stream: &str, created: &str, at: Mark) -> Self {
        Self {
            format: FORMAT,
            epoch: 0,
            incarnation: 0,
            position: Sequence(0),
            covered: at.sequence,
            hash: at.fingerprint,
            stream: stream.to_owned(),
            created: created.to_owned(),
            takeovers: 0,
            suspect: None,
            owner: None,
            starts: true,
        }
    }

    /// The checkpoint that a new owner writes, given who lives.
    pub fn taken_over(&self, by: HostId, lives: impl Fn(HostId) -> bool) -> Self {
        let has_ended = self.owner.is_some_and(|owner| !lives(owner));
        let suspect = if has_ended { Some(Suspect::after(self.suspect)) } else { self.suspect };
        let takeovers = self.takeovers + u32::from(has_ended);
        Self { epoch: self.epoch + 1, incarnation: 0, takeovers, suspect, owner: Some(by), ..self.clone() }
    }

    /// The checkpoint that an owner leaves behind who is done with the lane.
    pub fn released(&self) -> Self {
        Self { suspect: None, owner: None, ..self.clone() }
    }

    /// The checkpoint of an owner that is about to run inputs which may end it.
    pub fn suspecting(self, suspect: Suspect) -> Self {
        Self { suspect: Some(suspect), ..self }
    }

    /// The checkpoint that covers all up to `mark`, after the input at `position` if there was one.
    pub fn advanced(&self, position: Option<Sequence>, mark: Mark) -> Self {
        Self {
            position: position.unwrap_or(self.position),
            covered: mark.sequence,
            hash: mark.fingerprint,
            takeovers: 0,
            suspect: None,
            starts: false,
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

fn is_zero(number: &u32) -> bool {
    *number == 0
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

#[cfg(test)]
mod tests {
    use super::*;

    fn run_by(owner: u128, suspect: Option<Suspect>) -> Checkpoint {
        let start = Checkpoint::start("IN", "", Mark { sequence: Sequence(7), fingerprint: None });
        Checkpoint { owner: Some(HostId::from_u128(owner)), suspect, ..start }
    }

    fn taken(checkpoint: &Checkpoint, lives: bool) -> Option<Suspect> {
        checkpoint.taken_over(HostId::from_u128(2), |_| lives).suspect
    }

    #[test]
    fn what_is_suspected_narrows_with_each_owner_that_ends_while_it_runs_it() {
        let suspect = |inputs, ends, runs| Some(Suspect { inputs, ends, runs });
        for (known, then) in [
            (None, suspect(SUSPECTS, 0, false)),
            (suspect(SUSPECTS, 0, false), suspect(SUSPECTS, 0, false)),
            (suspect(SUSPECTS, 0, true), suspect(1, 0, false)),
            (suspect(1, 0, false), suspect(1, 0, false)),
            (suspect(1, 0, true), suspect(1, 1, false)),
            (suspect(1, 1, true), suspect(1, 2, false)),
        ] {
            assert_eq!(taken(&run_by(1, known), false), then, "{known:?}");
            assert_eq!(taken(&run_by(1, known), true), known, "a live owner did not end");
        }
    }

    #[test]
    fn nothing_is_suspected_of_a_lane_that_was_released_or_got_on() {
        let suspected = run_by(1, Some(Suspect { inputs: 1, ends: 2, runs: true }));
        assert_eq!(taken(&suspected.released(), false), None);
        let next = Mark { sequence: Sequence(8), fingerprint: None };
        assert_eq!(suspected.advanced(Some(Sequence(8)), next).suspect, None);
    }
}
