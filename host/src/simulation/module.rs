//! The modules of the app, and what their guest makes of an input: effects that pass the real check, or a failure.

use std::sync::Arc;
use std::time::Duration;

use super::inputs::{CREATED, Kind, STREAM};
use super::random::Random;
use crate::commit::{Covers, Done};
use crate::effects::{self, Bounds, Effects, Emitted, Grants, Origin, ViewWrite};
use crate::event::Delivery;
use crate::lane::views::{GetError, Views};
use crate::policy::{Failure, OnFailure, Rules, Trap, breaker};
use crate::subject::{Generation, Name, Subjects};
use crate::traces::Ratio;

/// What the server refuses in the effects of an input that is poisonous.
const POISON: (&str, &str) = ("Nats-TTL", "soon");
/// How often an input is tried.
const ATTEMPTS: u32 = 3;

/// A module of the app.
pub struct Module {
    pub name: Name,
    pub lanes: u16,
    pub origin: Arc<Origin>,
    pub grants: Arc<Grants>,
    pub rules: Rules,
    pub breaker: breaker::Setting,
    /// What a lane may hold of payloads, in bytes.
    pub inputs: usize,
    /// What a lane may hold of views, in bytes.
    pub views: usize,
}

pub fn subjects() -> Subjects {
    Subjects::new(&"shop".parse().unwrap())
}

impl Module {
    /// One of a few, with sizes that chance picks: small ones have lanes wait and forget.
    pub fn random(number: usize, random: &mut Random) -> Self {
        let name: Name = format!("m{number}").parse().unwrap();
        let (app, module, generation) = ("shop".parse().unwrap(), name.clone(), Generation::default());
        let (stream, created, ratio) = (STREAM.to_owned(), CREATED.to_owned(), Ratio::default());
        let origin = Origin { subjects: subjects(), app, module, stream, created, generation, ratio };
        let lanes = 1 + random.below(4) as u16;
        let grants =
            Grants { views: [name.clone()].into(), emits: [(name.clone(), None)].into(), many_lanes: lanes > 1 };
        Self {
            name,
            lanes,
            origin: Arc::new(origin),
            grants: Arc::new(grants),
            rules: Rules { attempts: ATTEMPTS, on_failure: OnFailure::DeadLetter },
            breaker: breaker::Setting { failures: random.pick(&[0, 2, 5]), pause: Duration::from_secs(2) },
            inputs: random.pick(&[20, 100, 1 << 20]),
            views: random.pick(&[0, 1_000, 1 << 20]),
        }
    }

    /// Where a lane's checkpoint is.
    pub fn checkpoint(&self, lane: u16) -> Arc<str> {
        self.origin.subjects.checkpoint(&self.name, self.origin.generation, lane).into()
    }

    /// Where the value of a view key is.
    pub fn view(&self, key: &str) -> Arc<str> {
        self.origin.subjects.view_value(&self.name, self.origin.generation, key).into()
    }

    /// Runs one input, as the lane's runner does.
    pub fn call(
        &self,
        kind: Kind,
        views: &mut Views,
        input: &Arc<Delivery>,
        bounds: &Bounds,
        random: &mut Random,
    ) -> Result<Done, Failure> {
        let (event, key) = input.input.as_ref().map_err(|error| Failure::Undecodable(error.clone()))?;
        let effects = self.guest(kind, views, key, input.sequence().0, random)?;
        let checked = effects::check(effects, &self.origin, &self.grants, bounds, (event, key, input.sequence()));
        let checked = checked.map_err(Failure::Violation)?;
        let writes = checked.writes.into_iter().map(|write| views.put(write)).collect();
        let mut events = checked.events;
        if kind == Kind::Poisonous {
            events[0].push(POISON.0, POISON.1.to_owned());
        }
        Ok(Done { events, writes, ..Done::nothing(Covers::Input(input.clone())) })
    }

    fn guest(
        &self,
        kind: Kind,
        views: &mut Views,
        key: &str,
        sequence: u64,
        random: &mut Random,
    ) -> Result<Effects, Failure> {
        match kind {
            Kind::Silent | Kind::Garbled => return Ok(Effects::default()),
            Kind::Rejected => return Err(Failure::Reject("no".to_owned())),
            Kind::Traps => return Err(trap()),
            Kind::Stubborn => return Err(Failure::Retry(None)),
            Kind::Flaky if random.percent(30) => return Err(Failure::Retry(Some(Duration::from_millis(300)))),
            Kind::Flaky if random.percent(20) => return Err(Failure::Interrupted("away".to_owned())),
            Kind::Flaky if random.percent(20) => return Err(trap()),
            Kind::Counts | Kind::Bulky | Kind::Clears | Kind::Poisonous | Kind::Flaky => {}
        }
        let count = match kind {
            Kind::Clears => None,
            _ => {
                let got = views.get(self.name.as_str(), key, key).map_err(|error| match error {
                    GetError::Violation(violation) => Failure::Violation(violation),
                    GetError::Unavailable(cause) => Failure::Interrupted(cause),
                })?;
                Some(got.value.map_or(0, |value| std::str::from_utf8(&value).unwrap().parse::<u64>().unwrap()) + 1)
            }
        };
        Ok(self.effects(kind, key, sequence, count))
    }

    /// The effects of an input, if its key is at this count with it.
    pub fn effects(&self, kind: Kind, key: &str, sequence: u64, count: Option<u64>) -> Effects {
        let emitted = |at| Emitted {
            category: self.name.to_string(),
            key: None,
            kind: "counted".to_owned(),
            subject: None,
            content_type: String::new(),
            attributes: Vec::new(),
            data: payload(sequence, at, count).into(),
        };
        let write = |key: String, value: Option<u64>| {
            let value = value.map(|number| number.to_string().into());
            ViewWrite { view: self.name.to_string(), key, value }
        };
        let events = (0..kind.events()).map(emitted).collect();
        let writes = vec![write(key.to_owned(), count), write(format!("{key}/latest"), Some(sequence))];
        Effects { events, writes }
    }
}

/// What the event at that place among an input's says.
pub fn payload(sequence: u64, at: usize, count: Option<u64>) -> String {
    format!("{sequence}.{at} {}", count.unwrap_or_default())
}

fn trap() -> Failure {
    Failure::Trap(Trap { message: "boom".to_owned(), backtrace: Vec::new() })
}
