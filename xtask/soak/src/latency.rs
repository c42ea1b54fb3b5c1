//! How long lines took from stored to committed, apart for times in which all was well. Pure.

use std::{fmt::Write, time::Duration};

use anyhow::{Context, Result};
use pelton_demo::{
    app::MODULES,
    data::{Item, Line},
};
use pelton_tests::stored::Stored;

use crate::{history::History, journal::Stamp};

/// So long after a fault times are not as they always are: heartbeats expire, connections come back, lanes catch up.
pub const SETTLING: Stamp = 10_000_000_000;

/// How long an input took in a module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Took {
    pub module: &'static str,
    pub stored: Stamp,
    pub committed: Stamp,
}

/// For each line, and each module that reads lines, how long it took.
pub fn took(history: &History, stored: &[Stored], items: &[Item]) -> Result<Vec<Took>> {
    let mut all = Vec::new();
    for message in stored {
        let index = usize::try_from(message.sequence - 1)? % items.len().max(1);
        if let Item::Line(_, line) = items.get(index).context("no lines")? {
            all.extend(of_line(history, message, line));
        }
    }
    Ok(all)
}

fn of_line(history: &History, message: &Stored, line: &Line) -> impl Iterator<Item = Took> {
    let took = move |module: &pelton_demo::app::Module| {
        let seen = history.of_lane(module.name, u16::try_from(module.lane(line)).ok()?);
        let committed = seen.get(seen.partition_point(|seen| seen.covered < message.sequence))?.at;
        Some(Took { module: module.name, stored: message.at, committed })
    };
    MODULES.iter().filter_map(took).collect::<Vec<_>>().into_iter()
}

/// All of them as a table, in milliseconds since `begin`.
pub fn table(took: &[Took], begin: Stamp) -> Result<String> {
    let mut table = "module,stored_ms,committed_ms\n".to_owned();
    for Took { module, stored, committed } in took {
        let millis = |stamp: &Stamp| (stamp - begin) / 1_000_000;
        writeln!(table, "{module},{},{}", millis(stored), millis(committed))?;
    }
    Ok(table)
}

/// What 99 of 100 inputs took at most, of those that were stored in that time and met no trouble; and how many they are.
pub fn p99(took: &[Took], from: Stamp, to: Stamp, troubled: &[(Stamp, Stamp)]) -> Option<(Duration, usize)> {
    let calm =
        |took: &Took| troubled.iter().all(|(begin, end)| took.committed < *begin || took.stored > end + SETTLING);
    let within = took.iter().filter(|took| took.stored >= from && took.stored < to && calm(took));
    let mut times: Vec<Stamp> = within.map(|took| took.committed - took.stored).collect();
    times.sort_unstable();
    let last = times.get(times.len() * 99 / 100)?;
    Some((Duration::from_nanos(u64::try_from(*last).ok()?), times.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_met_a_fault_or_came_soon_after_it_does_not_count() {
        let second: Stamp = 1_000_000_000;
        let took = |stored: Stamp, seconds: Stamp| Took {
            module: "flag",
            stored: stored * second,
            committed: (stored + seconds) * second,
        };
        let all = [took(1, 1), took(9, 2), took(15, 7), took(31, 3), took(50, 9)];
        let troubled = [(10 * second, 20 * second)];
        assert_eq!(p99(&all, 0, 40 * second, &troubled), Some((Duration::from_secs(3), 2)));
        assert_eq!(p99(&all, 0, 40 * second, &[]), Some((Duration::from_secs(7), 4)));
        assert_eq!(p99(&all, 60 * second, 90 * second, &[]), None);
    }
}
