//! The app stream, as a model that answers like a cluster with replicas that lag.

use super::*;

/// The app stream, as far as a commit sees it.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) last: u64,
    /// What was stored on each subject. Nothing is forgotten, so that a replica can answer with what was.
    subjects: HashMap<Arc<str>, Vec<Stored<Outgoing>>>,
    /// The subjects of events and dead letters, in order.
    pub(super) log: Vec<Arc<str>>,
    reads: usize,
}

impl Stream {
    pub(super) fn revision(&self, subject: &str) -> Sequence {
        self.subjects.get(subject).and_then(|stored| stored.last()).map_or(NEVER_WRITTEN, |stored| stored.revision)
    }

    /// Stores all of a batch or nothing.
    pub(super) fn store(&mut self, batch: &[Outgoing]) -> Outcome {
        assert!(batch.len() <= BOUNDS.batch_messages, "{} messages", batch.len());
        let mut written = HashSet::new();
        let mut guards_hold = true;
        for message in batch {
            let header = |wanted| message.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
            let again = !written.insert(&message.subject);
            assert!(!again || (header("Nats-Rollup").is_none() && header(GUARD).is_none()), "{}", message.subject);
            guards_hold &= header(GUARD).is_none_or(|guard| *guard == self.revision(&message.subject).to_string());
        }
        if batch.iter().any(|message| message.payload == POISON) {
            return Outcome::Refused("poison".to_owned());
        }
        if !guards_hold {
            return Outcome::GuardRejected;
        }
        for message in batch {
            self.last += 1;
            let stored = Stored { value: message.clone(), revision: Sequence(self.last) };
            self.subjects.entry(message.subject.clone()).or_default().push(stored);
            if !message.headers.iter().any(|(name, _)| name == "Nats-Rollup") {
                self.log.push(message.subject.clone());
            }
        }
        Outcome::Committed(Sequence(self.last))
    }

    pub(super) fn value(&self, subject: &str) -> Option<&Bytes> {
        Some(&self.subjects.get(subject)?.last()?.value.payload)
    }

    pub(super) fn number(&self, subject: &str) -> u64 {
        self.value(subject).map_or(0, number)
    }

    pub(super) fn checkpoint(&self, lane: u16) -> Stored<Checkpoint> {
        let subject = subjects().checkpoint(&id(lane).module, Generation::default(), lane);
        let value = self.value(&subject).map_or(checkpoint(0, 0), |json| serde_json::from_slice(json).unwrap());
        Stored { value, revision: self.revision(&subject) }
    }

    /// Reads as a direct get does: every third answer of a replica is an old one.
    pub(super) fn read(&mut self, subject: &str, from_leader: bool) -> Stored<Option<Bytes>> {
        self.reads += 1;
        let stored = self.subjects.get(subject).map_or(&[][..], Vec::as_slice);
        let is_old = !from_leader && self.reads.is_multiple_of(3);
        match stored.iter().nth_back(usize::from(is_old)) {
            Some(Stored { value, revision }) => Stored { value: Some(value.payload.clone()), revision: *revision },
            None => Stored { value: None, revision: NEVER_WRITTEN },
        }
    }

    /// All effects of a lane's inputs are stored up to its checkpoint, once, in order, and none beyond.
    pub(super) fn audit(&self, lane: u16) {
        let covered = self.checkpoint(lane).value.covered.0;
        let done = || inputs(lane).filter(|input| *input <= covered);
        let expected: Vec<String> = done().filter_map(|input| tag(lane, input)).collect();
        let of_lane = format!(".m.{lane}.");
        let found: Vec<_> = self.log.iter().map(AsRef::as_ref).filter(|subject| subject.contains(&of_lane)).collect();
        assert_eq!(found, expected, "covered {covered}");
        let counted = || done().filter(|input| kind(*input) == Kind::Counts);
        for key in 0..3 {
            let expected = counted().filter(|input| input % 3 == key).count() as u64;
            assert_eq!(self.number(&view_key(lane, &counter(key))), expected, "covered {covered}");
        }
        assert_eq!(self.number(&view_key(lane, "latest")), counted().last().unwrap_or(0), "covered {covered}");
    }
}

pub(super) fn number(value: &Bytes) -> u64 {
    std::str::from_utf8(value).unwrap().parse().unwrap()
}
