//! The judge: looks at every batch as it is stored, and knows from the input alone what it must hold.
//!
//! No input passes without its effects or its dead letter, none has them twice, a lane's inputs have them in their order,
//! no checkpoint is ahead of its effects or behind them, and nothing is stored for a lane by whom another host has taken it
//! from.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Violation;
use super::env::{Batch, Purpose, Shown};
use super::inputs::{Inputs, Kind};
use super::module::{Module, payload};
use super::stream::{header, value};
use crate::commit::LaneId;
use crate::commit::checkpoint::{Checkpoint, Suspect};
use crate::dlq::DeadLetter;
use crate::effects::Outgoing;
use crate::lane::care::ENDS;
use crate::ownership::HostId;
use crate::policy::CauseKind;

/// What is known of all lanes.
pub struct Oracle {
    modules: Vec<Arc<Module>>,
    lanes: BTreeMap<LaneId, Lane>,
    /// Whether the server took smaller batches for a while: then an input of many effects may become a dead letter.
    pub is_lenient: bool,
    /// Inputs that had their effects, and those that became dead letters.
    pub effects: u64,
    pub dead_letters: u64,
}

/// A lane up to its checkpoint.
#[derive(Default)]
struct Lane {
    covered: u64,
    position: u64,
    /// Who took it last.
    owner: Option<HostId>,
    /// What its checkpoint says that it is about to run.
    suspect: Option<Suspect>,
    counts: BTreeMap<Arc<str>, u64>,
}

/// What a batch says of an input.
#[derive(Debug, PartialEq)]
enum Said {
    Event(Bytes),
    DeadLetter,
    /// A dead letter of an input that was running alone whenever hosts were killed. Hosts here are killed every few steps, so
    /// that chance does so now and then.
    Blamed,
}

/// What a batch holds, by lane.
#[derive(Default)]
struct Parts {
    checkpoints: Vec<(LaneId, Checkpoint)>,
    said: BTreeMap<LaneId, Vec<(u64, Said)>>,
    writes: BTreeMap<Arc<str>, Option<Bytes>>,
}

/// The lane whose checkpoint is on a subject.
pub fn lane_of(subject: &str) -> Option<LaneId> {
    let mut tokens = subject.strip_prefix("pelton.shop.ckpt.")?.split('.');
    Some(LaneId { module: tokens.next()?.parse().ok()?, lane: tokens.nth(1)?.parse().ok()? })
}

impl Oracle {
    pub fn new(modules: Vec<Arc<Module>>) -> Self {
        Self { modules, lanes: BTreeMap::new(), is_lenient: false, effects: 0, dead_letters: 0 }
    }

    /// Judges a batch of that host that is stored.
    pub fn stored(&mut self, inputs: &Inputs, host: HostId, batch: &Batch) -> Result<(), Violation> {
        let mut parts = self.parts(inputs, &batch.messages)?;
        for (id, checkpoint) in std::mem::take(&mut parts.checkpoints) {
            let module = self.modules.iter().find(|module| module.name == id.module).unwrap().clone();
            let wrong = |what: String| Violation(format!("{id}: {what}"));
            let lane = self.lanes.entry(id.clone()).or_default();
            match batch.purpose {
                Purpose::Take => lane.owner = Some(host),
                // A host that does not know yet that it has released a lane may do so once more, until another takes it.
                Purpose::Commit if lane.owner == Some(host) => {}
                Purpose::Commit => {
                    let owner = lane.owner.map_or("nobody".to_owned(), |owner| Shown(owner).to_string());
                    return Err(wrong(format!("{} commits, though {owner} took it last", Shown(host))));
                }
            }
            let said = parts.said.remove(&id).unwrap_or_default();
            self.advance(inputs, (&id, &module), &checkpoint, said, &mut parts.writes).map_err(wrong)?;
        }
        match (parts.said.first_key_value(), parts.writes.first_key_value()) {
            (None, None) => Ok(()),
            (Some((id, said)), _) => Err(Violation(format!("{id}: effects without their checkpoint: {said:?}"))),
            (None, Some((subject, _))) => Err(Violation(format!("{subject} is written, which no input does"))),
        }
    }

    fn parts(&self, inputs: &Inputs, batch: &[Outgoing]) -> Result<Parts, Violation> {
        let mut parts = Parts::default();
        for message in batch {
            let subject = message.subject.as_ref();
            let tokens: Vec<&str> = subject.split('.').collect();
            match tokens.as_slice() {
                ["pelton", _, "ckpt", ..] => {
                    let checkpoint = serde_json::from_slice(&message.payload).unwrap();
                    parts.checkpoints.push((lane_of(subject).unwrap(), checkpoint));
                }
                ["pelton", _, "events", module, _] => {
                    let from = header(message, "Pelton-Input").and_then(|input| input.strip_prefix("IN:")).unwrap();
                    let (module, sequence) = (self.module(module), from.parse().unwrap());
                    let lane = inputs.get(sequence).unwrap().lane(module.lanes);
                    let id = LaneId { module: module.name.clone(), lane };
                    let event = Said::Event(message.payload.clone());
                    parts.said.entry(id).or_default().push((sequence, event));
                }
                ["pelton", _, "dlq", module, lane, sequence] => {
                    let id = LaneId { module: self.module(module).name.clone(), lane: lane.parse().unwrap() };
                    let letter: DeadLetter = serde_json::from_slice(&message.payload).unwrap();
                    let said = if letter.cause.kind == CauseKind::Crash { Said::Blamed } else { Said::DeadLetter };
                    parts.said.entry(id).or_default().push((sequence.parse().unwrap(), said));
                }
                _ => {
                    if parts.writes.insert(message.subject.clone(), value(message)).is_some() {
                        return Err(Violation(format!("{subject} is written twice in a batch")));
                    }
                }
            }
        }
        Ok(parts)
    }

    fn module(&self, name: &str) -> &Arc<Module> {
        self.modules.iter().find(|module| module.name.as_str() == name).unwrap()
    }

    /// Takes a lane to its next checkpoint, and compares what was stored with what its inputs lead to.
    fn advance(
        &mut self,
        inputs: &Inputs,
        (id, module): (&LaneId, &Module),
        checkpoint: &Checkpoint,
        said: Vec<(u64, Said)>,
        writes: &mut BTreeMap<Arc<str>, Option<Bytes>>,
    ) -> Result<(), String> {
        let lane = self.lanes.get_mut(id).unwrap();
        let covered = checkpoint.covered.0;
        if covered < lane.covered || covered > inputs.last() {
            return Err(format!("its checkpoint goes from {} to {covered}", lane.covered));
        }
        // Only the input that was told to run alone, and to have ended so many hosts.
        let mut is_blamed = lane.suspect.is_some_and(|it| it.runs && it.inputs == 1 && it.ends >= ENDS);
        let mut said = said.into_iter().peekable();
        let mut expected = BTreeMap::new();
        for sequence in lane.covered + 1..=covered {
            let input = inputs.get(sequence).unwrap();
            if input.lane(module.lanes) != id.lane {
                continue;
            }
            lane.position = sequence;
            let mut of_input = Vec::new();
            while let Some((_, what)) = said.next_if(|(of, _)| *of == sequence) {
                of_input.push(what);
            }
            let what = |what: &str| format!("input {sequence} ({:?}) {what}", input.kind);
            let may_be_blamed = std::mem::take(&mut is_blamed);
            if of_input == [Said::Blamed] {
                self.dead_letters += 1;
                if may_be_blamed {
                    continue;
                } else {
                    return Err(what("is blamed for ends that its checkpoint does not tell"));
                }
            }
            if of_input == [Said::DeadLetter] {
                let may_fail = input.kind.may_fail() || (self.is_lenient && input.kind == Kind::Bulky);
                self.dead_letters += 1;
                if may_fail { continue } else { return Err(what("became a dead letter")) }
            }
            if !input.kind.may_have_effects() {
                return Err(what(&format!("became no dead letter, but {of_input:?}")));
            }
            let count = (input.kind != Kind::Clears).then(|| lane.counts.get(&input.key).map_or(1, |count| count + 1));
            let event = |at| Said::Event(payload(sequence, at, count).into());
            if of_input != (0..input.kind.events()).map(event).collect::<Vec<_>>() {
                return Err(what(&format!("has not its effects, with which the count is {count:?}, but {of_input:?}")));
            }
            self.effects += 1;
            if input.kind == Kind::Silent {
                continue;
            }
            match count {
                Some(count) => lane.counts.insert(input.key.clone(), count),
                None => lane.counts.remove(&input.key),
            };
            expected.insert(module.view(&input.key), count.map(|count| count.to_string()));
            expected.insert(module.view(&format!("{}/latest", input.key)), Some(sequence.to_string()));
        }
        if let Some((sequence, what)) = said.next() {
            let covers = format!("its checkpoint goes from {} to {covered}", lane.covered);
            return Err(format!("input {sequence} has {what:?} out of its place: {covers}"));
        }
        for (subject, expected) in expected {
            let found = writes.remove(&subject);
            if found != Some(expected.clone().map(Bytes::from)) {
                return Err(format!("{subject} is written as {found:?} instead of {expected:?}"));
            }
        }
        (lane.covered, lane.suspect) = (covered, checkpoint.suspect);
        let hash = inputs.get(covered).and_then(|input| input.mark.fingerprint);
        if checkpoint.position.0 != lane.position || checkpoint.hash != hash {
            return Err(format!("its checkpoint at {covered} does not say what is there: {checkpoint:?}"));
        }
        Ok(())
    }

    /// How far all lanes are together.
    pub fn is_done(&self, inputs: &Inputs) -> bool {
        self.modules.iter().all(|module| {
            (0..module.lanes).all(|lane| {
                let of_lane =
                    |sequence: &u64| inputs.get(*sequence).is_some_and(|input| input.lane(module.lanes) == lane);
                let last = (1..=inputs.last()).rev().find(of_lane).unwrap_or(0);
                let id = LaneId { module: module.name.clone(), lane };
                self.lanes.get(&id).map_or(0, |lane| lane.covered) >= last
            })
        })
    }
}
