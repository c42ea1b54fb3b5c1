//! Runs slices of inputs on instances of one plugin, and turns what the guest returns into steps for the committer.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::version::{Trial, Version};
use super::views::Views;
use super::{GivenUp, Ran, Slice};
use crate::commit::{Covers, Done};
use crate::dlq::{self, By};
use crate::effects::{self, Bounds, Checked, Grants, Origin};
use crate::event::{Delivery, Event, Gap};
use crate::failpoint;
use crate::guest::{Call, Instance, Plugin, Setting};
use crate::metrics::{self, Share};
use crate::policy::{Cause, CauseKind, Failed, Failure, cause_of};
use crate::source;
use crate::traces::span;
use crate::traces::tracer::Tracer;

/// What a lane's runner works with; the same for all lanes of a module.
#[derive(Clone)]
pub struct Job {
    /// The plugin that the module runs now.
    pub versions: watch::Receiver<Version>,
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
    /// Whether each event gets an instance of its own.
    pub fresh: bool,
    /// Whether the module takes all of its stream.
    pub takes_all: bool,
    /// What is measured of the module.
    pub metrics: Arc<metrics::Module>,
    /// Whether spans of sampled inputs are told.
    pub traced: bool,
}

/// Runs the inputs of one lane.
pub struct Runner {
    job: Job,
    lane: u16,
    /// The plugin that ran last, or runs.
    plugin: Plugin,
    /// Its trial, if it was on one when the lane went over to it.
    trial: Option<Trial>,
    /// Whether the last input ran again, perhaps on another plugin than the next one does.
    strayed: bool,
    /// Ends the lane.
    stop: CancellationToken,
    /// Where the lane's views are between inputs; none while one runs.
    idle: Option<Idle>,
    /// View keys that it remembers.
    cached: Share,
    /// Its lane's sampled inputs, if they are told of.
    tracer: Option<Arc<Tracer>>,
}

/// What a runner keeps between inputs.
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

    fn views(&mut self) -> &mut Views {
        match self {
            Self::Views(views) => views,
            Self::Instance(instance, _) => instance.views(),
        }
    }
}

/// The most inputs that an instance serves, which bounds what a guest can hide between events.
const SERVES: usize = 256;
/// A slice ends with the input whose effects are beyond so many bytes of all of them: those of a batch.
const SLICE_BYTES: usize = 8 << 20;

impl Runner {
    /// A runner for `lane`, which `stop` ends, whose guest reads `views`.
    pub fn new(job: Job, lane: u16, views: Views, stop: CancellationToken) -> Self {
        let (plugin, trial) = current(&job.versions.borrow(), false);
        let cached = Share::of(&job.metrics.cached);
        let tracer = job.traced.then(|| Arc::new(Tracer::new(job.origin.clone(), lane)));
        Self { job, lane, plugin, trial, strayed: false, stop, idle: Some(Idle::Views(views)), cached, tracer }
    }

    /// Runs the inputs of `slice` in order, up to the first that fails, or until their effects are many.
    pub fn run(&mut self, slice: &Slice) -> (Vec<Done>, Ran) {
        if slice.fresh {
            self.forget();
        }
        let mut steps = Vec::with_capacity(slice.inputs.len());
        let (mut failed, mut bytes) = (None, 0);
        let tracer = self.tracer.clone().filter(|tracer| !tracer.is_idle());
        for input in &slice.inputs {
            let tracer = tracer.as_deref().filter(|tracer| tracer.follows(input.sequence()));
            let condemned = slice.condemned.as_ref().filter(|(sequence, _)| *sequence == input.sequence());
            let step = match condemned {
                Some((_, failure)) => Err(failure.clone().into()),
                None => self.next(input, slice.again, tracer),
            };
            match step {
                Ok(mut step) => {
                    step.spans = tracer.and_then(|tracer| tracer.done(input, &step));
                    bytes += step.size();
                    steps.push(step);
                    if bytes > SLICE_BYTES {
                        break;
                    }
                }
                Err(why) => {
                    failed = Some(why);
                    break;
                }
            }
        }
        if !self.job.keeps_instances {
            self.idle = self.idle.take().map(|idle| Idle::Views(idle.into_views()));
        }
        let done = steps.len();
        self.cached.set(self.idle.as_mut().map_or(0, |idle| idle.views().len()));
        (steps, Ran { done, bytes, failed })
    }

    /// Forgets instance and views: what was computed ahead is void.
    fn forget(&mut self) {
        self.idle = self.idle.take().map(|idle| {
            let mut views = idle.into_views();
            views.forget();
            Idle::Views(views)
        });
    }

    /// Runs one input on the plugin that is to run it. What one makes of it that has lost its place meanwhile, by this
    /// input or another lane's, does not hold: the next one does it. What one on trial makes of it holds once the module's
    /// record says that it stays: until then its view writes are not the lane's, or the next plugin would read them.
    fn next(&mut self, input: &Arc<Delivery>, again: bool, tracer: Option<&Tracer>) -> Result<Done, Failed> {
        loop {
            self.follow(again);
            let step = match tracer {
                Some(tracer) => self.traced(input, tracer),
                None => self.one(input),
            };
            let Some(trial) = self.trial.clone() else {
                if step.is_ok() || !self.follow(again) {
                    return step.and_then(|checked| self.done(input, checked));
                }
                continue;
            };
            trial.note(self.lane, input.sequence(), step.as_ref().err().map(|failed| &failed.failure));
            if trial.is_open() || trial.holds(&self.stop) {
                return step.and_then(|checked| self.done(input, checked));
            }
            if !self.follow(again) && !trial.is_lost() {
                return Err(Failure::Interrupted("the lane ends before its plugin's swap is noted".to_owned()).into());
            }
        }
    }

    /// Goes over to the plugin that the module runs now; false if it is the same. What runs `again` decides about no plugin:
    /// the proven one does it while another is on trial. All lanes share what says which, so it is only looked at when it
    /// has changed, or while a trial goes on.
    fn follow(&mut self, again: bool) -> bool {
        let looks = again || self.strayed || self.trial.is_some();
        if !looks && !self.job.versions.has_changed().unwrap_or(false) {
            return false;
        }
        self.strayed = again;
        let (next, trial) = current(&self.job.versions.borrow_and_update(), again);
        self.trial = trial;
        if next.digest == self.plugin.digest {
            return false;
        }
        self.plugin = next;
        self.idle = self.idle.take().map(|idle| Idle::Views(idle.into_views()));
        true
    }

    /// Runs one input that is sampled, and notes the call.
    fn traced(&mut self, input: &Arc<Delivery>, tracer: &Tracer) -> Result<Checked, Failed> {
        let (began, plugin) = (SystemTime::now(), self.plugin.digest.clone());
        let step = self.one(input);
        let failed = step.as_ref().err().map(|failed| cause_of(&failed.failure, 1)).map(|why| (why.kind, why.message));
        // What is no event reaches no plugin.
        if input.input.is_ok() {
            tracer.called(input.sequence(), span::Call { began, ended: SystemTime::now(), plugin, failed });
        }
        step
    }

    /// Runs one input, on the instance of the one before if that may serve more.
    fn one(&mut self, input: &Arc<Delivery>) -> Result<Checked, Failed> {
        let (event, key) = input.input.as_ref().map_err(|error| Failure::Undecodable(error.clone()))?;
        let (mut instance, served) = self.instance()?;
        match self.call(&mut instance, event, key, input) {
            Ok(step) => {
                self.idle = Some(Idle::Instance(instance, served + 1));
                Ok(step)
            }
            Err(failed) => {
                // After a trap an instance must not be called again; after any other failure it need not be.
                self.idle = Some(Idle::Views(instance.into_views()));
                Err(failed)
            }
        }
    }

    /// An instance, and how many inputs it served.
    fn instance(&mut self) -> Result<(Instance, usize), Failed> {
        let serves = if self.job.fresh { 1 } else { SERVES };
        let idle = self.idle.take().ok_or_else(|| Failure::Interrupted("the lane already runs".to_owned()))?;
        let views = match idle {
            Idle::Instance(instance, served) if served < serves => return Ok((instance, served)),
            other => other.into_views(),
        };
        self.plugin.instantiate(&self.job.setting, views).map(|instance| (instance, 0)).map_err(|stopped| {
            let (failure, views) = *stopped;
            self.idle = Some(Idle::Views(views));
            failure.into()
        })
    }

    fn call(
        &self,
        instance: &mut Instance,
        event: &Event,
        key: &Arc<str>,
        input: &Arc<Delivery>,
    ) -> Result<Checked, Failed> {
        let Job { grants, bounds, origin, .. } = &self.job;
        let sequence = input.sequence();
        failpoint::reach("invoke", &input.message.subject);
        let began = Instant::now();
        let called = instance.call(Call { event, key, stream: &origin.stream, sequence });
        self.job.metrics.calls.observe(began.elapsed().as_secs_f64());
        failpoint::reach("invoked", &input.message.subject);
        let (effects, _) = called?;
        let checked = effects::check(effects, origin, grants, bounds, (event, key, sequence));
        Ok(checked.map_err(Failure::Violation)?)
    }

    /// The step that an input's effects are, which hold.
    fn done(&mut self, input: &Arc<Delivery>, Checked { events, writes }: Checked) -> Result<Done, Failed> {
        let views = self.idle.as_mut().map(Idle::views);
        let views = views.ok_or_else(|| Failure::Interrupted("the lane already runs".to_owned()))?;
        let writes = writes.into_iter().map(|write| views.put(write)).collect();
        Ok(Done { events, writes, ..Done::nothing(Covers::Input(input.clone())) })
    }

    /// Whether a line with `text` is within what the module may log: a guest that fails without end fills no disk.
    pub fn may_log(&self, text: &str) -> bool {
        self.job.setting.log_rate.admits(&self.job.setting.module, text.len())
    }

    /// Its lane's sampled inputs, if they are told of.
    pub fn tracer(&self) -> Option<Arc<Tracer>> {
        self.tracer.clone()
    }

    /// What is measured of the module.
    pub fn metrics(&self) -> &Arc<metrics::Module> {
        &self.job.metrics
    }

    /// The step that keeps an input as a dead letter.
    pub fn dead_letter(&self, given_up: GivenUp) -> Done {
        let by = By { origin: &self.job.origin, lane: self.lane, plugin: &self.plugin.digest };
        let (input, kind) = (given_up.input.clone(), given_up.cause.kind);
        let spans = self.tracer.as_ref().and_then(|tracer| tracer.given_up(&given_up));
        let letter = dlq::message(by, given_up, &self.job.bounds);
        Done { own: vec![letter], given_up: Some(kind), spans, ..Done::nothing(Covers::Input(input)) }
    }

    /// The step that goes on behind a gap and keeps it as a dead letter.
    pub fn skips(&self, gap: Gap) -> Done {
        let by = By { origin: &self.job.origin, lane: self.lane, plugin: &self.plugin.digest };
        let letter = dlq::of_gap(by, gap, self.job.takes_all, OffsetDateTime::now_utc());
        Done { own: vec![letter], given_up: Some(CauseKind::Gap), ..Done::nothing(Covers::Read(gap.mark())) }
    }

    /// Why the module does not go on behind a gap.
    pub fn lacks(&self, gap: Gap) -> Cause {
        let Origin { stream, module, .. } = &*self.job.origin;
        let (stream, module) = (stream.clone(), module.clone());
        let lacks = source::Error::Lacks { stream, module, gap, certain: self.job.takes_all };
        Cause::new(CauseKind::Gap, lacks.to_string())
    }
}

/// The plugin for the next input, and its trial while it is on one.
fn current(version: &Version, again: bool) -> (Plugin, Option<Trial>) {
    if again {
        return (version.recorded().clone(), None);
    }
    (version.next().clone(), version.trial.clone().filter(|trial| !trial.is_lost()))
}
