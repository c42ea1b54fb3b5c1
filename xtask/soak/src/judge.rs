//! What the soak's own records say: lag after the last fault (I5), what a host holds (I6), times outside faults (I7). Pure.

use std::time::Duration;

use crate::{
    plan::LASTING,
    records::{Held, Sample, median},
};

/// How soon all must be done that was there at the last fault.
pub const RECOVERY: Duration = Duration::from_secs(60);
/// Shorter soaks have too little of I6 and I7 to judge them.
pub const JUDGED_FROM: u32 = 5;
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
    let minute = Duration::from_secs(60);
    let held = |from: Duration, to: Duration| {
        let within = samples.iter().filter(|sample| sample.host == LASTING && sample.at >= from && sample.at < to);
        let within: Vec<Held> = within.map(|sample| sample.held).collect();
        let of = |field: fn(&Held) -> u64| median(within.iter().map(field).collect());
        Some(Held { memory: of(|held| held.memory)?, handles: of(|held| held.handles)?, tasks: of(|held| held.tasks)? })
    };
    Some(Compared { before: held(minute, 2 * minute)?, after: held(whole * 2 / 3, whole)? })
}

/// What grew too much.
pub fn too_much(held: &Compared<Held>) -> Vec<String> {
    let of = |what: &str, before: u64, after: u64| {
        let told = format!("I6: {what} of host {LASTING}: {before} in the second minute, {after} in the last third");
        (after * 10 > before * GROWTH).then_some(told)
    };
    let Compared { before, after } = held;
    let all = [
        of("KiB of memory", before.memory, after.memory),
        of("file handles", before.handles, after.handles),
        of("tasks", before.tasks, after.tasks),
    ];
    all.into_iter().flatten().collect()
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
        let held = Held { memory, handles: 10, tasks: 5 };
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
    fn times_may_double_but_not_more() {
        let slow = |before, after| {
            let millis = Duration::from_millis;
            too_slow(&Compared { before: millis(before), after: millis(after) }).is_some()
        };
        assert!(!slow(30, 60) && slow(30, 61) && !slow(2, 19));
    }
}
