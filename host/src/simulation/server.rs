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
    /// Its leader has lost its majority and does not know: it takes batches, holds guards against them, and says nothing; what
    /// it is asked for is without them. Later they are stored, or some of them, or none.
    Alone,
}

/// The server.
pub struct Server {
    pub stream: Stream,
    /// How many of a hundred answers of a replica are old.
    pub lags: u64,
    pub random: Random,
    trouble: Option<Trouble>,
    /// What the stream would be with the batches that a leader without a majority holds.
    held: Option<Stream>,
    batch_messages: usize,
}

impl Server {
    pub fn new(batch_messages: usize, lags: u64, random: Random) -> Self {
        Self { stream: Stream::new(batch_messages), lags, random, trouble: None, held: None, batch_messages }
    }

    /// Has this be wrong with it from now on.
    pub fn is(&mut self, trouble: Option<Trouble>) {
        self.trouble = trouble;
        self.stream.batch_messages = if let Some(Trouble::Shrunk(most)) = trouble { most } else { self.batch_messages };
        self.held = self.is_alone().then(|| self.stream.clone());
    }

    /// Whether it has a leader.
    pub fn answers(&self) -> bool {
        self.trouble != Some(Trouble::Leaderless)
    }

    /// Whether its leader has no majority, and does not know.
    pub fn is_alone(&self) -> bool {
        self.trouble == Some(Trouble::Alone)
    }

    /// Whether it stores anything.
    pub fn stores(&self) -> bool {
        self.answers() && !self.is_alone()
    }

    /// Takes a batch; none if it says nothing.
    pub fn store(&mut self, batch: &[Outgoing]) -> Option<Outcome> {
        match self.trouble {
            Some(Trouble::Leaderless) if self.random.percent(50) => None,
            Some(Trouble::Leaderless) => Some(Outcome::Unavailable(Hindrance::Server, "no leader".to_owned())),
            Some(Trouble::Full) => Some(Outcome::Unavailable(Hindrance::Storage, "no storage left".to_owned())),
            Some(Trouble::Alone) => {
                let taken = self.held.as_mut()?.store(batch);
                (!matches!(taken, Outcome::Committed(_))).then_some(taken)
            }
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
