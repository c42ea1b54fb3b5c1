//! Goes through a module's inputs in order, runs each again, and compares what comes of it with what is stored.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use xxhash_rust::xxh64::xxh64;

use super::history::{History, Replay};
use super::judge::{Letter, Made, Seen, Stored, Verdict, judge, print_of_stored};
use super::report::{Difference, Kind, Report};
use super::rerun::{Ran, Rerun, failed};
use crate::commit::record::Scaled;
use crate::effects::CheckedWrite;
use crate::event::{Delivery, Message, Sequence};
use crate::lane::dedupe::Dedupe;
use crate::policy::Failure;
use crate::source::range::Range;
use crate::source::{self, Decoded, InputStream, Routing};

/// What is gone through.
pub struct Walk {
    /// The input stream.
    pub stream: InputStream,
    /// How the module's inputs are found.
    pub routing: Routing,
    /// Its past.
    pub history: History,
    /// What runs them again.
    pub rerun: Rerun,
    /// Its dead letters that stand.
    pub letters: BTreeMap<Sequence, Letter>,
    /// The messages of its input stream, in order.
    pub inputs: Range,
    /// All emitted events of the app, in order.
    pub events: Range,
    /// What its own events name as their source.
    pub source: String,
    /// The inputs behind this one are verified; those before tell what repeats them.
    pub behind: Sequence,
    /// Up to this one.
    pub to: Sequence,
    /// How far each lane is.
    pub covered: Vec<Sequence>,
    /// How far the lanes were that it had before.
    pub scaled: Vec<Scaled>,
    /// Whether messages were removed among those that are left.
    pub has_holes: bool,
    /// How far apart repeats are recognised.
    pub dedupe: Option<Duration>,
    /// Only inputs of this key.
    pub key: Option<String>,
    /// The most differences that are kept.
    pub most: usize,
    /// What was found so far.
    pub report: Report,
    /// Where it is.
    pub state: State,
}

/// What is remembered on the way.
#[derive(Default)]
pub struct State {
    /// Events that were read and not compared yet, by input.
    shelf: BTreeMap<Sequence, Vec<Seen>>,
    /// Inputs of which nothing is said.
    passed: HashSet<Sequence>,
    repeats: HashMap<u16, Dedupe>,
    /// The plugin that a lane has come to.
    floors: HashMap<u16, usize>,
    /// Where the last events of a lane stand, or of a key if lanes were changed.
    order: HashMap<u64, Sequence>,
}

/// What a plugin makes of an input, compared.
struct Tried {
    verdict: Verdict,
    made: Made,
    writes: Vec<CheckedWrite>,
    /// Whether what is stored says that it had no effects.
    had_none: bool,
}

impl Walk {
    /// Goes through all of it. What is left to be compared then is the values of views.
    pub async fn run(mut self) -> Result<(Report, Rerun), source::Error> {
        let mut last = None;
        while let Some(message) = self.inputs.next().await? {
            let sequence = message.sequence;
            if self.has_holes && last.is_some_and(|last: Sequence| last.next() != sequence) {
                self.rerun.values().lose_all();
            }
            last = Some(sequence);
            let decoded = Decoded::new(self.stream.name(), Arc::new(message));
            if let Some((lane, input)) = decoded.route(&self.routing) {
                self.replay_before(sequence).await?;
                self.take(lane, &input).await?;
            }
        }
        self.replay_before(self.to.next()).await?;
        self.strays().await?;
        Ok((self.report, self.rerun))
    }

    /// Takes the next input of the module.
    async fn take(&mut self, lane: u16, input: &Delivery) -> Result<(), source::Error> {
        let sequence = input.sequence();
        let (window, lanes) = (self.dedupe, self.routing.lanes);
        let repeats = window.is_some_and(|window| {
            self.state.repeats.entry(lane).or_insert_with(|| Dedupe::new(window, lanes)).is_repeat(input)
        });
        if sequence <= self.behind {
            return Ok(());
        }
        let is_other = self.key.as_ref().is_some_and(|key| key != input.lane_key());
        if is_other || !self.is_done(lane, input) {
            self.state.passed.insert(sequence);
            return Ok(());
        }
        if repeats {
            self.report.inputs += 1;
            self.report.repeats += 1;
            return Ok(());
        }
        let letter = self.letters.remove(&sequence);
        let set_aside = self.history.gone.contains(&sequence);
        self.verify(lane, input, Stored { events: Vec::new(), letter, set_aside }, None).await
    }

    fn is_done(&self, lane: u16, input: &Delivery) -> bool {
        let covered = self.covered.get(usize::from(lane)).copied().unwrap_or_default();
        let (key, sequence) = (input.lane_key(), input.sequence());
        sequence <= covered || self.scaled.iter().any(|before| before.did(key, sequence))
    }

    /// Runs dead letters again that were run before the input at `sequence`.
    async fn replay_before(&mut self, sequence: Sequence) -> Result<(), source::Error> {
        let is_due = |replay: &mut Replay| replay.behind.unwrap_or(replay.sequence) < sequence;
        while let Some(replay) = self.history.replays.pop_front_if(is_due) {
            if replay.behind.is_none_or(|behind| behind >= self.behind) {
                self.replay(&replay).await?;
            }
        }
        Ok(())
    }

    async fn replay(&mut self, replay: &Replay) -> Result<(), source::Error> {
        let Some(message) = self.stream.message(replay.sequence).await? else {
            self.rerun.values().lose_all();
            self.state.passed.insert(replay.sequence);
            self.report.unclear("was run again, and is not in its stream any more".to_owned(), &replay.sequence);
            return Ok(());
        };
        let decoded = Decoded::new(self.stream.name(), Arc::new(message));
        let Some((lane, input)) = decoded.route(&self.routing) else { return Ok(()) };
        if self.key.as_ref().is_some_and(|key| key != input.lane_key()) {
            return Ok(());
        }
        let Some(behind) = replay.behind else {
            self.rerun.values().lose_for_good(input.lane_key());
            self.state.passed.insert(replay.sequence);
            self.report.unclear("was run again, and nobody noted where".to_owned(), &replay.sequence);
            return Ok(());
        };
        self.verify(lane, &input, Stored::default(), Some(behind)).await
    }

    /// Runs an input on the plugins that may have run it, the likeliest first, until one gives what is stored. One that was run
    /// again was so behind another, `again`.
    async fn verify(
        &mut self,
        lane: u16,
        input: &Delivery,
        stored: Stored,
        again: Option<Sequence>,
    ) -> Result<(), source::Error> {
        let sequence = input.sequence();
        let floor = self.state.floors.get(&lane).copied().unwrap_or(0);
        let turns = match again {
            Some(behind) => self.history.candidates_again(input.lane_key(), behind, floor),
            None => self.history.candidates(input.lane_key(), sequence, floor),
        };
        let plugin = |turn: &usize| Some((*turn, self.history.plugin(*turn)?.to_owned()));
        let candidates: Vec<(usize, String)> = match &stored.letter {
            // It says itself which one ran it.
            Some(letter) => vec![(floor, letter.plugin.clone())],
            None => turns.iter().filter_map(plugin).collect(),
        };
        let (mut likeliest, mut lacking) = (None, None);
        for (at, (turn, plugin)) in candidates.into_iter().enumerate() {
            let Some(tried) = self.try_on(&plugin, input, &stored).await? else {
                lacking.get_or_insert(plugin);
                if at == 0 { break } else { continue }
            };
            if tried.verdict == Verdict::Same {
                if at > 0 && self.scaled.is_empty() && again.is_none() {
                    self.state.floors.insert(lane, turn.max(floor));
                }
                likeliest = Some(tried);
                lacking = None;
                break;
            }
            likeliest.get_or_insert(tried);
        }
        if let Some(plugin) = lacking {
            self.report.lacks(&plugin);
            self.unclear(input, "ran on a plugin that is not at hand".to_owned(), !stored.had_none());
        } else if let Some(tried) = likeliest {
            self.settle(lane, input, again.is_some(), tried);
        }
        if !stored.set_aside {
            self.state.shelf.remove(&sequence);
        }
        Ok(())
    }

    /// What comes of an input on one plugin; none if that is not at hand.
    async fn try_on(
        &mut self,
        plugin: &str,
        input: &Delivery,
        stored: &Stored,
    ) -> Result<Option<Tried>, source::Error> {
        let ran = match &input.input {
            Err(undecodable) => Some(failed(&Failure::Undecodable(undecodable.clone()))),
            Ok(_) => tokio::task::block_in_place(|| self.rerun.run(plugin, input)),
        };
        let (made, writes) = match ran {
            None => return Ok(None),
            Some(Ran::Made(made, writes)) => (made, writes),
            Some(Ran::Not(why)) => {
                let verdict = Verdict::Unclear(why, !stored.had_none());
                let made = Made::Events(Vec::new());
                return Ok(Some(Tried { verdict, made, writes: Vec::new(), had_none: true }));
            }
        };
        let mut stored = stored.clone();
        if let Made::Events(given) = &made
            && stored.may_have_events()
        {
            self.read_until(input.sequence(), given.len()).await?;
        }
        stored.events = self.state.shelf.get(&input.sequence()).cloned().unwrap_or_default();
        let (verdict, had_none) = (judge(&input.message, &made, &stored), stored.had_none());
        Ok(Some(Tried { verdict, made, writes, had_none }))
    }

    /// Notes what was found of an input, and does what it writes.
    fn settle(&mut self, lane: u16, input: &Delivery, again: bool, tried: Tried) {
        let Tried { verdict, made, writes, had_none } = tried;
        match verdict {
            Verdict::Same => {
                self.report.inputs += u64::from(!again);
                self.report.replays += u64::from(again);
                self.report.dead_letters += u64::from(had_none);
                if let Made::Events(given) = &made {
                    self.report.events += given.len() as u64;
                }
                if !had_none && !again {
                    self.check_order(lane, input);
                }
            }
            Verdict::Unclear(why, had_effects) => {
                let is_known = matches!(&made, Made::Events(given) if !given.is_empty());
                self.unclear(input, why, had_effects && !is_known);
            }
            Verdict::Differs(differences) => {
                for difference in differences {
                    self.differs(input, difference);
                }
            }
        }
        if !had_none {
            self.rerun.apply(writes);
        }
    }

    /// An input could not be verified; `lost` if nobody knows what it wrote.
    fn unclear(&mut self, input: &Delivery, why: String, lost: bool) {
        self.report.unclear(why, &input.sequence());
        self.state.passed.insert(input.sequence());
        if lost {
            self.rerun.values().lose(input.lane_key());
        }
    }

    fn differs(&mut self, input: &Delivery, difference: Difference) {
        let key = input.input.as_ref().ok().map(|(_, key)| key.to_string());
        self.report.differs(Difference { input: Some(input.sequence()), key, ..difference }, self.most);
    }

    /// The events of a lane stand in the order of its inputs.
    fn check_order(&mut self, lane: u16, input: &Delivery) {
        let events = self.state.shelf.get(&input.sequence()).map(Vec::as_slice).unwrap_or_default();
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return };
        let is_of_lane = self.scaled.is_empty();
        let group = if is_of_lane { u64::from(lane) } else { xxh64(input.lane_key().as_bytes(), 0) };
        let (first, last) = (first.clone(), last.at);
        let before = self.state.order.insert(group, last).unwrap_or_default();
        if first.at < before {
            let expected = format!("behind {before}, where an earlier input's stand");
            let found = Difference::of(Kind::Event, expected, "before it".to_owned());
            self.differs(input, found.on(&first.subject).at(first.at));
        }
    }

    /// Reads events until `count` of one input are there, or all are read.
    async fn read_until(&mut self, input: Sequence, count: usize) -> Result<(), source::Error> {
        while self.state.shelf.get(&input).map_or(0, Vec::len) < count {
            let Some(message) = self.events.next().await? else { break };
            self.shelve(&message);
        }
        Ok(())
    }

    /// Keeps an event of the module until its input comes.
    fn shelve(&mut self, message: &Message) {
        if message.header("ce-source") != Some(&self.source) {
            return;
        }
        let id = message.header("ce-id").unwrap_or_default().to_owned();
        let (at, subject) = (message.sequence, message.subject.clone());
        let seen = Seen { at, id, print: print_of_stored(message), subject };
        let named = message.header("Pelton-Input").and_then(|input| input.rsplit_once(':'));
        let named = named.filter(|(stream, _)| *stream == self.stream.name()).and_then(|(_, at)| at.parse().ok());
        match named.map(Sequence) {
            Some(input) => self.state.shelf.entry(input).or_default().push(seen),
            None => {
                let expected = format!("an input of stream {} in its header Pelton-Input", self.stream.name());
                let found = Difference::of(Kind::Event, expected, "none".to_owned());
                self.report.differs(found.on(&seen.subject).at(at), self.most);
            }
        }
    }

    /// What is stored and no input of the range gives.
    async fn strays(&mut self) -> Result<(), source::Error> {
        while let Some(message) = self.events.next().await? {
            self.shelve(&message);
        }
        let last = self.stream.last();
        let (behind, to) = (self.behind, self.to);
        let is_meant = |input: &Sequence, passed: &HashSet<Sequence>| {
            *input > behind && (*input <= to || *input > last) && !passed.contains(input)
        };
        for (input, events) in std::mem::take(&mut self.state.shelf) {
            if !is_meant(&input, &self.state.passed) {
                continue;
            }
            let is_there = input > last || self.stream.message(input).await?.is_some();
            for seen in events {
                let found = Difference::of(Kind::Event, "no such event".to_owned(), String::new());
                let found = Difference { input: Some(input), ..found.on(&seen.subject).at(seen.at) };
                self.stray(is_there, input, found);
            }
        }
        for (input, letter) in std::mem::take(&mut self.letters) {
            if is_meant(&input, &self.state.passed) {
                let is_there = input > last || self.stream.message(input).await?.is_some();
                let found = Difference::of(Kind::DeadLetter, "no dead letter".to_owned(), String::new());
                self.stray(is_there, input, Difference { input: Some(input), ..found.at(letter.at) });
            }
        }
        Ok(())
    }

    fn stray(&mut self, is_there: bool, input: Sequence, found: Difference) {
        if is_there {
            self.report.differs(found, self.most);
        } else {
            self.report.unclear("is not in its stream any more".to_owned(), &input);
        }
    }
}
