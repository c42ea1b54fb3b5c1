//! What the soak's own records say: lag after the last fault (I5), what a host holds (I6), times outside faults (I7). Pure.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use crate::{
    busy::Busy,
    plan::LASTING,
    records::{Held, Sample, median},
};

/// How soon all must be done that was there at the last fault.
pub const RECOVERY: Duration = Duration::from_secs(60);
/// Shorter soaks have too little of I6 and I7 to judge them.
pub const JUDGED_FROM: u32 = 5;
/// So many looks with the same number of lanes are needed in both times.
const ENOUGH: usize = 5;
/// A host may hold so much more in the end than in the second minute, in tenths.
const GROWTH: u64 = 12;
/// Times outside faults may be so many times those before all faults.
const SLOWER: u32 = 2;
/// Less than that is the grain of the machine's clock and its other work.
const GRAIN: Duration = Duration::from_millis(20);

/// Before and after.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared<T> {
    pub before: T,
    pub after: T,
}

/// What the host that is never ended held in the second minute, and in the last third.
pub fn growth(samples: &[Sample], whole: Duration) -> Option<Compared<Held>> {
    let held = |time: &Range<Duration>| {
        let within = samples.iter().filter(|sample| sample.host == LASTING && time.contains(&sample.at));
        let within: Vec<Held> = within.map(|sample| sample.held).collect();
        let of = |field: fn(&Held) -> u64| median(within.iter().map(field).collect());
        let (memory, handles) = (of(|held| held.memory)?, of(|held| held.handles)?);
        Some(Held { memory, handles, threads: of(|held| held.threads)? })
    };
    let (early, late) = times(whole);
    Some(Compared { before: held(&early)?, after: held(&late)? })
}

/// The second minute, and the last third.
fn times(whole: Duration) -> (Range<Duration>, Range<Duration>) {
    let minute = Duration::from_secs(60);
    (minute..2 * minute, whole * 2 / 3..whole)
}

/// The tasks that went on in that host at the same times, and with how many lanes. Each lane has some, and how many lanes a host
/// has changes with faults and scaling, so equal numbers of lanes are held against each other: of those that were often seen
/// both times, the one with the most growth.
pub fn tasks(seen: &[Busy], whole: Duration) -> Option<(u64, Compared<u64>)> {
    let by_lanes = |time: &Range<Duration>| {
        let mut by_lanes = BTreeMap::<u64, Vec<u64>>::new();
        for busy in seen.iter().filter(|busy| time.contains(&busy.at)) {
            by_lanes.entry(busy.lanes).or_default().push(busy.tasks);
        }
        by_lanes.retain(|_, tasks| tasks.len() >= ENOUGH);
        by_lanes
    };
    let (early, late) = times(whole);
    let mut late = by_lanes(&late);
    let both = by_lanes(&early).into_iter().filter_map(|(lanes, before)| {
        Some((lanes, Compared { before: median(before)?, after: median(late.remove(&lanes)?)? }))
    });
    both.max_by_key(|(_, Compared { before, after })| after * 1_000 / before.max(&1))
}

/// What grew too much.
pub fn too_much(held: &Compared<Held>) -> Vec<String> {
    let Compared { before, after } = held;
    let all = [
        too_many("KiB of memory", before.memory, after.memory),
        too_many("file handles", before.handles, after.handles),
    ];
    all.into_iter().flatten().collect()
}

/// Whether tasks did, or cannot be compared.
pub fn too_busy(tasks: Option<&(u64, Compared<u64>)>) -> Option<String> {
    match tasks {
        Some((lanes, Compared { before, after })) => too_many(&format!("tasks with {lanes} lanes"), *before, *after),
        None => Some(format!("I6: host {LASTING} never had as many lanes in the last third as in the second minute")),
    }
}

fn too_many(what: &str, before: u64, after: u64) -> Option<String> {
    let told = || format!("I6: {what} of host {LASTING}: {before} in the second minute, {after} in the last third");
    (after * 10 > before * GROWTH).then(told)
}

/// What became too slow.
pub fn too_slow(p99: &Compared<Duration>) -> Option<String> {
    let Compared { before, after } = *p99;
    let slow = after > (before * SLOWER).max(GRAIN);
    slow.then(|| {
        format!("I7: p99 of the modules that nobody touched: {before:?} before all faults, {after:?} between them")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: u64, host: usize, memory: u64) -> Sample {
        let held = Held { memory, handles: 10, threads: 5 };
        Sample { at: Duration::from_secs(second), host, held }
    }

    #[test]
    fn the_last_third_is_held_against_the_second_minute() {
        let grown = |after| {
            let samples =
                [sample(10, 0, 1), sample(70, 0, 100), sample(70, 1, 1), sample(250, 0, after), sample(250, 1, 999)];
            too_much(&growth(&samples, Duration::from_secs(300)).expect("both are there")).len()
        };
        assert_eq!((grown(120), grown(121)), (0, 1));
        assert_eq!(growth(&[sample(70, 0, 1)], Duration::from_secs(300)), None);
    }

    #[test]
    fn tasks_are_compared_at_equal_numbers_of_lanes() {
        let busy = |second: u64, lanes: u64, tasks: u64| {
            (0..5).map(move |more| Busy { at: Duration::from_secs(second + more), lanes, tasks })
        };
        let all: Vec<_> = [busy(70, 4, 50), busy(80, 6, 60), busy(250, 6, 90), busy(260, 4, 55), busy(270, 9, 999)]
            .into_iter()
            .flatten()
            .collect();
        let whole = Duration::from_secs(300);
        assert_eq!(tasks(&all, whole), Some((6, Compared { before: 60, after: 90 })));
        let judged = |after| too_busy(Some(&(6, Compared { before: 100, after })));
        assert!(judged(120).is_none() && judged(121).is_some());
        let few: Vec<_> = all.into_iter().filter(|busy| busy.lanes != 6 && busy.lanes != 4).collect();
        assert!(too_busy(tasks(&few, whole).as_ref()).is_some());
    }

    #[test]
    fn times_may_double_but_not_more() {
        let slow = |before, after| {
            let millis = Duration::from_millis;
            too_slow(&Compared { before: millis(before), after: millis(after) }).is_some()
        };
        assert!(!slow(30, 60) && slow(30, 61) && !slow(2, 19));
    }
}
