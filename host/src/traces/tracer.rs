//! Follows the sampled inputs of one lane from when the lane takes them. Only notes what it is told; the others are not
//! here at all, and cost a look at a number.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::context::{Context, producer};
use super::span::{Call, Open, Processed};
use crate::commit::Done;
use crate::effects::Origin;
use crate::event::{Delivery, Sequence};
use crate::lane::{GivenUp, Input};

/// The most calls of one input that are told of; one that waits for long is tried without end.
const CALLS: usize = 64;

/// The sampled inputs of one lane that are at work.
#[derive(Debug)]
pub struct Tracer {
    origin: Arc<Origin>,
    lane: u16,
    open: Mutex<BTreeMap<Sequence, Open>>,
    /// How many are open, so that a lane without any takes no lock.
    count: AtomicUsize,
}

impl Tracer {
    /// A tracer of a lane of the module of `origin`.
    pub fn new(origin: Arc<Origin>, lane: u16) -> Self {
        Self { origin, lane, open: Mutex::default(), count: AtomicUsize::new(0) }
    }

    /// The lane takes an input.
    pub fn taken(&self, input: &Input) {
        if let Input::Delivery(delivery) = input {
            self.follow(delivery, false);
        }
    }

    /// The lane is about to run a dead letter again.
    pub fn replays(&self, input: &Delivery) {
        self.follow(input, true);
    }

    fn follow(&self, input: &Delivery, is_replay: bool) {
        // What is no event has its context in its headers, if it has one.
        let said = input.input.as_ref().map_or(&input.message.headers, |(event, _)| &event.attributes);
        let (producer, sequence) = (producer(said), input.sequence());
        if Context::is_sampled(producer, &self.origin, sequence) {
            let context = Context::behind(producer, &self.origin, sequence);
            let (state, taken) = (context.state_text(said), SystemTime::now());
            self.change(|open| {
                let taken = Open { context, state, taken, calls: Vec::new(), is_replay };
                if is_replay || !open.contains_key(&sequence) {
                    open.insert(sequence, taken);
                }
            });
        }
    }

    /// Whether none of its inputs is sampled.
    pub fn is_idle(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Whether the input there is sampled.
    pub fn follows(&self, sequence: Sequence) -> bool {
        !self.is_idle() && self.lock().contains_key(&sequence)
    }

    /// The plugin was called with the input there.
    pub fn called(&self, sequence: Sequence, call: Call) {
        if let Some(open) = self.lock().get_mut(&sequence).filter(|open| open.calls.len() < CALLS) {
            open.calls.push(call);
        }
    }

    /// What is to be told of an input that `step` is made of, once that is stored. It stays open, since a lane that is reset
    /// runs it again.
    pub fn done(&self, input: &Delivery, step: &Done) -> Option<Box<Processed>> {
        let open = self.lock().get(&input.sequence())?.clone();
        Some(Box::new(Processed::done(open, &self.origin, self.lane, input, step)))
    }

    /// What is to be told of an input that becomes a dead letter, once that is stored.
    pub fn given_up(&self, given_up: &GivenUp) -> Option<Box<Processed>> {
        let open = self.lock().get(&given_up.input.sequence())?.clone();
        Some(Box::new(Processed::given_up(open, &self.origin, self.lane, given_up)))
    }

    /// All inputs up to `covered` are stored.
    pub fn committed(&self, covered: Sequence) {
        if !self.is_idle() {
            self.change(|open| open.retain(|sequence, open| *sequence > covered || open.is_replay));
        }
    }

    /// The dead letter that was to run again did. There is one at a time.
    pub fn replayed(&self) {
        if !self.is_idle() {
            self.change(|open| open.retain(|_, open| !open.is_replay));
        }
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Sequence, Open>)) {
        let mut open = self.lock();
        change(&mut open);
        self.count.store(open.len(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Sequence, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
