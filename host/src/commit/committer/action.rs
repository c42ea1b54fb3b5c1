//! What the committer wants done after an outcome.

use crate::commit::LaneId;
use crate::event::Sequence;

/// What to do after an outcome.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Tell the lane that its steps are committed up to here.
    Committed {
        /// The lane.
        lane: LaneId,
        /// Its new checkpoint's position.
        covered: Sequence,
        /// How many replays were among them.
        replays: usize,
        /// Whether the checkpoint tells that the lane is about to run inputs that may end the host.
        suspects: bool,
    },
    /// Read the lane's checkpoint from the stream's leader, and hand it to [`checked`](super::Committer::checked).
    Check(LaneId),
    /// Wait a little, then send [`resend`](super::Committer::resend); the text says why.
    Resend(String),
    /// Tell the lane to drop all that it computed ahead and to begin behind its checkpoint.
    Reset {
        /// The lane.
        lane: LaneId,
        /// Counts the resets: what the lane computed before it is ignored.
        incarnation: u32,
        /// Where the lane stands.
        covered: Sequence,
        /// The input that the server refuses to take the effects of, and why: it becomes a minimal dead letter.
        condemned: Option<(Sequence, String)>,
        /// Why the server refuses what the first replay on its way led to, if that is what it refused.
        refused: Option<String>,
    },
    /// Tell the lane that nobody owns it any more.
    Released {
        /// The lane.
        lane: LaneId,
    },
    /// Another host owns the lane from this epoch on: stop it.
    Lost {
        /// The lane.
        lane: LaneId,
        /// The other host's epoch.
        epoch: u64,
    },
    /// Stop the lane's module, for this reason.
    Halt {
        /// The lane.
        lane: LaneId,
        /// Why.
        reason: String,
    },
}
