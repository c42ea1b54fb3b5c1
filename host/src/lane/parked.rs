//! Keys that wait behind a dead letter: their later inputs become dead letters too, in order. When the first is replayed or
//! discarded, those that only waited are replayed one after the other, and then the key goes on. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::Sequence;

/// A dead letter in the app stream that parks its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The key.
    pub key: Arc<str>,
    /// The lane that wrote it: another one, if the number of lanes was changed since.
    pub lane: u16,
    /// Its input's position.
    pub sequence: Sequence,
    /// Whether its input did not fail but only waits behind another.
    pub waits: bool,
}

/// The parked keys of one lane.
#[derive(Debug, Default)]
pub struct Parked {
    /// The lane that writes its letters.
    lane: u16,
    keys: BTreeMap<Arc<str>, BTreeMap<Sequence, Entry>>,
    /// How many letters there are.
    letters: usize,
    /// Letters that are not committed yet, in order.
    ahead: VecDeque<(Sequence, Arc<str>)>,
    /// Keys whose first letter may have become one that is to be replayed.
    due: VecDeque<Arc<str>>,
    /// The same, from that time on.
    resting: Vec<(Instant, Arc<str>)>,
    /// Set while what is replayed first may end the host.
    care: Option<Care>,
}

/// How letters are replayed of a lane whose owner ended without a word: what it replayed may be why.
#[derive(Clone, Copy, Debug)]
struct Care {
    /// How many owners ended in a row without getting on.
    ends: u32,
    /// The letter that is replayed, before anything else of the lane.
    first: Option<Sequence>,
}

/// After so many owners that ended in a row, what is replayed first is taken to be why.
pub const ENDS: u32 = 5;

#[derive(Debug)]
struct Entry {
    lane: u16,
    waits: bool,
    /// How often its replay asked for another try.
    attempts: u32,
    place: Place,
    /// Whether somebody looks if it still stands there.
    looked: bool,
}

/// What a lane wants to be done about one of its letters, by the lane that wrote it and its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It is to be replayed, since nothing stands before it any more.
    Replay(u16, Sequence),
    /// Does it still stand there? Others wait behind it, and word of its end may be lost.
    Look(u16, Sequence),
}

/// How soon it is looked again whether a letter still stands that others wait behind.
const LOOK: Duration = Duration::from_secs(30);

/// What is going on with a letter.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// It is on its way into the stream.
    Ahead,
    /// It stands there.
    Stands,
    /// Its replay is under way.
    Runs,
    /// Its replay ran, and its removal is on its way.
    Leaves,
    /// Its replay failed, which is on its way to be written.
    Fails,
}

impl Parked {
    /// The keys of `lane` that these letters park.
    pub fn new(lane: u16, letters: impl IntoIterator<Item = Letter>) -> Self {
        let mut parked = Self { lane, ..Self::default() };
        for Letter { key, lane, sequence, waits } in letters {
            let entry = Entry { lane, waits, attempts: 0, place: Place::Stands, looked: false };
            parked.keys.entry(key).or_default().insert(sequence, entry);
            parked.letters += 1;
        }
        parked.due = parked.keys.keys().cloned().collect();
        parked
    }

    /// The same, of a lane whose last owners ended in a row without a word, so many.
    pub fn with_ends(self, ends: u32) -> Self {
        Self { care: (ends > 0).then_some(Care { ends, first: None }), ..self }
    }

    /// Whether the lane's inputs wait for a replay: if it ends the host, nothing else is to have got on.
    pub fn is_careful(&self) -> bool {
        self.care.is_some_and(|care| care.first.is_some())
    }

    /// How many owners have ended since they replayed this letter, if that is enough to give it up.
    pub fn gives_up(&self, sequence: Sequence) -> Option<u32> {
        self.care.filter(|care| care.first == Some(sequence) && care.ends >= ENDS).map(|care| care.ends)
    }

    /// Something came of a replay.
    fn got_on(&mut self, sequence: Sequence) {
        self.care.take_if(|care| care.first == Some(sequence));
    }

    /// How many letters wait behind others, or failed and have their key wait.
    pub fn len(&self) -> usize {
        self.letters
    }

    /// Whether no key is parked.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The input that a key waits behind, if it does.
    pub fn behind(&self, key: &str) -> Option<Sequence> {
        self.first(key).map(|(sequence, _)| sequence)
    }

    /// The first letter of a key that does not leave.
    fn first(&self, key: &str) -> Option<(Sequence, &Entry)> {
        // Mostly there is none, and this is asked for each input.
        if self.keys.is_empty() {
            return None;
        }
        let mut letters = self.keys.get(key)?.iter();
        letters.find(|(_, entry)| entry.place != Place::Leaves).map(|(sequence, entry)| (*sequence, entry))
    }

    fn entry(&mut self, key: &str, sequence: Sequence) -> Option<&mut Entry> {
        self.keys.get_mut(key)?.get_mut(&sequence)
    }

    /// An input becomes a letter, which is on its way: since it failed, or since it waits behind another.
    pub fn park(&mut self, key: Arc<str>, sequence: Sequence, waits: bool) {
        let entry = Entry { lane: self.lane, waits, attempts: 0, place: Place::Ahead, looked: false };
        self.keys.entry(key.clone()).or_default().insert(sequence, entry);
        self.letters += 1;
        self.ahead.push_back((sequence, key));
    }

    /// Everything up to `covered` is committed.
    pub fn committed(&mut self, covered: Sequence) {
        while let Some((sequence, key)) = self.ahead.pop_front_if(|(sequence, _)| *sequence <= covered) {
            if let Some(entry) = self.entry(&key, sequence).filter(|entry| entry.place == Place::Ahead) {
                entry.place = Place::Stands;
            }
            self.due.push_back(key);
        }
    }

    /// What is to be done now about a letter. Tell what comes of it.
    pub fn next(&mut self, now: Instant) -> Option<Wanted> {
        if self.is_careful() {
            return None;
        }
        let (rested, resting) = std::mem::take(&mut self.resting).into_iter().partition(|(until, _)| *until <= now);
        self.resting = resting;
        let rested: Vec<(Instant, Arc<str>)> = rested;
        self.due.extend(rested.into_iter().map(|(_, key)| key));
        while let Some(key) = self.due.pop_front() {
            let first = self.first(&key).filter(|(_, entry)| entry.place == Place::Stands);
            let Some(sequence) = first.map(|(sequence, _)| sequence) else { continue };
            if self.resting.iter().any(|(_, resting)| *resting == key) {
                continue;
            }
            let is_waited_for = self.keys.get(&key).is_some_and(|letters| letters.len() > 1);
            let Some(entry) = self.entry(&key, sequence) else { continue };
            if entry.waits {
                entry.place = Place::Runs;
                let written = entry.lane;
                self.care.iter_mut().for_each(|care| care.first = Some(sequence));
                return Some(Wanted::Replay(written, sequence));
            }
            if is_waited_for && !std::mem::replace(&mut entry.looked, true) {
                return Some(Wanted::Look(entry.lane, sequence));
            }
        }
        // Nothing is replayed that may be why.
        self.care = None;
        None
    }

    /// A letter that was looked at still stands there.
    pub fn stands(&mut self, sequence: Sequence, now: Instant) {
        let of = self.keys.iter_mut().find_map(|(key, letters)| Some((key, letters.get_mut(&sequence)?)));
        if let Some((key, entry)) = of {
            entry.looked = false;
            self.resting.push((now + LOOK, key.clone()));
        }
    }

    /// When [`next`](Self::next) may have another, if nothing else happens.
    pub fn wakes(&self) -> Option<Instant> {
        self.resting.iter().map(|(until, _)| *until).min()
    }

    /// Begins the replay of a letter that an operator asked for; or names the one that stands before it.
    pub fn replays(&mut self, key: &str, sequence: Sequence) -> Result<(), Sequence> {
        match self.behind(key) {
            Some(first) if first < sequence => Err(first),
            _ => {
                if let Some(entry) = self.entry(key, sequence) {
                    entry.place = Place::Runs;
                }
                Ok(())
            }
        }
    }

    /// A replay ran, and what it gave is on its way, with the letter's removal. The next one of its key may follow.
    pub fn ran(&mut self, key: &Arc<str>, sequence: Sequence) {
        if let Some(entry) = self.entry(key, sequence) {
            entry.place = Place::Leaves;
            self.resting.retain(|(_, resting)| resting != key);
            self.due.push_back(key.clone());
        }
    }

    /// A replay that an operator asked for failed: the letter stays as it is.
    pub fn stays(&mut self, key: &str, sequence: Sequence) {
        self.got_on(sequence);
        if let Some(entry) = self.entry(key, sequence) {
            entry.place = Place::Stands;
        }
    }

    /// A replay is to be tried again after a pause; gives how often it was tried, if this try counts.
    pub fn rests(&mut self, key: &Arc<str>, sequence: Sequence, until: Instant, counts: bool) {
        self.got_on(sequence);
        if let Some(entry) = self.entry(key, sequence) {
            entry.place = Place::Stands;
            entry.attempts += u32::from(counts);
            self.resting.push((until, key.clone()));
        }
    }

    /// How often the replay of a letter was tried that counts.
    pub fn attempts(&self, key: &str, sequence: Sequence) -> u32 {
        self.keys.get(key).and_then(|letters| letters.get(&sequence)).map_or(0, |entry| entry.attempts)
    }

    /// A letter that only waited failed itself, and that it did is on its way.
    pub fn fails(&mut self, key: &str, sequence: Sequence) {
        if let Some(entry) = self.entry(key, sequence) {
            entry.place = Place::Fails;
        }
    }

    /// What [`ran`](Self::ran) or [`fails`](Self::fails) told of a letter is committed.
    pub fn settled(&mut self, key: &str, sequence: Sequence) {
        let lane = self.lane;
        self.got_on(sequence);
        match self.entry(key, sequence) {
            Some(entry) if entry.place == Place::Fails => {
                *entry = Entry { lane, waits: false, attempts: 0, place: Place::Stands, looked: false };
            }
            Some(entry) if entry.place == Place::Leaves => self.remove(key, sequence),
            Some(_) | None => {}
        }
    }

    /// A letter is not there any more: an operator threw it away.
    pub fn gone(&mut self, sequence: Sequence) {
        self.got_on(sequence);
        let of = self.keys.iter().find(|(_, letters)| letters.contains_key(&sequence)).map(|(key, _)| key.clone());
        if let Some(key) = of {
            self.remove(&key, sequence);
            self.resting.retain(|(_, resting)| *resting != key);
            self.due.push_back(key);
        }
    }

    /// A letter cannot be replayed by the lane: its key waits for an operator.
    pub fn stuck(&mut self, sequence: Sequence) {
        self.got_on(sequence);
        let mut letters = self.keys.values_mut().filter_map(|letters| letters.get_mut(&sequence));
        if let Some(entry) = letters.next() {
            (entry.waits, entry.place) = (false, Place::Stands);
        }
    }

    fn remove(&mut self, key: &str, sequence: Sequence) {
        if let Some(letters) = self.keys.get_mut(key) {
            self.letters -= usize::from(letters.remove(&sequence).is_some());
            if letters.is_empty() {
                self.keys.remove(key);
            }
        }
    }

    /// The lane begins again behind `covered`: what it did ahead of the commit counts for nothing.
    pub fn reset(&mut self, covered: Sequence) {
        self.committed(covered);
        self.ahead.clear();
        for letters in self.keys.values_mut() {
            letters.retain(|sequence, entry| entry.place != Place::Ahead || *sequence <= covered);
            letters.values_mut().for_each(|entry| entry.place = Place::Stands);
        }
        self.keys.retain(|_, letters| !letters.is_empty());
        self.letters = self.keys.values().map(BTreeMap::len).sum();
        self.resting.clear();
        self.care.iter_mut().for_each(|care| care.first = None);
        self.due = self.keys.keys().cloned().collect();
    }
}

#[cfg(test)]
mod tests;
