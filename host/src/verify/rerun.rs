//! Runs inputs again on the plugins that ran them, with the views as the inputs before give them. Commits nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use time::OffsetDateTime;

use super::judge::{Given, Made, print_of};
use super::report::short;
use super::values::{Known, Values};
use crate::commit::checkpoint::{NEVER_WRITTEN, Stored};
use crate::config::Module;
use crate::effects::{self, Bounds, Checked, CheckedWrite, Grants, Origin, Outgoing};
use crate::event::Delivery;
use crate::guest::{Call, Engine, EngineError, LoadError, Plugin, Rate, Setting};
use crate::lane::views::{Fetch, Views};
use crate::policy::{Failure, cause_of};

/// Bytes of views that are kept while one input runs.
const VIEWS: usize = 32 << 20;
/// How many deadlines a call may take: this machine may be busier than the one that it ran on.
const PATIENCE: u32 = 5;

/// Why plugins cannot be run.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Plugin(#[from] LoadError),
}

/// The plugins that are at hand, and what they run with.
pub struct Rerun {
    plugins: BTreeMap<String, Plugin>,
    setting: Setting,
    grants: Arc<Grants>,
    origin: Arc<Origin>,
    bounds: Bounds,
    values: Arc<Mutex<Values>>,
    now: OffsetDateTime,
}

/// What came of an input.
pub enum Ran {
    /// Effects, with these view writes, or a failure.
    Made(Made, Vec<CheckedWrite>),
    /// It could not be run, for this reason.
    Not(String),
}

/// Loads the plugin of `module` and those at `more`.
pub fn load<'a>(module: &'a Module, more: impl Iterator<Item = &'a Path>) -> Result<Vec<Plugin>, Error> {
    let engine = Engine::new(module.limits.stack)?;
    let paths = more.chain([module.plugin.as_path()]);
    paths.map(|path| Ok(Plugin::load(&engine, path, None)?)).collect()
}

impl Rerun {
    /// Runs inputs of `module` on `plugins`, on views that begin as `values`.
    pub fn new(module: &Module, plugins: Vec<Plugin>, origin: Origin, bounds: Bounds, values: Values) -> Self {
        let mut setting = Setting::of(module);
        // Views are in memory here, and what a plugin logs was logged.
        setting.limits.reads = usize::MAX;
        setting.limits.deadline *= PATIENCE;
        setting.log_rate = Arc::new(Rate::new(0, 0));
        Self {
            plugins: plugins.into_iter().map(|plugin| (plugin.digest.clone(), plugin)).collect(),
            setting,
            grants: Arc::new(module.grants.clone()),
            origin: Arc::new(origin),
            bounds: bounds.within(module.limits.effects, module.limits.effects_bytes),
            values: Arc::new(Mutex::new(values)),
            now: OffsetDateTime::now_utc(),
        }
    }

    /// The views, as the inputs so far give them.
    pub fn values(&self) -> MutexGuard<'_, Values> {
        lock(&self.values)
    }

    /// Runs an input on the plugin of that digest; none if it is not at hand.
    pub fn run(&self, plugin: &str, input: &Delivery) -> Option<Ran> {
        let plugin = self.plugins.get(plugin)?;
        Some(match self.effects_of(plugin, input) {
            Ok(checked) => {
                let events = checked.events.iter().map(|event| self.given(event, input)).collect();
                Ran::Made(Made::Events(events), checked.writes)
            }
            Err(failure) => failed(&failure),
        })
    }

    /// Does what an input writes.
    pub fn apply(&self, writes: Vec<CheckedWrite>) {
        let mut values = self.values();
        writes.into_iter().for_each(|write| values.set(&write.subject, write.value));
    }

    /// Each input has an instance of its own, so that what a guest hides between events shows.
    fn effects_of(&self, plugin: &Plugin, input: &Delivery) -> Result<Checked, Failure> {
        let (event, key) = input.input.as_ref().map_err(|error| Failure::Undecodable(error.clone()))?;
        let views = Views::new(self.origin.clone(), self.grants.clone(), fetch(&self.values), false, VIEWS);
        let mut instance = plugin.instantiate(&self.setting, views).map_err(|stopped| stopped.0)?;
        let sequence = input.sequence();
        let call = Call { event, key, stream: &self.origin.stream, sequence };
        let (effects, _) = instance.call(call).map_err(|failed| failed.failure)?;
        let place = (event.as_ref(), key.as_ref(), sequence);
        effects::check(effects, &self.origin, &self.grants, &self.bounds, place).map_err(Failure::Violation)
    }

    fn given(&self, event: &Outgoing, input: &Delivery) -> Given {
        let id = event.headers.iter().find(|(name, _)| name == "ce-id").map(|(_, id)| id.clone());
        let category = self.origin.subjects.event_on(&event.subject).map(|(category, _)| category);
        let kept = category.and_then(|category| self.grants.emits.get(category.as_str()).copied().flatten());
        Given {
            id: id.unwrap_or_default(),
            print: print_of(event),
            subject: event.subject.to_string(),
            data: short(&text(&event.payload)),
            may_be_gone: kept.is_some_and(|kept| input.message.stored + kept < self.now),
        }
    }
}

/// What the failure of an input leaves behind.
pub fn failed(failure: &Failure) -> Ran {
    match failure {
        Failure::Interrupted(why) => Ran::Not(why.clone()),
        Failure::Retry(_)
        | Failure::Reject(_)
        | Failure::Trap(_)
        | Failure::Limit(_)
        | Failure::Timeout(_)
        | Failure::Violation(_)
        | Failure::Undecodable(_)
        | Failure::Refused(_)
        | Failure::Crash(_) => Ran::Made(Made::Failure(cause_of(failure, 1)), Vec::new()),
    }
}

/// A payload for people.
pub fn text(payload: &Bytes) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

fn fetch(values: &Arc<Mutex<Values>>) -> Fetch {
    let values = values.clone();
    Arc::new(move |subject, _| match lock(&values).get(subject) {
        Known::Is(value) => Ok(Stored { value, revision: NEVER_WRITTEN }),
        Known::Not => Err("reads a view's value that came from inputs which were not verified".to_owned()),
    })
}

fn lock(values: &Mutex<Values>) -> MutexGuard<'_, Values> {
    values.lock().unwrap_or_else(PoisonError::into_inner)
}
