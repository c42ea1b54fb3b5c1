//! What happened when: faults, acts, and what they led to, in the order in which they came.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Nanoseconds since 1970. Servers and soak are on one machine, so their stamps compare.
pub type Stamp = i128;

/// Now.
pub fn now() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(Stamp::MAX)
}

/// What happened.
pub struct Journal {
    begin: Instant,
    entries: Mutex<Entries>,
}

/// What is noted.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// How often each kind of thing happened.
    pub counts: BTreeMap<String, u64>,
    /// From when to when something was not as it should be.
    pub troubled: Vec<(Stamp, Stamp)>,
    /// Everything, in words.
    pub lines: Vec<String>,
}

impl Journal {
    /// Begins now.
    pub fn new() -> Self {
        Self { begin: Instant::now(), entries: Mutex::default() }
    }

    /// When it began.
    pub fn begin(&self) -> Instant {
        self.begin
    }

    /// Notes in words what happens, and shows it.
    pub fn say(&self, text: &str) {
        let line = format!("{:7.1} s  {text}", self.begin.elapsed().as_secs_f64());
        println!("{line}");
        self.note(|entries| entries.lines.push(line));
    }

    /// Counts something of that kind.
    pub fn count(&self, kind: &str, many: u64) {
        self.note(|entries| *entries.counts.entry(kind.to_owned()).or_default() += many);
    }

    /// Notes that something was not as it should be from then until now.
    pub fn trouble(&self, since: Stamp) {
        self.note(|entries| entries.troubled.push((since, now())));
    }

    /// All that is noted.
    pub fn entries(&self) -> Entries {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, noted: impl FnOnce(&mut Entries)) {
        noted(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
