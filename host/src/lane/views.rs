//! The views of one lane's module, as its guest sees them: what it wrote itself, committed or not, before what the app
//! stream holds.
//!
//! Since each view key belongs to one lane, what the lane has seen or written stays true until the lane is reset.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::commit::checkpoint::{NEVER_WRITTEN, Stored};
use crate::commit::{Revision, Write};
use crate::effects::{CheckedWrite, Grants, Origin, Violation};

/// Reads a subject of the app stream: from the leader if the flag says so, else from any replica.
pub type Fetch = Arc<dyn Fn(&str, bool) -> Result<Stored<Option<Bytes>>, String> + Send + Sync>;

/// Why a guest gets no answer.
#[derive(Debug)]
pub enum GetError {
    /// It asked for what it may not have.
    Violation(Violation),
    /// NATS did not answer.
    Unavailable(String),
}

/// What a guest gets.
#[derive(Debug, PartialEq)]
pub struct Got {
    /// The value; none if the key has none.
    pub value: Option<Bytes>,
    /// Whether the app stream had to be asked.
    pub from_stream: bool,
}

/// What an entry takes besides its key and value, roughly.
const ENTRY: usize = 128;

/// One lane's views.
pub struct Views {
    origin: Arc<Origin>,
    grants: Arc<Grants>,
    fetch: Fetch,
    /// Keys used lately.
    recent: HashMap<Arc<str>, Entry>,
    recent_bytes: usize,
    /// The most bytes of these, and of those used before.
    half: usize,
    /// Keys used before those: dropped when `recent` is full, unless a write is on its way.
    older: HashMap<Arc<str>, Entry>,
    /// Whether the lane's keys are all here, so that a key that is not was never written. The guard of a write that
    /// builds on it makes this safe.
    complete: bool,
    /// Whether to read from the leader: after a rejection, since a direct get may be what was stale.
    from_leader: bool,
}

#[derive(Clone, Debug)]
struct Entry {
    value: Option<Bytes>,
    revision: Revision,
    /// Whether the guest has read it: then its next write is guarded.
    read: bool,
}

impl Views {
    /// The views of a lane of the module of `origin`, read by `fetch`; about `bytes` of them are kept in memory. `complete` if the lane never ran
    /// before, so that it has written nothing.
    pub fn new(origin: Arc<Origin>, grants: Arc<Grants>, fetch: Fetch, complete: bool, bytes: usize) -> Self {
        let (recent, older, half) = (HashMap::new(), HashMap::new(), bytes / 2);
        Self { origin, grants, fetch, recent, recent_bytes: 0, half, older, complete, from_leader: false }
    }

    /// The value of `key` in `view`, for the event with the key `event_key`.
    pub fn get(&mut self, view: &str, key: &str, event_key: &str) -> Result<Got, GetError> {
        let view = self.grants.view(view, key, event_key).map_err(GetError::Violation)?;
        let subject = self.origin.subjects.view_value(view, self.origin.generation, key);
        let known = self.recall(&subject);
        let from_stream = known.is_none() && !self.complete;
        let mut entry = match known {
            Some(entry) => entry,
            None if self.complete => Entry { value: None, revision: Revision::known(NEVER_WRITTEN), read: true },
            None => {
                let stored = (self.fetch)(&subject, self.from_leader).map_err(GetError::Unavailable)?;
                Entry { value: stored.value, revision: Revision::known(stored.revision), read: true }
            }
        };
        entry.read = true;
        let value = entry.value.clone();
        self.remember(subject.into(), entry);
        Ok(Got { value, from_stream })
    }

    /// Notes a write, and makes it ready to be committed.
    pub fn put(&mut self, write: CheckedWrite) -> Write {
        let known = self.recall(&write.subject);
        let (revision, guarded) = known.map_or((Revision::unknown(), false), |entry| (entry.revision, entry.read));
        let entry = Entry { value: write.value.clone(), revision: revision.clone(), read: guarded };
        self.remember(write.subject.clone(), entry);
        Write { write, revision, guarded }
    }

    /// How many keys are remembered.
    pub fn len(&self) -> usize {
        self.recent.len() + self.older.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything: what was computed ahead is void.
    pub fn forget(&mut self) {
        self.recent.clear();
        self.older.clear();
        self.recent_bytes = 0;
        self.complete = false;
        self.from_leader = true;
    }

    fn recall(&mut self, subject: &str) -> Option<Entry> {
        self.recent.get(subject).cloned().or_else(|| self.older.remove(subject))
    }

    fn remember(&mut self, subject: Arc<str>, entry: Entry) {
        self.recent_bytes += ENTRY + subject.len() + entry.value.as_ref().map_or(0, Bytes::len);
        self.recent.insert(subject, entry);
        if self.recent_bytes > self.half {
            self.age();
        }
    }

    /// Makes the recent keys the older ones. Older ones go, except those whose write is not committed yet.
    fn age(&mut self) {
        let dropped = std::mem::replace(&mut self.older, std::mem::take(&mut self.recent));
        self.recent_bytes = 0;
        for (subject, entry) in dropped {
            if entry.revision.is_shared() {
                self.older.insert(subject, entry);
            } else {
                self.complete = false;
            }
        }
    }
}

#[cfg(test)]
mod tests;
