//! The input stream: what is in it, and what a guest makes of each input.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::random::Random;
use crate::cloudevents;
use crate::event::{Delivery, Mark, Message, Sequence};
use crate::route::{KeyError, lane_of};

/// The input stream's name.
pub const STREAM: &str = "IN";
/// When it was created.
pub const CREATED: &str = "2026-01-01T00:00:00Z";

/// What becomes of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It counts its key up, replaces a value and emits an event.
    Counts,
    /// The same with three events.
    Bulky,
    /// It removes the count of its key, and emits an event.
    Clears,
    /// It has no effects.
    Silent,
    /// It counts, or asks to be tried again, or traps, or cannot be run at present, as chance has it.
    Flaky,
    /// The guest asks for another try each time.
    Stubborn,
    /// The guest gives it up.
    Rejected,
    /// The guest traps.
    Traps,
    /// The server refuses its effects.
    Poisonous,
    /// It is no event.
    Garbled,
}

impl Kind {
    /// One of them; those that fail are rarer.
    pub fn random(random: &mut Random) -> Self {
        random.weighted(&[
            (Self::Counts, 40),
            (Self::Bulky, 8),
            (Self::Clears, 6),
            (Self::Silent, 15),
            (Self::Flaky, 8),
            (Self::Stubborn, 2),
            (Self::Rejected, 6),
            (Self::Traps, 2),
            (Self::Poisonous, 4),
            (Self::Garbled, 2),
        ])
    }

    /// How many events it emits if it has its effects.
    pub fn events(self) -> usize {
        match self {
            Self::Counts | Self::Flaky | Self::Clears | Self::Poisonous => 1,
            Self::Bulky => 3,
            Self::Silent | Self::Stubborn | Self::Rejected | Self::Traps | Self::Garbled => 0,
        }
    }

    /// Whether its effects may be stored.
    pub fn may_have_effects(self) -> bool {
        matches!(self, Self::Counts | Self::Bulky | Self::Clears | Self::Silent | Self::Flaky)
    }

    /// Whether it may become a dead letter, though the server takes all that it is to take.
    pub fn may_fail(self) -> bool {
        match self {
            Self::Counts | Self::Bulky | Self::Clears | Self::Silent => false,
            Self::Flaky | Self::Stubborn | Self::Rejected | Self::Traps | Self::Poisonous | Self::Garbled => true,
        }
    }
}

/// An input.
#[derive(Clone)]
pub struct Input {
    pub kind: Kind,
    pub key: Arc<str>,
    pub delivery: Arc<Delivery>,
    pub mark: Mark,
}

impl Input {
    /// The lane that it is for in a module with so many.
    pub fn lane(&self, lanes: u16) -> u16 {
        lane_of(self.delivery.lane_key(), lanes)
    }
}

/// All that was published.
#[derive(Default)]
pub struct Inputs(Vec<Input>);

impl Inputs {
    pub fn publish(&mut self, kind: Kind, key: &str) {
        let sequence = self.0.len() as u64 + 1;
        let message = Message {
            sequence: Sequence(sequence),
            stored: OffsetDateTime::UNIX_EPOCH + Duration::from_secs(sequence),
            subject: format!("in.{key}"),
            headers: Vec::new(),
            payload: format!("{kind:?}").into(),
        };
        let (key, fingerprint) = (Arc::from(key), Some(message.fingerprint()));
        let event = cloudevents::decode(STREAM, &message).unwrap();
        let input = match kind {
            Kind::Garbled => Err(KeyError::Empty.into()),
            _ => Ok((Arc::new(event), Arc::clone(&key))),
        };
        let mark = Mark { sequence: message.sequence, fingerprint };
        let delivery = Arc::new(Delivery { message: Arc::new(message), input });
        self.0.push(Input { kind, key, delivery, mark });
    }

    /// How many there are, which is where the last one stands.
    pub fn last(&self) -> u64 {
        self.0.len() as u64
    }

    /// The input at a position, from 1.
    pub fn get(&self, sequence: u64) -> Option<&Input> {
        self.0.get(usize::try_from(sequence.checked_sub(1)?).unwrap())
    }
}
