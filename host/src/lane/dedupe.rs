//! Recognises inputs that repeat an earlier one: the same CloudEvents source and id in the same lane, stored within a
//! window of time. Pure: the window is one of storage times, so that every run decides alike.
//!
//! Nothing of this is stored. Whoever starts a lane has it read again what its window holds before its checkpoint.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use time::OffsetDateTime;
use xxhash_rust::xxh3::Xxh3;

use crate::event::{Delivery, Event, Sequence};

/// Inputs of one id, each of which stands in the window of the one before it.
#[derive(Clone, Copy, Debug)]
struct Times {
    first: Sequence,
    /// When the last of them was stored.
    last: OffsetDateTime,
}

/// The most inputs whose ids all lanes of a module remember together; beyond it the window is shorter than its setting.
const IDS: usize = 1_000_000;

/// What one lane remembers.
#[derive(Debug)]
pub struct Dedupe {
    window: Duration,
    most: usize,
    /// The inputs of each id: two events with equal 128-bit hashes are taken to be one.
    ids: HashMap<u128, Times>,
    /// The ids of all inputs in the window, by age.
    ages: VecDeque<(OffsetDateTime, u128)>,
    /// The furthest input seen. A reader that moves back hands inputs in again, which neither come nor go anew.
    seen: Sequence,
}

impl Dedupe {
    /// A memory for one of `lanes` lanes.
    pub fn new(window: Duration, lanes: u16) -> Self {
        let most = IDS / usize::from(lanes.max(1));
        Self { window, most, ids: HashMap::new(), ages: VecDeque::new(), seen: Sequence(0) }
    }

    /// Whether `input` repeats an earlier one. Notes it, if not.
    pub fn is_repeat(&mut self, input: &Delivery) -> bool {
        let Ok((event, _)) = &input.input else { return false };
        let id = hash(event);
        if input.sequence() <= self.seen {
            return self.ids.get(&id).is_some_and(|times| times.first < input.sequence());
        }
        self.seen = input.sequence();
        let now = input.message.stored;
        while let Some((stored, id)) = self.ages.front().copied() {
            if now - stored <= self.window && self.ages.len() <= self.most {
                break;
            }
            self.ages.pop_front();
            if self.ids.get(&id).is_some_and(|times| times.last <= stored) {
                self.ids.remove(&id);
            }
        }
        self.ages.push_back((now, id));
        let times = self.ids.entry(id).or_insert(Times { first: input.sequence(), last: now });
        times.last = now;
        times.first < input.sequence()
    }
}

fn hash(event: &Event) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(event.source.as_bytes());
    hash.update(&[0]);
    hash.update(event.id.as_bytes());
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::cloudevents;
    use crate::event::Message;

    fn input(sequence: u64, second: i64, source: &str, id: &str) -> Delivery {
        let headers = [("ce-specversion", "1.0"), ("ce-id", id), ("ce-source", source), ("ce-type", "t")];
        let message = Message {
            sequence: Sequence(sequence),
            stored: OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(second),
            subject: "s".to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            payload: Bytes::new(),
        };
        let event = cloudevents::decode("IN", &message).unwrap();
        Delivery { message: Arc::new(message), input: Ok((Arc::new(event), "k".into())) }
    }

    #[test]
    fn the_second_of_an_id_within_the_window_is_a_repeat() {
        let mut dedupe = Dedupe::new(Duration::from_secs(60), 1);
        let cases = [
            (input(1, 0, "a", "1"), false),
            (input(2, 1, "a", "1"), true),
            (input(3, 1, "b", "1"), false),
            (input(4, 1, "a", "2"), false),
            (input(5, 60, "a", "1"), true),
            // Not in that of the first one, but of the last.
            (input(6, 61, "a", "1"), true),
            (input(7, 122, "a", "1"), false),
        ];
        for (input, expected) in cases {
            assert_eq!(dedupe.is_repeat(&input), expected, "{}", input.sequence());
        }
    }

    #[test]
    fn an_input_that_comes_again_is_no_repeat_of_itself() {
        let mut dedupe = Dedupe::new(Duration::from_secs(60), 1);
        for _ in 0..2 {
            assert!(!dedupe.is_repeat(&input(1, 0, "a", "1")));
            assert!(dedupe.is_repeat(&input(2, 0, "a", "1")));
        }
    }

    #[test]
    fn inputs_that_are_handed_in_again_do_not_outlive_their_window() {
        let mut dedupe = Dedupe::new(Duration::from_secs(60), 1);
        for (sequence, second, id) in [(1, 0, "1"), (2, 100, "2"), (1, 0, "1"), (2, 100, "2")] {
            assert!(!dedupe.is_repeat(&input(sequence, second, "a", id)), "{sequence}");
        }
        assert!(!dedupe.is_repeat(&input(3, 101, "a", "1")), "the first is older than the window");
        assert!(dedupe.is_repeat(&input(4, 102, "a", "2")));
    }

    #[test]
    fn memory_is_bounded_by_the_number_of_ids() {
        let mut dedupe = Dedupe { most: 10, ..Dedupe::new(Duration::from_secs(60), 1) };
        for sequence in 1..100 {
            assert!(!dedupe.is_repeat(&input(sequence, 0, "a", &sequence.to_string())));
        }
        assert!(dedupe.ids.len() <= 11 && dedupe.ages.len() == dedupe.ids.len());
        assert!(dedupe.is_repeat(&input(100, 0, "a", "99")));
        assert!(!dedupe.is_repeat(&input(101, 0, "a", "1")), "forgotten");
    }
}
