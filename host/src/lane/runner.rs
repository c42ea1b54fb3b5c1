//! Runs slices of inputs on instances of one plugin, and turns what the guest returns into steps for the committer.

use std::sync::Arc;

use super::views::Views;
use super::{GivenUp, Ran, SLICE, Slice};
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
    /// Whether an instance waits for the next slice until it has served its share of inputs. With more lanes than the
    /// engine has room for instances, each slice makes its own.
    pub keeps_instances: bool,
}

/// Runs the inputs of one lane.
pub struct Runner {
    job: Job,
    lane: u16,
    /// Where the lane's views are between slices; none while a slice runs.
    idle: Option<Idle>,
}

/// What a runner keeps between slices.
enum Idle {
    /// The views, to be handed to a new instance.
    Views(Views),
    /// An instance that has the views and served so many inputs.
    Instance(Instance, usize),
}

impl Idle {
    fn into_views(self) -> Views {
        match self {
            Self::Views(views) => views,
            Self::Instance(instance, _) => instance.into_views(),
        }
    }
}

impl Runner {
    /// A runner for `lane`, whose guest reads `views`.
    pub fn new(job: Job, lane: u16, views: Views) -> Self {
        Self { job, lane, idle: Some(Idle::Views(views)) }
    }

    /// Runs the inputs of `slice` in order, up to the first that fails.
    pub fn run(&mut self, slice: &Slice) -> (Vec<Done>, Ran) {
        let mut steps = Vec::with_capacity(slice.inputs.len());
        let failure = match self.instance(slice) {
            Ok((instance, served)) => self.run_on(instance, served, slice, &mut steps),
            Err(failure) => Some(failure),
        };
        let done = steps.len();
        (steps, Ran { done, failure })
    }

    /// The instance that is to run `slice`, and how many inputs it served: the one before, until it has served its share.
    fn instance(&mut self, slice: &Slice) -> Result<(Instance, usize), Failure> {
        let idle = self.idle.take().ok_or_else(|| Failure::Interrupted("the lane already runs".to_owned()))?;
        let mut views = match idle {
            Idle::Instance(instance, served) if !slice.fresh && served + slice.inputs.len() <= SLICE => {
                return Ok((instance, served));
            }
            other => other.into_views(),
        };
        if slice.fresh {
            views.forget();
        }
        self.job.plugin.instantiate(&self.job.setting, views).map(|instance| (instance, 0)).map_err(|stopped| {
            let (failure, views) = *stopped;
            self.idle = Some(Idle::Views(views));
            failure
        })
    }

    fn run_on(
        &mut self,
        mut instance: Instance,
        served: usize,
        slice: &Slice,
        steps: &mut Vec<Done>,
    ) -> Option<Failure> {
        for input in &slice.inputs {
            let condemned = slice.condemned.as_ref().filter(|(sequence, _)| *sequence == input.sequence());
            let step = match condemned {
                Some((_, reason)) => Ok(self.minimal(input, reason)),
                None => self.one(&mut instance, input),
            };
            match step {
                Ok(step) => steps.push(step),
                Err(failure) => {
                    // After a trap an instance must not be called again; after any other failure it need not be.
                    self.idle = Some(Idle::Views(instance.into_views()));
                    return Some(failure);
                }
            }
        }
        let served = served + slice.inputs.len();
        let keep = self.job.keeps_instances;
        self.idle = Some(if keep { Idle::Instance(instance, served) } else { Idle::Views(instance.into_views()) });
        None
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
