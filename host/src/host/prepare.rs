//! What happens before anything runs: the app stream is made or verified, plugins are loaded, modules are compared with
//! their records, lanes are taken over.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::{App, Connections, Error};
use crate::commit::batch::Publisher;
use crate::commit::checkpoint::{Checkpoint, NEVER_WRITTEN, Stored};
use crate::commit::ledger::{self, Ledger, Taken};
use crate::commit::read::Reader;
use crate::commit::record::{Record, State};
use crate::commit::{app_stream, witness::Witness};
use crate::config::{Config, Module};
use crate::effects::{Bounds, Origin};
use crate::event::{Mark, Sequence};
use crate::guest::{Engine, Engines, Plugin, Setting};
use crate::lane::runner::Job;
use crate::lane::version::Version;
use crate::policy::breaker::Breaker;
use crate::policy::{Rules, backoff};
use crate::source::{InputStream, Routing};
use crate::status::Status;
use crate::subject::{Generation, Subjects};

/// A module with its plugin.
pub struct Loaded {
    /// The module.
    pub module: Module,
    /// Its plugin, as its lanes see it.
    pub versions: watch::Sender<Version>,
    /// What its plugins are compiled for.
    pub engine: Engine,
    /// Whether its instances are kept between slices.
    pub keeps_instances: bool,
}

impl Loaded {
    /// The plugin that is known to work.
    pub fn plugin(&self) -> Plugin {
        self.versions.borrow().known_to_work().clone()
    }
}

/// A module that is ready to run.
pub struct Deployed {
    /// Its input stream.
    pub stream: InputStream,
    /// How its inputs are found.
    pub routing: Arc<Routing>,
    /// What its runners work with.
    pub job: Job,
    /// What it wants done about failures.
    pub rules: Rules,
    /// What stops it for a while.
    pub breaker: Arc<Mutex<Breaker>>,
    /// How far apart repeated inputs are recognised.
    pub dedupe: Option<Duration>,
    /// Where reading must begin to recognise them.
    pub history: Option<Mark>,
    /// The checkpoints of its lanes, all owned by this host.
    pub lanes: Vec<Stored<Checkpoint>>,
    /// Where its record stands.
    pub record: Sequence,
    /// Whether nobody ran it before.
    pub is_new: bool,
}

/// Makes or verifies the app stream.
pub async fn app(config: &Config, connections: &Connections) -> Result<App, Error> {
    app_stream::check_server(&connections.read)?;
    let (context, subjects) = (connections.jetstream(), Subjects::new(&config.app));
    let witness = Witness::open(&context, &subjects, config.stream.replicas).await?;
    let found = app_stream::find(&context, &subjects).await?;
    witness.check(found.as_ref().map(Reader::info)).await?;
    let reader = match found {
        Some(reader) => reader,
        None => app_stream::create(&context, &subjects, config.stream.replicas).await?,
    };
    let info = reader.info();
    app_stream::verify(&info.config, &subjects)?;
    witness.note(info).await?;
    let servers = info.config.num_replicas;
    info!(
        stream = subjects.stream(),
        "committed means stored by {} of {servers} servers, each of which syncs to disk as its sync_interval says",
        servers / 2 + 1,
    );
    let publisher = Publisher::new(connections.commit.clone());
    let ledger = Ledger::new(subjects.clone(), reader.clone(), publisher.clone());
    let status = Status::new(&config.modules);
    let (name, traces) = (config.app.clone(), config.traces.clone());
    Ok(App { name, subjects, reader, witness, publisher, ledger, status, traces })
}

/// Loads the plugins of all modules.
pub fn load(config: &Config) -> Result<Vec<Loaded>, Error> {
    let mut engines = Engines::default();
    let mut loaded = Vec::new();
    for module in &config.modules {
        let failed = |cause| Error::Plugin { module: module.name.to_string(), cause };
        let engine = engines.with_stack(module.limits.stack)?;
        let plugin = Plugin::load(&engine, &module.plugin, module.digest.as_deref()).map_err(failed)?;
        let (versions, _) = watch::channel(Version::proven(plugin));
        loaded.push(Loaded { module: module.clone(), versions, engine, keeps_instances: true });
    }
    Ok(loaded)
}

fn job(app: &App, loaded: &Loaded, stream: &InputStream, generation: Generation, bounds: Bounds) -> Job {
    let Loaded { module, versions, keeps_instances, .. } = loaded;
    let origin = Origin {
        subjects: app.subjects.clone(),
        app: app.name.clone(),
        module: module.name.clone(),
        stream: stream.name().to_owned(),
        created: stream.created(),
        generation,
        ratio: app.traces.ratio,
    };
    Job {
        versions: versions.subscribe(),
        setting: Setting::of(module),
        grants: Arc::new(module.grants.clone()),
        bounds: bounds.within(module.limits.effects, module.limits.effects_bytes),
        origin: Arc::new(origin),
        keeps_instances: *keeps_instances,
        fresh: module.fresh,
        metrics: app.status.measured(&module.name),
        traced: app.traces.export.is_some(),
    }
}

/// How often a takeover is tried when another host writes at the same time.
const TRIES: u32 = 5;

/// Compares a module with its record and takes its lanes over; none if an operator paused it.
pub async fn deploy(
    app: &App,
    connections: &Connections,
    loaded: &Loaded,
    bounds: Bounds,
) -> Result<Option<Deployed>, Error> {
    let module = &loaded.module;
    let input = |cause| Error::Input { module: module.name.to_string(), cause };
    let Some((stream, taken, is_new)) = take_over(app, connections, loaded).await? else { return Ok(None) };
    let history = match module.dedupe {
        Some(window) => {
            let first = taken.lanes.iter().map(|lane| lane.value.covered).min().unwrap_or_default();
            Some(stream.history(first, window).await.map_err(input)?)
        }
        None => None,
    };
    // The breaker begins anew, closed.
    app.status.measured(&module.name).breaker_open.set(0);
    let plugin = loaded.plugin();
    info!(module = %module.name, plugin = plugin.digest, role = ?plugin.role, lanes = taken.lanes.len(), "module ready");
    Ok(Some(Deployed {
        routing: Arc::new(Routing::of(module)),
        job: job(app, loaded, &stream, taken.generation, bounds),
        rules: Rules { attempts: module.attempts, on_failure: module.on_failure },
        breaker: Arc::new(Mutex::new(Breaker::new(module.breaker))),
        dedupe: module.dedupe,
        history,
        lanes: taken.lanes,
        record: taken.record,
        is_new,
        stream,
    }))
}

/// Takes all lanes of a module over, unless an operator paused it. Gives its input stream, and whether nobody ran it before.
async fn take_over(
    app: &App,
    connections: &Connections,
    loaded: &Loaded,
) -> Result<Option<(InputStream, Taken, bool)>, Error> {
    let module = &loaded.module;
    let input = |cause| Error::Input { module: module.name.to_string(), cause };
    let mut now = Record::of(module, &loaded.plugin().digest);
    let mut tries = 1;
    loop {
        let failed = |cause| Error::SetUp { module: module.name.to_string(), cause };
        let was = app.ledger.record(&module.name).await.map_err(failed)?;
        if was.as_ref().is_some_and(|was| was.value.state == State::Paused) {
            return Ok(None);
        }
        let stream = InputStream::open(&connections.jetstream(), &module.input.stream).await.map_err(input)?;
        let checkpoints = match &was {
            Some(was) => {
                was.value.allows(&now)?;
                now.generation = was.value.generation;
                let checkpoints = app.ledger.checkpoints(&now).await.map_err(failed)?;
                for checkpoint in &checkpoints {
                    stream.recognise(&checkpoint.value).await.map_err(input)?;
                }
                checkpoints
            }
            None => first_checkpoints(module, &stream).await?,
        };
        match app.ledger.take_over(&now, was.as_ref(), checkpoints).await {
            Ok(taken) => return Ok(Some((stream, taken, was.is_none()))),
            Err(error @ (ledger::Error::Contended | ledger::Error::Unanswered(_))) if tries < TRIES => {
                warn!(module = %module.name, %error, "the takeover is tried again");
                tokio::time::sleep(backoff(Sequence(std::process::id().into()), tries)).await;
                tries += 1;
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// The checkpoints of a module that nobody ran before.
async fn first_checkpoints(module: &Module, stream: &InputStream) -> Result<Vec<Stored<Checkpoint>>, Error> {
    let start = stream.start(module.from).await;
    let start = start.map_err(|cause| Error::Input { module: module.name.to_string(), cause })?;
    info!(module = %module.name, behind = %start.sequence, "module is new");
    let value = Checkpoint::start(stream.name(), &stream.created(), start);
    Ok(vec![Stored { value, revision: NEVER_WRITTEN }; module.lanes.get().into()])
}
