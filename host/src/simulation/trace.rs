//! What happened in a run: a digest of all of it, its last lines, and how often what happened.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{Arguments, Write};
use std::time::Duration;

use xxhash_rust::xxh64::Xxh64;

/// Lines that are kept for whoever looks into a run that failed.
const LINES: usize = 150;

/// The trace of a run.
#[derive(Default)]
pub struct Trace {
    digest: Xxh64,
    lines: VecDeque<String>,
    counts: BTreeMap<&'static str, u64>,
}

impl Trace {
    /// Notes what happened at that time of the run.
    pub fn note(&mut self, at: Duration, what: Arguments<'_>) {
        let mut line =
            if self.lines.len() < LINES { String::new() } else { self.lines.pop_front().unwrap_or_default() };
        line.clear();
        write!(line, "{:>8} ms  {what}", at.as_millis()).unwrap();
        self.digest.update(line.as_bytes());
        self.lines.push_back(line);
    }

    /// Counts something.
    pub fn count(&mut self, what: &'static str, by: u64) {
        *self.counts.entry(what).or_default() += by;
    }

    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// The same for two runs only if all that was noted in them is.
    pub fn digest(&self) -> u64 {
        self.digest.digest()
    }

    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}
