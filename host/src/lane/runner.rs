//! Runs slices of inputs on instances of one plugin, and turns what the guest returns into steps for the committer.

use std::sync::Arc;

use super::views::Views;
use super::{GivenUp, Ran, Slice};
use crate::commit::{Covers, Done};
use crate::dlq::{self, By};
use crate::effects::{self, Bounds, Grants, Origin};
use crate::event::Delivery;
use crate::guest::{Call, Instance, Plugin, Setting};
use crate::policy::{Cause, CauseKind, Failure};

/// What a lane's runner works with; the same for all lanes of a module.
#[derive(Clone)]
pub struct Job {
    /// The plugin.
    pub plugin: Plugin,
    /// What its instances run with.
    pub setting: Setting,
    /// What it may write.
    pub grants: Arc<Grants>,
    /// What the server takes.
    pub bounds: Bounds,
    /// App, module and input stream.
    pub origin: Arc<Origin>,
}

/// Runs the inputs of one lane.
pub struct Runner {
    job: Job,
    lane: u16,
    /// The lane's views; with the instance while one runs.
    views: Option<Views>,
}

impl Runner {
    /// A runner for `lane`, whose guest reads `views`.
    pub fn new(job: Job, lane: u16, views: Views) -> Self {
        Self { job, lane, views: Some(views) }
    }

    /// Runs the inputs of `slice` in order, up to the first that fails, on one fresh instance.
    pub fn run(&mut self, slice: &Slice) -> (Vec<Done>, Ran) {
        let mut steps = Vec::with_capacity(slice.inputs.len());
        let Some(mut views) = self.views.take() else { return (steps, Ran { done: 0, failure: None }) };
        if slice.fresh {
            views.forget();
        }
        let mut instance = match self.job.plugin.instantiate(&self.job.setting, views) {
            Ok(instance) => instance,
            Err(stopped) => {
                let (failure, views) = *stopped;
                self.views = Some(views);
                return (steps, Ran { done: 0, failure: Some(failure) });
            }
        };
        let mut failure = None;
        for input in &slice.inputs {
            let condemned = slice.condemned.as_ref().filter(|(sequence, _)| *sequence == input.sequence());
            let step = match condemned {
                Some((_, reason)) => Ok(self.minimal(input, reason)),
                None => self.one(&mut instance, input),
            };
            match step {
                Ok(step) => steps.push(step),
                Err(why) => {
                    failure = Some(why);
                    break;
                }
            }
        }
        self.views = Some(instance.into_views());
        let done = steps.len();
        (steps, Ran { done, failure })
    }

    fn one(&self, instance: &mut Instance, input: &Arc<Delivery>) -> Result<Done, Failure> {
        let Job { grants, bounds, origin, .. } = &self.job;
        let (event, key) = input.input.as_ref().map_err(|error| Failure::Undecodable(error.clone()))?;
        let sequence = input.sequence();
        let effects = instance.call(Call { event, key, stream: &origin.stream, sequence })?;
        let checked = effects::check(effects, origin, grants, bounds, (event, key, sequence));
        let checked = checked.map_err(Failure::Violation)?;
        let views = instance.views();
        let writes = checked.writes.into_iter().map(|write| views.put(write)).collect();
        Ok(Done { covers: Covers::Input(input.clone()), events: checked.events, writes, dead_letter: None })
    }

    /// The step that keeps an input as a dead letter.
    pub fn dead_letter(&self, GivenUp { input, cause, attempts }: GivenUp) -> Done {
        let letter = dlq::message(self.by(), &input, cause, attempts, &self.job.bounds);
        Done { dead_letter: Some(letter), ..Done::nothing(Covers::Input(input)) }
    }

    fn minimal(&self, input: &Arc<Delivery>, reason: &str) -> Done {
        let cause = Cause { kind: CauseKind::Size, message: format!("the server refuses its effects: {reason}") };
        let letter = dlq::minimal(self.by(), input, cause, 1);
        Done { dead_letter: Some(letter), ..Done::nothing(Covers::Input(input.clone())) }
    }

    fn by(&self) -> By<'_> {
        By { origin: &self.job.origin, lane: self.lane, plugin: &self.job.plugin.digest }
    }
}
