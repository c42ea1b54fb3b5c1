//! The app stream as a model: atomic batches under the server's rules, to which `against_server` holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::commit::batch::Outcome;
use crate::commit::checkpoint::{Checkpoint, NEVER_WRITTEN, Stored};
use crate::effects::{GUARD, Outgoing};
use crate::event::Sequence;

/// What a stream holds.
#[derive(Clone)]
pub struct Stream {
    last: u64,
    /// The newest messages on each subject, the last one last: a replica may answer with an earlier one.
    subjects: BTreeMap<Arc<str>, Vec<Stored<Outgoing>>>,
    /// The most messages of a batch.
    pub batch_messages: usize,
}

/// How many messages of a subject are kept for replicas that lag.
const KEPT: usize = 3;

impl Stream {
    pub fn new(batch_messages: usize) -> Self {
        Self { last: 0, subjects: BTreeMap::new(), batch_messages }
    }

    /// Stores all of a batch or nothing. The server looks at one message after the other; the first that breaks a rule
    /// decides.
    pub fn store(&mut self, batch: &[Outgoing]) -> Outcome {
        if batch.len() > self.batch_messages {
            return Outcome::Refused("too many messages".to_owned());
        }
        let mut written = BTreeSet::new();
        for message in batch {
            if let Some(outcome) = self.breaks_a_rule(message, !written.insert(&message.subject)) {
                return outcome;
            }
        }
        batch.iter().for_each(|message| self.keep(message.clone()));
        Outcome::Committed(Sequence(self.last))
    }

    /// What the server says of a message, if it does not take it. `again` if the batch has written its subject before.
    fn breaks_a_rule(&self, message: &Outgoing, again: bool) -> Option<Outcome> {
        if header(message, "Nats-TTL").is_some_and(|ttl| !is_ttl(ttl)) {
            return Some(Outcome::Refused("invalid TTL".to_owned()));
        }
        if let Some(guard) = header(message, GUARD)
            && (again || guard != self.revision(&message.subject).to_string())
        {
            return Some(Outcome::GuardRejected);
        }
        let rollup = header(message, "Nats-Rollup")?;
        (rollup != "sub" || again).then(|| Outcome::Refused("invalid rollup".to_owned()))
    }

    fn keep(&mut self, message: Outgoing) {
        self.last += 1;
        let of_subject = self.subjects.entry(message.subject.clone()).or_default();
        if of_subject.len() == KEPT {
            of_subject.remove(0);
        }
        of_subject.push(Stored { value: message, revision: Sequence(self.last) });
    }

    /// The time of the last message on a subject is up: the server leaves a marker.
    pub fn expire(&mut self, subject: &Arc<str>) {
        let headers = vec![("Nats-Marker-Reason".into(), "MaxAge".to_owned())].into();
        self.keep(Outgoing { subject: subject.clone(), headers, payload: Bytes::new() });
    }

    /// The last message on a subject, as the leader knows it, or so many messages before.
    pub fn get(&self, subject: &str, before: usize) -> Option<&Stored<Outgoing>> {
        self.subjects.get(subject)?.iter().nth_back(before)
    }

    /// Where the last message on a subject stands.
    pub fn revision(&self, subject: &str) -> Sequence {
        self.get(subject, 0).map_or(NEVER_WRITTEN, |stored| stored.revision)
    }

    /// Where its last message stands.
    pub fn last(&self) -> Sequence {
        Sequence(self.last)
    }

    /// The checkpoint on a subject.
    pub fn checkpoint(&self, subject: &str) -> Option<Stored<Checkpoint>> {
        let Stored { value, revision } = self.get(subject, 0)?;
        Some(Stored { value: serde_json::from_slice(&value.payload).unwrap(), revision: *revision })
    }

    /// The subjects that begin so.
    pub fn subjects(&self, beginning: &str) -> Vec<Arc<str>> {
        self.subjects.keys().filter(|subject| subject.starts_with(beginning)).cloned().collect()
    }
}

/// The value of a message's header.
pub fn header<'m>(message: &'m Outgoing, name: &str) -> Option<&'m str> {
    message.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

/// What a reader of a key makes of a message: a deletion or the mark of an expiry is no value.
pub fn value(message: &Outgoing) -> Option<Bytes> {
    let is_deletion = ["KV-Operation", "Nats-Marker-Reason"].iter().any(|name| header(message, name).is_some());
    (!is_deletion).then(|| message.payload.clone())
}

/// Whether the server takes this time to live: for ever, or seconds with or without a unit, from one on.
fn is_ttl(text: &str) -> bool {
    let number = text.trim_end_matches(['s', 'm', 'h']);
    text == "never" || (text.len() - number.len() < 2 && number.parse::<u64>().is_ok_and(|seconds| seconds > 0))
}
