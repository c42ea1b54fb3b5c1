//! The server as hosts see it: the app stream with its leader, replicas that lag, and times in which nothing is stored.

use bytes::Bytes;

use super::random::Random;
use super::stream::{Stream, value};
use crate::commit::batch::Outcome;
use crate::commit::checkpoint::{NEVER_WRITTEN, Stored};
use crate::commit::hindrance::Hindrance;
use crate::effects::Outgoing;

/// What is wrong with the server at present.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    /// It has no leader: it says so, or says nothing.
    Leaderless,
    /// It has no room.
    Full,
    /// It takes batches of so many messages only.
    Shrunk(usize),
}

/// The server.
pub struct Server {
    pub stream: Stream,
    /// How many of a hundred answers of a replica are old.
    pub lags: u64,
    pub random: Random,
    trouble: Option<Trouble>,
    batch_messages: usize,
}

impl Server {
    pub fn new(batch_messages: usize, lags: u64, random: Random) -> Self {
        Self { stream: Stream::new(batch_messages), lags, random, trouble: None, batch_messages }
    }

    /// Has this be wrong with it from now on.
    pub fn is(&mut self, trouble: Option<Trouble>) {
        self.trouble = trouble;
        self.stream.batch_messages = if let Some(Trouble::Shrunk(most)) = trouble { most } else { self.batch_messages };
    }

    /// Whether it has a leader.
    pub fn answers(&self) -> bool {
        self.trouble != Some(Trouble::Leaderless)
    }

    /// Takes a batch; none if it says nothing.
    pub fn store(&mut self, batch: &[Outgoing]) -> Option<Outcome> {
        match self.trouble {
            Some(Trouble::Leaderless) if self.random.percent(50) => None,
            Some(Trouble::Leaderless) => Some(Outcome::Unavailable(Hindrance::Server, "no leader".to_owned())),
            Some(Trouble::Full) => Some(Outcome::Unavailable(Hindrance::Storage, "no storage left".to_owned())),
            Some(Trouble::Shrunk(_)) | None => Some(self.stream.store(batch)),
        }
    }

    /// The value of a view key, from the leader or from a replica, which may have an old one.
    pub fn view(&mut self, subject: &str, from_leader: bool) -> Result<Stored<Option<Bytes>>, String> {
        if !self.answers() {
            return Err("no leader".to_owned());
        }
        let is_old = !from_leader && self.random.percent(self.lags);
        let before = if is_old { 1 + self.random.index(2) } else { 0 };
        let found = self.stream.get(subject, before);
        Ok(found.map_or(Stored { value: None, revision: NEVER_WRITTEN }, |stored| Stored {
            value: value(&stored.value),
            revision: stored.revision,
        }))
    }
}
