//! What a lane is handed and answers: inputs, what to do next, what became of it.

use std::sync::Arc;
use std::time::Instant;

use crate::commit::checkpoint::Suspect;
use crate::event::{Delivery, Gap, Mark, Sequence};
use crate::policy::{Cause, Failed, Failure};

/// What a lane's reader hands it.
#[derive(Clone, Debug)]
pub enum Input {
    /// An input of the lane.
    Delivery(Arc<Delivery>),
    /// The reader has come this far, and nothing since the last input was for the lane.
    Covered(Mark),
    /// These were removed before the reader had them, and may have been the lane's.
    Gap(Gap),
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Run these inputs, in order, and report with [`Lane::ran`](super::Lane::ran).
    Run(Slice),
    /// Hand a step without effects to the committer: all up to here is done.
    Cover(Mark),
    /// Hand the dead letter of an input to the committer that did not run, since its key waits behind another.
    Park(GivenUp),
    /// Hand a step without effects to the committer: these inputs are about to run, and may end the host.
    Tell(Suspect),
    /// Hand a step to the committer that keeps this gap as a dead letter: the lane goes on behind it.
    Skip(Gap),
    /// Stop the module before this gap.
    Halt(Gap),
    /// Nothing before this time, unless something is handed in.
    Until(Instant),
    /// Nothing, until something is handed in.
    Wait,
}

/// Inputs to run on one instance.
#[derive(Clone, Debug)]
pub struct Slice {
    /// The inputs.
    pub inputs: Vec<Arc<Delivery>>,
    /// Whether views and instance must be forgotten first.
    pub fresh: bool,
    /// An input that is given up without a try, and why.
    pub condemned: Option<(Sequence, Failure)>,
    /// Whether it is the input of a dead letter that runs again. It does not decide about a plugin on trial: its place in the
    /// stream is not where the lane is.
    pub again: bool,
}

/// What became of a slice: how many of its inputs are done, and why the next one is not.
#[derive(Debug)]
pub struct Ran {
    /// Inputs that gave effects; fewer than the slice has if these are many bytes.
    pub done: usize,
    /// The bytes of these effects.
    pub bytes: usize,
    /// Why the one after them did not.
    pub failed: Option<Failed>,
}

/// An input that is given up.
#[derive(Clone, Debug)]
pub struct GivenUp {
    /// The input.
    pub input: Arc<Delivery>,
    /// Why.
    pub cause: Cause,
    /// How often it was tried.
    pub attempts: u32,
    /// What the guest logged last, oldest first.
    pub log: Vec<String>,
    /// Whether later inputs of its key wait behind it.
    pub parks: bool,
}

/// What to do with what a slice gave.
#[derive(Debug)]
pub enum Verdict {
    /// Commit it, and the dead letter behind it if there is one.
    Keep(Option<GivenUp>),
    /// Commit it, and stop the module before the input at this position, for this reason.
    Halt(Sequence, Cause),
    /// Drop it: the lane was reset meanwhile.
    Drop,
}
