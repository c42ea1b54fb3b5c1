//! How a lane is run whose owner ended without a word: one of the inputs that it ran may have ended the host. Pure.
//!
//! The next owner runs as many as an owner may have begun without committing any in small slices, and says so in the
//! checkpoint before each. If it ends too, the one after it runs those of that slice by themselves, and no other lane of
//! the host does the same meanwhile. So an input that ends host after host is found, and no other takes the blame.

use super::{AHEAD, SLICE};
use crate::commit::checkpoint::{SUSPECTS, Suspect};
use crate::event::Sequence;

/// After so many owners that ended while they ran one input alone, it is given up.
pub const ENDS: u32 = 3;

/// A lane's care.
#[derive(Clone, Copy, Debug)]
pub struct Care {
    /// Inputs up to here were there when the last owner ended.
    until: Sequence,
    /// Inputs that are still to be run with care.
    left: usize,
    /// Those of them that are to be run one at a time.
    single: usize,
    /// How many owners ended while they ran the first one alone.
    ends: u32,
    /// Whether it was asked whether to give that one up.
    is_judged: bool,
    told: Told,
}

/// Whether the checkpoint tells what is about to run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    No,
    /// It is on its way.
    Soon,
    Yes,
}

/// What a careful lane does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// Tells that it is about to run inputs.
    Tell(Suspect),
    /// Waits until that is stored.
    Wait,
    /// Runs at most so many.
    Run(usize),
}

impl Care {
    /// The care of a lane of which this is suspected, where inputs up to `until` were there when its last owner ended.
    pub fn new(suspect: Suspect, until: Sequence) -> Self {
        let single = if suspect.inputs == 1 { SUSPECTS as usize } else { 0 };
        Self { until, left: AHEAD + SLICE, single, ends: suspect.ends, is_judged: false, told: Told::No }
    }

    /// How many owners the first input has ended, if that is enough to give it up. Told once.
    pub fn gives_up(&mut self, first: Sequence) -> Option<u32> {
        let is_first = !std::mem::replace(&mut self.is_judged, true);
        (is_first && self.ends >= ENDS && first <= self.until).then_some(self.ends)
    }

    /// Whether it is over when `next` is to run.
    pub fn is_over(&self, next: Sequence) -> bool {
        self.left == 0 || next > self.until
    }

    /// Whether the next input is to run while no other lane of the host runs one like it.
    pub fn is_single(&self) -> bool {
        self.single > 0
    }

    /// What to do, with nothing else ahead of the commit.
    pub fn step(&mut self) -> Next {
        let inputs = if self.is_single() { 1 } else { SUSPECTS };
        match self.told {
            Told::No => {
                self.told = Told::Soon;
                Next::Tell(Suspect { inputs, ends: self.ends, runs: true })
            }
            Told::Soon => Next::Wait,
            Told::Yes => Next::Run(inputs as usize),
        }
    }

    /// What is about to run is stored.
    pub fn told(&mut self) {
        if self.told == Told::Soon {
            self.told = Told::Yes;
        }
    }

    /// So many inputs ran, or were given up.
    pub fn ran(&mut self, inputs: usize) {
        if inputs > 0 {
            self.told = Told::No;
            self.ends = 0;
        }
        self.left = self.left.saturating_sub(inputs);
        self.single = self.single.saturating_sub(inputs);
    }

    /// What was told counts for nothing.
    pub fn reset(&mut self) {
        self.told = Told::No;
    }
}
