//! Runs one input against a plugin with the views as they stand, and says what it would do. Nothing is committed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_nats::jetstream;
use serde::Serialize;
use serde_json::Value;

use crate::config::Module;
use crate::dlq::{DeadLetter, Lost};
use crate::effects::{self, Bounds, Checked, Origin, Outgoing};
use crate::event::Delivery;
use crate::guest::{Call, Engine, EngineError, LoadError, Plugin, Setting};
use crate::lane::views::Views;
use crate::policy::{Cause, Failed, Failure, cause_of};
use crate::query::{self, Query};
use crate::source::{self, Decoded, InputStream, Routing};
use crate::subject::decode;
use crate::traces::Ratio;

/// Bytes of views that are kept while one input runs.
const VIEWS: usize = 32 << 20;

/// Why nothing could be tried.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Plugin(#[from] LoadError),
    #[error(transparent)]
    Input(#[from] source::Error),
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error(transparent)]
    Query(#[from] query::Error),
    #[error("module {0:?} does not take the subject {1:?}")]
    Foreign(String, String),
    #[error("the plugin could not be run: {0}")]
    Failed(String),
}

/// What a plugin would do.
#[derive(Debug, Serialize)]
pub struct Trial {
    /// The plugin's digest.
    pub plugin: String,
    /// What it would cause, or why it would fail.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What it logged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

/// What one input would lead to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// These effects.
    Effects {
        /// Events, in order.
        events: Vec<Emits>,
        /// View writes, in order.
        writes: Vec<Writes>,
    },
    /// A failure.
    Failure(Cause),
}

/// An event that would be emitted.
#[derive(Debug, Serialize)]
pub struct Emits {
    /// Its subject.
    pub subject: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its data: JSON as it is, anything else as text.
    pub data: Value,
}

/// A view write that would be done.
#[derive(Debug, Serialize)]
pub struct Writes {
    /// The subject of the view key.
    pub subject: String,
    /// The key.
    pub key: Option<String>,
    /// The new value; null removes the key.
    pub value: Value,
}

/// Tries the plugin at `plugin`, or the module's own, on the input of a dead letter. `ratio` is the app's.
pub async fn of_letter(
    query: &Query,
    context: jetstream::Context,
    (module, ratio): (&Module, Ratio),
    plugin: Option<PathBuf>,
    letter: DeadLetter,
) -> Result<Trial, Error> {
    let stream = InputStream::open(&context, &letter.stream).await?;
    let original = if letter.is_cut() { stream.message(letter.sequence).await? } else { None };
    let message = letter.input(original)?;
    let routing = Routing::of(module);
    let decoded = Decoded::new(stream.name(), Arc::new(message)).route(&routing);
    let foreign = || Error::Foreign(module.name.to_string(), letter.subject.clone());
    let (_, input) = decoded.ok_or_else(foreign)?;
    let generation = query.record(&module.name).await?.generation;
    let origin = Arc::new(Origin {
        subjects: query.subjects().clone(),
        app: query.app().clone(),
        module: module.name.clone(),
        stream: stream.name().to_owned(),
        created: stream.created(),
        generation,
        ratio,
    });
    let views = Views::new(origin.clone(), Arc::new(module.grants.clone()), query.fetch(), false, VIEWS);
    let (module, path) = (module.clone(), plugin.unwrap_or_else(|| module.plugin.clone()));
    // Reading views waits, as in a lane.
    let trial = tokio::task::spawn_blocking(move || run(&module, &path, &origin, views, &input));
    trial.await.map_err(|panic| Error::Failed(panic.to_string()))?
}

fn run(module: &Module, path: &Path, origin: &Origin, views: Views, input: &Delivery) -> Result<Trial, Error> {
    let engine = Engine::new(module.limits.stack)?;
    let plugin = Plugin::load(&engine, path, None)?;
    let digest = plugin.digest.clone();
    let bounds = Bounds::new(1 << 20, 1_000).within(module.limits.effects, module.limits.effects_bytes);
    let tried = effects_of(module, &plugin, origin, views, bounds, input);
    Ok(match tried {
        Ok((checked, log)) => Trial { plugin: digest, outcome: shown(checked), log },
        Err(Failed { failure, log }) => Trial { plugin: digest, outcome: Outcome::Failure(cause_of(&failure, 1)), log },
    })
}

fn effects_of(
    module: &Module,
    plugin: &Plugin,
    origin: &Origin,
    views: Views,
    bounds: Bounds,
    input: &Delivery,
) -> Result<(Checked, Vec<String>), Failed> {
    let (event, key) = input.input.as_ref().map_err(|error| Failure::Undecodable(error.clone()))?;
    let instance = plugin.instantiate(&Setting::of(module), views).map_err(|stopped| stopped.0);
    let sequence = input.sequence();
    let mut instance = instance?;
    let (effects, log) = instance.call(Call { event, key, stream: &origin.stream, sequence })?;
    let checked = effects::check(effects, origin, &module.grants, &bounds, (event, key, sequence));
    Ok((checked.map_err(Failure::Violation)?, log))
}

fn shown(checked: Checked) -> Outcome {
    let writes = checked.writes.into_iter().map(|write| Writes {
        key: write.subject.rsplit('.').next().and_then(decode),
        value: write.value.as_deref().map_or(Value::Null, value_of),
        subject: write.subject.to_string(),
    });
    Outcome::Effects { events: checked.events.into_iter().map(emits).collect(), writes: writes.collect() }
}

fn emits(event: Outgoing) -> Emits {
    let headers = event.headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    Emits { subject: event.subject.to_string(), headers, data: value_of(&event.payload) }
}

fn value_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}
