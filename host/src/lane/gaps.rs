//! What a lane does about messages that were removed before it had them. Pure.

use super::Step;
use crate::event::{Gap, Sequence};
use crate::policy::OnGap;

/// The gap that a lane stands before, if it does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gaps {
    on_gap: OnGap,
    /// Whether the lane has seen nothing yet: it begins where the stream does, whatever was removed before.
    starts: bool,
    open: Option<Gap>,
    /// Whether the step over it is handed to the committer.
    is_submitted: bool,
}

/// What a gap is to a lane.
#[derive(Debug, PartialEq)]
pub enum Met {
    /// Nothing: the lane was further already.
    Passed,
    /// Where it begins.
    Start(Gap),
    /// What it lacks.
    Lacks(Gap),
}

impl Gaps {
    /// For a lane that follows `on_gap`; `starts` if nobody ever ran it.
    pub fn new(on_gap: OnGap, starts: bool) -> Self {
        Self { on_gap, starts, open: None, is_submitted: false }
    }

    /// Whether the lane has seen nothing yet.
    pub fn starts(&self) -> bool {
        self.starts
    }

    /// The lane has seen something.
    pub fn begun(&mut self) {
        self.starts = false;
    }

    /// Whether the lane takes nothing in until it has passed a gap.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Takes a gap in, of which the lane has seen all up to `seen`.
    pub fn meet(&mut self, gap: Gap, seen: Sequence) -> Met {
        let gap = Gap { first: gap.first.max(seen.next()), last: gap.last };
        if gap.first > gap.last {
            return Met::Passed;
        }
        if std::mem::take(&mut self.starts) {
            return Met::Start(gap);
        }
        self.open = Some(gap);
        self.is_submitted = false;
        Met::Lacks(gap)
    }

    /// What to do next, when all inputs before the gap ran; none without a gap.
    pub fn step(&mut self) -> Option<Step> {
        let gap = self.open?;
        if self.is_submitted {
            return Some(Step::Wait);
        }
        self.is_submitted = true;
        Some(match self.on_gap {
            OnGap::Halt => Step::Halt(gap),
            OnGap::Skip => Step::Skip(gap),
        })
    }

    /// All up to `covered` is committed.
    pub fn committed(&mut self, covered: Sequence) {
        if self.open.is_some_and(|gap| gap.last <= covered) {
            self.open = None;
        }
    }

    /// The lane begins again behind `covered`. Gives how far it has seen, if it stands before a gap still.
    pub fn reset(&mut self, covered: Sequence) -> Option<Sequence> {
        self.committed(covered);
        self.is_submitted = false;
        self.open.map(|gap| gap.last)
    }
}
