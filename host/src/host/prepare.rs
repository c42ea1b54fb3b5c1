//! What happens before anything runs: the app stream is made or verified, plugins are loaded, modules are compared with
//! their records, lanes are taken over.

use std::sync::{Arc, Mutex};

use tracing::{error, info, warn};

use super::{App, Connections, Error};
use crate::commit::batch::Publisher;
use crate::commit::checkpoint::{Checkpoint, NEVER_WRITTEN, Stored};
use crate::commit::ledger::{self, Ledger};
use crate::commit::read::Reader;
use crate::commit::record::Record;
use crate::commit::{app_stream, witness::Witness};
use crate::config::{Config, Module};
use crate::effects::{Bounds, Origin};
use crate::event::Sequence;
use crate::guest::{Engines, INSTANCES, Plugin, Rate, Setting};
use crate::lane::runner::Job;
use crate::policy::breaker::Breaker;
use crate::policy::{Rules, backoff};
use crate::source::{InputStream, Routing};
use crate::subject::{Name, Subjects};

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
    /// The checkpoints of its lanes, all owned by this host.
    pub lanes: Vec<Stored<Checkpoint>>,
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
    Ok(App { name: config.app.clone(), subjects, reader, witness, publisher, ledger })
}

/// Prepares all modules. One whose input stream is not what it was halts by itself; the others run.
pub async fn modules(
    config: &Config,
    engines: &mut Engines,
    connections: &Connections,
    app: &App,
    bounds: Bounds,
) -> Result<Vec<Deployed>, Error> {
    let mut loaded = Vec::new();
    for module in &config.modules {
        let failed = |cause| Error::Plugin { module: module.name.to_string(), cause };
        let engine = engines.with_stack(module.limits.stack)?;
        loaded.push((module, Plugin::load(&engine, &module.plugin, module.digest.as_deref()).map_err(failed)?));
    }
    let lanes: u32 = config.modules.iter().map(|module| u32::from(module.lanes.get())).sum();
    let keeps_instances = lanes <= INSTANCES / 2;
    let mut deployed = Vec::new();
    for (module, plugin) in loaded {
        match deploy(app, connections, module, &plugin).await {
            Ok((stream, lanes, is_new)) => {
                info!(module = %module.name, plugin = plugin.digest, role = ?plugin.role, lanes = lanes.len(), "module ready");
                let routing = routing(module);
                let job = job(app, module, plugin, &stream, bounds, keeps_instances);
                let rules = Rules { attempts: module.attempts, on_failure: module.on_failure };
                let breaker = Arc::new(Mutex::new(Breaker::new(module.breaker)));
                deployed.push(Deployed { stream, routing, job, rules, breaker, lanes, is_new });
            }
            Err(Error::Input { module: name, cause }) => {
                error!(module = name, %cause, "module halts");
                app.note_halt(&module.name, &cause.to_string()).await;
            }
            Err(error) => return Err(error),
        }
    }
    if deployed.is_empty() { Err(Error::NothingRuns) } else { Ok(deployed) }
}

fn routing(module: &Module) -> Arc<Routing> {
    let Module { name, input, key, lanes, .. } = module;
    Arc::new(Routing { module: name.clone(), input: input.clone(), key: key.clone(), lanes: lanes.get() })
}

fn job(app: &App, module: &Module, plugin: Plugin, stream: &InputStream, bounds: Bounds, keeps_instances: bool) -> Job {
    let origin = Origin {
        subjects: app.subjects.clone(),
        app: app.name.clone(),
        module: module.name.clone(),
        stream: stream.name().to_owned(),
        created: stream.created(),
    };
    let config = Arc::new(module.config.clone());
    Job {
        plugin,
        setting: Setting {
            module: module.name.clone(),
            config,
            limits: module.limits,
            log_rate: Arc::new(Rate::new(module.limits.log_lines, module.limits.log_bytes)),
        },
        grants: Arc::new(module.grants.clone()),
        bounds: bounds.within(module.limits.effects, module.limits.effects_bytes),
        origin: Arc::new(origin),
        keeps_instances,
        fresh: module.fresh,
    }
}

/// How often a takeover is tried when another host writes at the same time.
const TRIES: u32 = 5;

/// Compares a module with its record and takes its lanes over. True with a module that is new.
async fn deploy(
    app: &App,
    connections: &Connections,
    module: &Module,
    plugin: &Plugin,
) -> Result<(InputStream, Vec<Stored<Checkpoint>>, bool), Error> {
    let input = |cause| Error::Input { module: module.name.to_string(), cause };
    let stream = InputStream::open(&connections.jetstream(), &module.input.stream).await.map_err(input)?;
    let now = Record::of(module, &plugin.digest);
    let mut tries = 1;
    loop {
        let failed = |cause| Error::SetUp { module: module.name.to_string(), cause };
        let was = app.ledger.record(&module.name).await.map_err(failed)?;
        let checkpoints = match &was {
            Some(was) => {
                was.value.allows(&now)?;
                let checkpoints = app.ledger.checkpoints(&now).await.map_err(failed)?;
                for checkpoint in &checkpoints {
                    stream.recognise(&checkpoint.value).await.map_err(input)?;
                }
                checkpoints
            }
            None => first_checkpoints(module, &stream).await?,
        };
        match app.ledger.take_over(&now, was.as_ref(), checkpoints).await {
            Ok(owned) => return Ok((stream, owned, was.is_none())),
            Err(ledger::Error::Contended(cause)) if tries < TRIES => {
                warn!(module = %module.name, cause, "the takeover is tried again");
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

impl App {
    /// Notes in a module's record that it halts, so that `pelton module ls` shows why.
    pub async fn note_halt(&self, module: &Name, reason: &str) {
        if let Err(error) = self.ledger.halt(module, reason).await {
            warn!(%module, %error, "the halt could not be noted in the module's record");
        }
    }
}
