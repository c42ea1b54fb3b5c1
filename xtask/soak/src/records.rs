//! What hosts hold, once a second: resident memory, file handles, threads.

use std::{fs, io::Write, path::PathBuf, time::Duration};

use anyhow::Result;

use crate::{fleet::Fleet, journal::Journal};

/// What a process holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Held {
    /// Resident memory in KiB.
    pub memory: u64,
    /// Open file handles.
    pub handles: u64,
    /// Threads, which come and go with guests that run at the same time.
    pub threads: u64,
}

/// A look at a host.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Since the beginning.
    pub at: Duration,
    pub host: usize,
    pub held: Held,
}

/// All that was seen.
pub struct Records {
    pub samples: Vec<Sample>,
    begin: std::time::Instant,
    file: fs::File,
}

impl Records {
    /// Records that go to a file, too.
    pub fn new(path: PathBuf, journal: &Journal) -> Result<Self> {
        let mut file = fs::File::create(path)?;
        writeln!(file, "seconds,host,start,memory_kib,handles,threads")?;
        Ok(Self { samples: Vec::new(), begin: journal.begin(), file })
    }

    /// Looks at all hosts that run.
    pub fn look(&mut self, fleet: &Fleet) -> Result<()> {
        let at = self.begin.elapsed();
        for (host, start, process) in fleet.processes() {
            // One that has just ended has nothing to be looked at.
            let Some(held) = held(process) else { continue };
            let Held { memory, handles, threads } = held;
            writeln!(self.file, "{:.1},{host},{start},{memory},{handles},{threads}", at.as_secs_f64())?;
            self.samples.push(Sample { at, host, held });
        }
        Ok(())
    }
}

/// What a process holds, as Linux tells; none where it does not.
pub fn held(process: u32) -> Option<Held> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
    };
    let handles = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count() as u64;
    Some(Held { memory: field("VmRSS")?, handles, threads: field("Threads")? })
}

/// The middle of some numbers.
pub fn median(mut numbers: Vec<u64>) -> Option<u64> {
    numbers.sort_unstable();
    numbers.get(numbers.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_can_look_at_itself() {
        let before = held(std::process::id()).expect("this process runs");
        let more: Vec<_> = (0..20).map(|_| fs::File::open("/dev/null").expect("there is one")).collect();
        let after = held(std::process::id()).expect("this process runs");
        assert!(before.memory > 0 && before.threads > 0 && after.handles >= more.len() as u64, "{before:?} {after:?}");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![9, 1, 5]), Some(5));
        assert_eq!(median(vec![]), None);
    }
}
