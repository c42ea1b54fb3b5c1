//! Decides whether any checkpoint was ahead of its effects (I4), from the checkpoints as they were written. Pure.

use std::collections::BTreeMap;

use chain::needs;
use xxhash_rust::xxh64::xxh64;

use super::judge::{Violations, input_of};
use crate::stored::Stored;

/// A checkpoint of the module `oracle`, as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Written {
    /// Where it stands in the app stream.
    pub sequence: u64,
    /// The lane.
    pub lane: u16,
    /// How many lanes the module had.
    pub lanes: u16,
    /// Up to where every input of the lane is done.
    pub covered: u64,
}

/// What is known of when inputs were done.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// For each key its inputs, and where in the app stream all those up to each were done.
    keys: BTreeMap<String, Vec<(u64, u64)>>,
}

impl Done {
    /// Of these inputs and the events that they led to. When a dead letter was written nobody knows once it is replayed, so
    /// inputs that ask to become one count as done at any time.
    pub fn new(inputs: &[Stored], events: &[Stored]) -> Self {
        let mut done_at = BTreeMap::<u64, u64>::new();
        for event in events {
            if let Some(input) = input_of(event) {
                let last = done_at.entry(input).or_default();
                *last = event.sequence.max(*last);
            }
        }
        let mut keys = BTreeMap::<String, Vec<(u64, u64)>>::new();
        for input in inputs {
            let at = if needs(&input.payload) > 0 { Some(0) } else { done_at.get(&input.sequence).copied() };
            let of_key = keys.entry(input.key().to_owned()).or_default();
            let before = of_key.last().map_or(0, |(_, at)| *at);
            of_key.push((input.sequence, at.unwrap_or(u64::MAX).max(before)));
        }
        Self { keys }
    }

    /// The checkpoints that say more than was done.
    pub fn judge(&self, checkpoints: &[Written]) -> Violations {
        checkpoints.iter().filter_map(|checkpoint| self.ahead(*checkpoint)).collect()
    }

    fn ahead(&self, checkpoint: Written) -> Option<String> {
        let Written { sequence, lane, lanes, covered } = checkpoint;
        let of_lane = self.keys.iter().filter(|(key, _)| lane_of(key, lanes) == lane);
        let mut last = of_lane.filter_map(|(key, inputs)| {
            let count = inputs.partition_point(|(input, _)| *input <= covered);
            let (input, done) = count.checked_sub(1).and_then(|last| inputs.get(last))?;
            (*done > sequence).then_some((key, *input))
        });
        let (key, input) = last.next()?;
        Some(format!(
            "I4: the checkpoint at {sequence} of lane {lane} of {lanes} covers {covered}, but not all of {key} up to \
             {input} had effects by then"
        ))
    }
}

/// The lane of a key.
pub fn lane_of(key: &str, lanes: u16) -> u16 {
    u16::try_from(xxh64(key.as_bytes(), 0) % u64::from(lanes.max(1))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;

    use super::*;

    fn message(sequence: u64, subject: &str, input: u64) -> Stored {
        let mut headers = HeaderMap::new();
        headers.insert("Pelton-Input", &*format!("IN:{input}"));
        Stored { sequence, subject: subject.into(), headers, payload: "payload".into(), ..Stored::default() }
    }

    #[test]
    fn a_checkpoint_that_covers_what_came_later_is_ahead() {
        let inputs = [message(1, "in.a", 0), message(2, "in.a", 0)];
        let done = Done::new(&inputs, &[message(10, "x.a", 1), message(20, "x.a", 2), message(21, "x.a", 2)]);
        let lane = lane_of("a", 4);
        for (sequence, covered, ahead) in [(9, 0, 0), (11, 1, 0), (11, 2, 1), (20, 2, 1), (22, 9, 0), (9, 1, 1)] {
            let written = Written { sequence, lane, lanes: 4, covered };
            assert_eq!(done.judge(&[written]).len(), ahead, "{written:?}");
            let other_lane = Written { lane: (lane + 1) % 4, ..written };
            assert_eq!(done.judge(&[other_lane]).len(), 0, "{other_lane:?}");
        }
    }

    #[test]
    fn an_input_without_effects_is_never_done() {
        let done = Done::new(&[message(1, "in.a", 0)], &[]);
        assert_eq!(done.judge(&[Written { sequence: 99, lane: 0, lanes: 1, covered: 1 }]).len(), 1);
    }

    #[test]
    fn an_input_that_asks_to_be_a_dead_letter_holds_nothing_up() {
        let waits = Stored { payload: chain::later(9, "x").into(), ..message(1, "in.a", 0) };
        let done = Done::new(&[waits, message(2, "in.a", 0)], &[message(10, "x.a", 2)]);
        assert_eq!(done.judge(&[Written { sequence: 11, lane: 0, lanes: 1, covered: 2 }]), Violations::new());
    }
}
