//! Puts what several streams give into the order in which it was stored, as far as that can be known. Pure.
//!
//! While a stream still has messages from the past, the others wait for it. Once all have caught up, whatever comes
//! is given at once.

use std::collections::VecDeque;

use time::OffsetDateTime;

/// Merges what several sources give.
#[derive(Debug)]
pub struct Merge<T> {
    sources: Vec<Source<T>>,
}

#[derive(Debug)]
struct Source<T> {
    waiting: VecDeque<(OffsetDateTime, T)>,
    /// Whether more is known to stand behind what was given.
    more: bool,
}

impl<T> Merge<T> {
    /// So many sources, of which nothing is known yet.
    pub fn new(sources: usize) -> Self {
        Self { sources: (0..sources).map(|_| Source { waiting: VecDeque::new(), more: true }).collect() }
    }

    /// Takes what source `at` gave; `pending` more stand behind it.
    pub fn push(&mut self, at: usize, stored: OffsetDateTime, item: T, pending: u64) {
        if let Some(source) = self.sources.get_mut(at) {
            source.waiting.push_back((stored, item));
            source.more = pending > 0;
        }
    }

    /// Notes that source `at` has so many that it did not give yet.
    pub fn pending(&mut self, at: usize, pending: u64) {
        if let Some(source) = self.sources.get_mut(at) {
            source.more = pending > 0;
        }
    }

    /// Waits no longer for what the sources are said to have.
    pub fn give_up_waiting(&mut self) {
        self.sources.iter_mut().for_each(|source| source.more = false);
    }

    /// Whether source `at` should be asked for more.
    pub fn wants(&self, at: usize) -> bool {
        self.sources.get(at).is_some_and(|source| source.waiting.is_empty())
    }

    /// The oldest that waits, unless a source that has nothing waiting may still give something older.
    pub fn pop(&mut self) -> Option<T> {
        if self.sources.iter().any(|source| source.waiting.is_empty() && source.more) {
            return None;
        }
        let heads = self.sources.iter_mut().filter(|source| !source.waiting.is_empty());
        let oldest = heads.min_by_key(|source| source.waiting.front().map(|(stored, _)| *stored))?;
        oldest.waiting.pop_front().map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(second).unwrap()
    }

    fn drain(merge: &mut Merge<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| merge.pop()).collect()
    }

    #[test]
    fn the_past_comes_in_the_order_of_storage() {
        let mut merge = Merge::new(2);
        merge.push(0, at(1), "input 1", 1);
        assert_eq!(drain(&mut merge), Vec::<&str>::new(), "nothing is known of the other stream");
        merge.push(1, at(2), "effect 1", 1);
        assert_eq!(drain(&mut merge), ["input 1"], "the next input may be older than the effect");
        merge.push(0, at(3), "input 2", 0);
        assert_eq!(drain(&mut merge), ["effect 1"]);
        merge.push(1, at(4), "effect 2", 0);
        assert_eq!(drain(&mut merge), ["input 2", "effect 2"]);
    }

    #[test]
    fn what_comes_live_waits_for_nobody() {
        let mut merge = Merge::new(2);
        merge.pending(0, 0);
        merge.pending(1, 0);
        merge.push(1, at(9), "effect", 0);
        assert_eq!(drain(&mut merge), ["effect"]);
        assert!(merge.wants(0) && merge.wants(1));
        merge.push(0, at(8), "input", 0);
        assert!(!merge.wants(0));
        assert_eq!(drain(&mut merge), ["input"]);
    }

    #[test]
    fn what_never_comes_is_not_waited_for_for_ever() {
        let mut merge = Merge::new(2);
        merge.push(0, at(1), "input", 0);
        merge.pending(1, 1);
        assert_eq!(drain(&mut merge), Vec::<&str>::new());
        merge.give_up_waiting();
        assert_eq!(drain(&mut merge), ["input"]);
    }

    #[test]
    fn equal_times_keep_the_order_of_the_sources() {
        let mut merge = Merge::new(2);
        merge.push(1, at(1), "effect", 0);
        merge.push(0, at(1), "input", 0);
        assert_eq!(drain(&mut merge), ["input", "effect"]);
    }
}
