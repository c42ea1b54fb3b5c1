//! Decides whether a stream lost messages before a reader had them. Pure.
//!
//! What counts is the head: the stream's first position lies behind the next one that the reader wants. Messages that are
//! missing in the middle, replaced by newer ones of their subject or deleted one by one, are no loss.

use async_nats::jetstream::stream::Info;

use crate::event::{Gap, Sequence};

/// Where a stream begins and ends, and what may have moved its head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Head {
    /// The first position that holds a message; behind the last one if none does.
    pub first: Sequence,
    /// The last position that ever held one.
    pub last: Sequence,
    /// Whether no message is left.
    is_empty: bool,
    /// Whether newer messages replace older ones of their subject, which moves the head, too.
    pub replaces: bool,
    /// Whether messages are removed by age, number or bytes.
    has_limits: bool,
}

impl Head {
    /// What the server says of a stream.
    pub fn of(info: &Info) -> Self {
        let (state, config) = (&info.state, &info.config);
        Self {
            first: Sequence(state.first_sequence),
            last: Sequence(state.last_sequence),
            is_empty: state.messages == 0,
            replaces: config.max_messages_per_subject > 0 || config.allow_rollup,
            has_limits: !config.max_age.is_zero() || config.max_messages > 0 || config.max_bytes > 0,
        }
    }

    /// The position before the first message.
    pub fn before(&self) -> Sequence {
        Sequence(self.first.0.saturating_sub(1))
    }

    /// Whether a head that moved says that messages were lost. Of a stream that only replaces messages, such as a
    /// key-value bucket or an app stream, it says nothing, as long as there are any.
    pub fn tells_of_loss(&self) -> bool {
        !self.replaces || self.has_limits || self.is_empty
    }

    /// What was removed behind `at` before it was read.
    pub fn gap_behind(&self, at: Sequence) -> Option<Gap> {
        let gap = Gap { first: at.next(), last: self.before() };
        (gap.first <= gap.last && self.tells_of_loss()).then_some(gap)
    }

    /// The same for a reader of the whole stream to whom `next` came after `at`.
    pub fn gap_between(&self, at: Sequence, next: Sequence) -> Option<Gap> {
        let before = Sequence(next.0.saturating_sub(1));
        let gap = self.gap_behind(at).map(|gap| Gap { last: gap.last.min(before), ..gap })?;
        (gap.first <= gap.last).then_some(gap)
    }
}

/// What messages that are gone were to a module: to one that takes all of its stream that is certain.
pub fn were_inputs(certain: bool) -> &'static str {
    if certain { "were inputs" } else { "may have been inputs" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(first: u64, last: u64) -> Head {
        let (first, last) = (Sequence(first), Sequence(last));
        Head { first, last, is_empty: first > last, replaces: false, has_limits: true }
    }

    fn gap(first: u64, last: u64) -> Option<Gap> {
        Some(Gap { first: Sequence(first), last: Sequence(last) })
    }

    #[test]
    fn what_stood_behind_the_mark_and_was_removed_is_a_gap() {
        let cases = [
            (head(1, 10), 0, None, "nothing was removed"),
            (head(1, 10), 10, None, "all is done"),
            (head(0, 0), 0, None, "nothing was ever there"),
            (head(1000, 999), 999, None, "nothing was ever there, and it counts from 1000"),
            (head(5, 10), 7, None, "only what is done was removed"),
            (head(5, 10), 4, None, "the next one is the first there is"),
            (head(5, 10), 3, gap(4, 4), "one is missing"),
            (head(5, 10), 0, gap(1, 4), "four are missing"),
            (head(11, 10), 10, None, "a quiet weekend: all is done, and all has expired"),
            (head(11, 10), 7, gap(8, 10), "purged"),
        ];
        for (head, at, expected, what) in cases {
            assert_eq!(head.gap_behind(Sequence(at)), expected, "{what}");
        }
    }

    #[test]
    fn a_jump_is_a_gap_as_far_as_the_head_has_passed() {
        let cases = [
            (head(1, 20), 5, 9, None, "deleted in the middle"),
            (head(5, 20), 5, 9, None, "the last one read is the head"),
            (head(9, 20), 5, 9, gap(6, 8), "overtaken"),
            (head(8, 20), 5, 9, gap(6, 7), "overtaken, and one deleted in the middle"),
            (head(15, 20), 5, 9, gap(6, 8), "the next one is gone by now, too, but it was read"),
            (head(15, 20), 5, 6, None, "no jump"),
        ];
        for (head, at, next, expected, what) in cases {
            assert_eq!(head.gap_between(Sequence(at), Sequence(next)), expected, "{what}");
        }
    }

    #[test]
    fn a_stream_that_only_replaces_messages_lost_none_unless_it_is_empty() {
        let bucket = Head { replaces: true, has_limits: false, ..head(5, 10) };
        assert_eq!(bucket.gap_behind(Sequence(2)), None);
        assert_eq!(Head { has_limits: true, ..bucket }.gap_behind(Sequence(2)), gap(3, 4));
        assert_eq!(Head { first: Sequence(11), is_empty: true, ..bucket }.gap_behind(Sequence(2)), gap(3, 10));
    }
}
