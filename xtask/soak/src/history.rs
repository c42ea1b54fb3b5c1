//! The checkpoints and records of the app stream as they were written, gathered while they are. Pure.

use std::collections::BTreeMap;

use anyhow::Result;
use pelton_tests::oracle::positions::Written;
use serde::Deserialize;

use crate::journal::Stamp;

/// All that was seen.
#[derive(Debug, Default)]
pub struct History {
    /// The last message seen.
    pub last: u64,
    /// Lanes of each module.
    lanes: BTreeMap<String, u16>,
    /// Each lane's checkpoints.
    checkpoints: BTreeMap<(String, u16), Vec<Seen>>,
    /// Lanes that were taken from hosts that had not released them.
    pub takeovers: u64,
    /// Lanes that were taken after they had been released.
    pub handed_over: u64,
}

/// A checkpoint, where and when it was stored.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub sequence: u64,
    pub at: Stamp,
    /// How many lanes the module had.
    pub lanes: u16,
    pub covered: u64,
    /// A digest of its owner, if it has one.
    owner: Option<u64>,
}

#[derive(Deserialize)]
struct Record {
    lanes: u16,
}

#[derive(Deserialize)]
struct Checkpoint {
    covered: u64,
    owner: Option<String>,
}

impl History {
    /// What is gathered.
    pub const SUBJECTS: [&str; 2] = ["pelton.demo.ckpt.>", "pelton.demo.module.>"];

    /// Takes a message in.
    pub fn take(&mut self, sequence: u64, at: Stamp, subject: &str, payload: &[u8]) -> Result<()> {
        // A reader that begins anew may see one twice.
        if sequence <= self.last {
            return Ok(());
        }
        self.last = sequence;
        let mut tokens = subject.split('.').skip(2);
        match (tokens.next(), tokens.next(), tokens.nth(1).and_then(|lane| lane.parse().ok())) {
            (Some("module"), Some(module), None) => {
                let record: Record = serde_json::from_slice(payload)?;
                self.lanes.insert(module.to_owned(), record.lanes);
            }
            (Some("ckpt"), Some(module), Some(lane)) => {
                self.checkpoint(module, lane, sequence, at, &serde_json::from_slice(payload)?);
            }
            _ => (),
        }
        Ok(())
    }

    fn checkpoint(&mut self, module: &str, lane: u16, sequence: u64, at: Stamp, checkpoint: &Checkpoint) {
        let lanes = self.lanes.get(module).copied().unwrap_or_default();
        let owner = checkpoint.owner.as_deref().map(digest);
        let covered = checkpoint.covered;
        let of_lane = self.checkpoints.entry((module.to_owned(), lane)).or_default();
        let before = of_lane.last().and_then(|seen| seen.owner);
        match (before, owner) {
            (Some(before), Some(after)) if before != after => self.takeovers += 1,
            (None, Some(_)) => self.handed_over += 1,
            _ => (),
        }
        of_lane.push(Seen { sequence, at, lanes, covered, owner });
    }

    /// Up to where all lanes of a module are done; none before all of them were seen.
    pub fn covered(&self, module: &str) -> Option<u64> {
        let lanes = self.lanes.get(module).copied()?;
        let last = |lane| self.checkpoints.get(&(module.to_owned(), lane))?.last().map(|seen| seen.covered);
        (0..lanes).map(last).min()?
    }

    /// A lane's checkpoints.
    pub fn of_lane(&self, module: &str, lane: u16) -> &[Seen] {
        self.checkpoints.get(&(module.to_owned(), lane)).map(Vec::as_slice).unwrap_or_default()
    }

    /// All checkpoints of a module, for the oracle.
    pub fn written(&self, module: &str) -> Vec<Written> {
        let of_module = self.checkpoints.iter().filter(|((of, _), _)| of == module);
        let written = of_module.flat_map(|((_, lane), seen)| {
            let as_written = |seen: &Seen| {
                let Seen { sequence, lanes, covered, .. } = *seen;
                Written { sequence, lane: *lane, lanes, covered }
            };
            seen.iter().map(as_written)
        });
        // Those of lanes that are no more.
        written.filter(|written| written.lane < written.lanes).collect()
    }
}

/// Tells owners apart.
fn digest(owner: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    owner.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(messages: &[(&str, &str)]) -> Result<History> {
        let mut history = History::default();
        for (sequence, (subject, payload)) in (1..).zip(messages) {
            history.take(sequence, 0, subject, payload.as_bytes())?;
        }
        Ok(history)
    }

    #[test]
    fn a_module_is_as_far_as_its_last_lane() -> Result<()> {
        let one =
            [("pelton.demo.module.m", r#"{"lanes":2}"#), ("pelton.demo.ckpt.m.1.0", r#"{"position":4,"covered":5}"#)];
        assert_eq!(seen(&one)?.covered("m"), None);
        let both = [&one[..], &[("pelton.demo.ckpt.m.1.1", r#"{"position":2,"covered":3}"#)]].concat();
        let history = seen(&both)?;
        assert_eq!(history.covered("m"), Some(3));
        let written = history.written("m");
        assert_eq!(written.last(), Some(&Written { sequence: 3, lane: 1, lanes: 2, covered: 3 }));
        Ok(())
    }

    #[test]
    fn a_lane_that_is_taken_from_its_owner_is_a_takeover_and_one_that_nobody_had_is_handed_over() -> Result<()> {
        let by = |owner: &str| format!(r#"{{"position":0,"covered":0{owner}}}"#);
        let owners = ["", r#","owner":"a""#, r#","owner":"a""#, r#","owner":"b""#, "", r#","owner":"a""#].map(by);
        let messages: Vec<_> = owners.iter().map(|owner| ("pelton.demo.ckpt.m.1.0", owner.as_str())).collect();
        let history = seen(&messages)?;
        assert_eq!((history.takeovers, history.handed_over), (1, 2));
        Ok(())
    }
}
