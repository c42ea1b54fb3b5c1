//! Decides whether what stands in the streams is what the inputs must have caused. Pure: knows no NATS.
//!
//! The input stream is the truth of what was input, whatever its producers believe. Each input has its effects (I1), once
//! (I2), and those of a key follow each other as its inputs do (I3): an event carries a hash over all inputs of its key
//! that were done before. What an input says that it needs may make it a dead letter first; its replay has the effects,
//! and comes at any time after.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use chain::{Link, needs};
use uuid::Uuid;

use crate::stored::Stored;

/// What the streams hold.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The input stream.
    pub inputs: Vec<Stored>,
    /// When it was created, as event ids have it.
    pub created: String,
    /// The events that the module `oracle` emitted.
    pub events: Vec<Stored>,
    /// Its view.
    pub chain: BTreeMap<String, Link>,
    /// The view of the module `fold`, which folds those events.
    pub fold: BTreeMap<String, Link>,
    /// The dead letters of both modules: module and position of the input.
    pub letters: BTreeSet<(String, u64)>,
}

/// What was found right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Inputs.
    pub inputs: usize,
    /// Events.
    pub events: usize,
    /// Inputs that were done when their dead letters were replayed.
    pub replayed: usize,
    /// Dead letters that are left.
    pub letters: usize,
}

impl fmt::Display for Seen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} inputs, {} events, each once", self.inputs, self.events)
    }
}

/// Which promise is broken, and by what: `I2: input 7 has effects twice`.
pub type Violations = Vec<String>;

/// Judges all of it.
pub fn judge(found: &Found) -> Result<Seen, Violations> {
    let mut seen = Seen { inputs: found.inputs.len(), events: found.events.len(), ..Seen::default() };
    let (mut wrong, mut done, mut chains) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    let mut inputs = grouped(&found.inputs);
    let events = grouped(&found.events);
    for key in inputs.keys().chain(events.keys()).copied().collect::<BTreeSet<_>>() {
        let of_key = inputs.remove(key).unwrap_or_default();
        let mut walk = Walk::new(key, &of_key, &found.created);
        let result = walk.follow(events.get(key).map(Vec::as_slice).unwrap_or_default());
        wrong.extend(result.err());
        seen.replayed += walk.replayed;
        done.extend(walk.done);
        if walk.link != Link::default() {
            chains.insert(key.to_owned(), walk.link);
        }
    }
    let letters = found.letters.iter().filter(|(module, _)| module == "oracle").map(|(_, input)| *input);
    let letters: BTreeSet<u64> = letters.collect();
    seen.letters = letters.len();
    wrong.extend(without_effect(&found.inputs, &done, &letters));
    wrong.extend(letters.intersection(&done).map(|input| format!("I2: input {input} has effects and a dead letter")));
    let of_fold = found.letters.iter().filter(|(module, _)| module != "oracle");
    wrong.extend(of_fold.map(|(module, input)| format!("I1: {module} has a dead letter for {input}, which is good")));
    wrong.extend(same("chain", &found.chain, &chains));
    wrong.extend(same("fold", &found.fold, &folded(&found.events)));
    if wrong.is_empty() { Ok(seen) } else { Err(wrong) }
}

/// Inputs that have neither effects nor a dead letter, and dead letters that no input asked for.
fn without_effect(inputs: &[Stored], done: &BTreeSet<u64>, letters: &BTreeSet<u64>) -> Violations {
    let mut wrong = Vec::new();
    for input in inputs {
        let (sequence, key) = (input.sequence, input.key());
        match (done.contains(&sequence), letters.contains(&sequence)) {
            (false, false) => {
                wrong.push(format!("I1: input {sequence} of {key} has neither effects nor a dead letter"))
            }
            (false, true) if needs(&input.payload) == 0 => {
                wrong.push(format!("I1: input {sequence} of {key} is a dead letter and should have effects"));
            }
            _ => (),
        }
    }
    let known: BTreeSet<u64> = inputs.iter().map(|input| input.sequence).collect();
    wrong.extend(letters.difference(&known).map(|letter| format!("I1: a dead letter for {letter}, which is no input")));
    wrong
}

fn grouped(messages: &[Stored]) -> BTreeMap<&str, Vec<&Stored>> {
    let mut groups = BTreeMap::<&str, Vec<&Stored>>::new();
    messages.iter().for_each(|message| groups.entry(message.key()).or_default().push(message));
    groups
}

fn same(view: &str, found: &BTreeMap<String, Link>, expected: &BTreeMap<String, Link>) -> Violations {
    let keys: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let differing = keys.into_iter().filter(|key| found.get(*key) != expected.get(*key));
    let told = |key: &String| {
        let (found, expected) = (found.get(key), expected.get(key));
        format!("I3: the view {view} has {found:?} under {key} instead of {expected:?}")
    };
    differing.map(told).collect()
}

fn folded(events: &[Stored]) -> BTreeMap<String, Link> {
    let mut fold = BTreeMap::<String, Link>::new();
    for event in events {
        let chain = fold.entry(event.key().to_owned()).or_default();
        *chain = chain.next(event.sequence, &event.payload);
    }
    fold
}

/// The input that an event came from.
pub fn input_of(event: &Stored) -> Option<u64> {
    event.header("Pelton-Input").strip_prefix("IN:")?.parse().ok()
}

/// The walk along the events of one key.
struct Walk<'a> {
    key: &'a str,
    created: &'a str,
    inputs: BTreeMap<u64, &'a Stored>,
    /// Inputs that are done in order, and have not been yet.
    waiting: VecDeque<u64>,
    link: Link,
    done: BTreeSet<u64>,
    replayed: usize,
}

impl<'a> Walk<'a> {
    fn new(key: &'a str, inputs: &[&'a Stored], created: &'a str) -> Self {
        let waiting = inputs.iter().filter(|input| needs(&input.payload) == 0).map(|input| input.sequence).collect();
        let inputs = inputs.iter().map(|input| (input.sequence, *input)).collect();
        let (link, done) = (Link::default(), BTreeSet::new());
        Self { key, created, inputs, waiting, link, done, replayed: 0 }
    }

    /// Follows the events until one is wrong: those behind it say nothing more.
    fn follow(&mut self, mut events: &[&Stored]) -> Result<(), String> {
        while let Some(event) = events.first() {
            let input = input_of(event).ok_or_else(|| format!("I2: an event of {} names no input", self.key))?;
            let count = self.step(input, events)?;
            events = events.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Takes the next input to be `sequence`; says how many events are its.
    fn step(&mut self, sequence: u64, events: &[&Stored]) -> Result<usize, String> {
        let key = self.key;
        let input = self.inputs.get(&sequence).copied();
        let input =
            input.ok_or_else(|| format!("I2: key {key} has an effect of {sequence}, which is no input of it"))?;
        if !self.done.insert(sequence) {
            return Err(format!("I2: input {sequence} of {key} has effects twice"));
        }
        let next = self.link.next(sequence, &input.payload);
        self.in_order(input, &next)?;
        let kinds: &[&str] = if sequence.is_multiple_of(2) { &["step", "echo"] } else { &["step"] };
        for (index, kind) in kinds.iter().enumerate() {
            let event = events.get(index).filter(|event| input_of(event) == Some(sequence));
            let event = event.ok_or_else(|| format!("I1: input {sequence} of {key} has but {index} of its events"))?;
            self.is_its(event, sequence, index, kind, &next)?;
        }
        self.link = next;
        Ok(kinds.len())
    }

    /// Checks that whatever comes before the input was done, and that it was accepted rightly.
    fn in_order(&mut self, input: &Stored, next: &Link) -> Result<(), String> {
        let (key, sequence, needs) = (self.key, input.sequence, needs(&input.payload));
        if needs == 0 {
            let expected = self.waiting.pop_front();
            let told = || format!("I3: key {key} did input {sequence} where {expected:?} was next");
            return if expected == Some(sequence) { Ok(()) } else { Err(told()) };
        }
        self.replayed += 1;
        if self.waiting.front().is_some_and(|first| *first < sequence) {
            return Err(format!("I3: key {key} did input {sequence} before {:?}", self.waiting.front()));
        }
        if next.count <= needs {
            return Err(format!(
                "I3: key {key} did input {sequence} as its {}, which needs {needs} before",
                next.count
            ));
        }
        Ok(())
    }

    fn is_its(&self, event: &Stored, sequence: u64, index: usize, kind: &str, link: &Link) -> Result<(), String> {
        let id = format!("pelton/demo/oracle/IN/{}/{sequence}/{index}", self.created);
        let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, id.as_bytes()).to_string();
        let of =
            |what: &str| format!("event {} of input {sequence} of {} has another {what}", event.sequence, self.key);
        if event.header("ce-id") != id {
            return Err(format!("I2: {}", of("id")));
        }
        if event.header("ce-type") != kind {
            return Err(format!("I2: {}", of("type")));
        }
        let data = serde_json::from_slice::<Link>(&event.payload).ok();
        if data.as_ref() != Some(link) {
            return Err(format!("I3: {}: {data:?} instead of {link:?}", of("chain")));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
