//! What happens before anything runs: the app stream is made or verified, plugins are loaded, modules are compared with
//! their records, lanes are taken over.

use std::sync::Arc;

use tracing::{error, info};

use super::{App, Connections};
use crate::commit::batch::{Outcome, Publisher};
use crate::commit::checkpoint::{Checkpoint, NEVER_WRITTEN, Stored};
use crate::commit::committer::{checkpoint_message, replacing};
use crate::commit::read::{self, Reader, Unreadable};
use crate::commit::record::{Changed, Record};
use crate::commit::{app_stream, witness};
use crate::config::{Config, Module};
use crate::effects::{Bounds, Origin, Outgoing};
use crate::event::Sequence;
use crate::guest::{Engine, EngineError, LoadError, Plugin, Setting};
use crate::lane::runner::Job;
use crate::source::{self, InputStream, Routing};
use crate::subject::{FIRST_GENERATION, Name, Subjects};

/// Why a host does not run, or ended.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("cannot connect to {url}: {cause}")]
    Connect { url: String, cause: String },
    #[error(transparent)]
    AppStream(#[from] app_stream::Error),
    #[error(transparent)]
    Witness(#[from] witness::Error),
    #[error("module {module:?}: {cause}")]
    Plugin { module: String, cause: LoadError },
    #[error(transparent)]
    Changed(#[from] Changed),
    #[error(transparent)]
    Read(#[from] read::Error),
    #[error("module {module:?}: could not be set up: {cause}")]
    SetUp { module: String, cause: String },
    #[error("module {module:?}: {cause}")]
    Input { module: String, cause: source::Error },
    #[error("no module can run; see the errors above")]
    NothingRuns,
    #[error("{}", if *lost {
        "every lane was taken over by another host or halted: only one host of an app may run"
    } else {
        "every lane halted; see the errors above"
    })]
    AllEnded { lost: bool },
}

impl From<Unreadable> for Error {
    fn from(error: Unreadable) -> Self {
        Self::Read(error.into())
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
    /// Its lanes, all of them owned.
    pub lanes: Vec<OwnedLane>,
}

/// A lane that this host owns.
pub struct OwnedLane {
    /// The lane, from 0.
    pub number: u16,
    /// Its checkpoint.
    pub owned: Stored<Checkpoint>,
    /// Whether nobody ran it before.
    pub is_new: bool,
}

/// Makes or verifies the app stream.
pub async fn app(config: &Config, connections: &Connections) -> Result<App, Error> {
    app_stream::check_server(&connections.read)?;
    let (context, subjects) = (connections.jetstream(), Subjects::new(&config.app));
    let witness = witness::Witness::open(&context, &subjects, config.stream.replicas).await?;
    let found = app_stream::find(&context, &subjects).await?;
    witness.check(found.as_ref().map(Reader::info)).await?;
    let reader = match found {
        Some(reader) => reader,
        None => app_stream::create(&context, &subjects, config.stream.replicas).await?,
    };
    let info = reader.info();
    app_stream::verify(&info.config, &subjects)?;
    witness.note(&reader.fresh_info().await?).await?;
    info!(
        stream = subjects.stream(),
        replicas = info.config.num_replicas,
        "committed means stored by {} of {} servers; each writes to disk at once or within its sync_interval",
        info.config.num_replicas / 2 + 1,
        info.config.num_replicas,
    );
    Ok(App { subjects, reader, witness })
}

/// Prepares all modules. One whose input stream is not what it was halts by itself; the others run.
pub async fn modules(
    config: &Config,
    engine: &Engine,
    connections: &Connections,
    app: &App,
    bounds: Bounds,
) -> Result<Vec<Deployed>, Error> {
    let mut deployed = Vec::new();
    for module in &config.modules {
        let failed = |cause| Error::Plugin { module: module.name.to_string(), cause };
        let plugin = Plugin::load(engine, &module.plugin).map_err(failed)?;
        let setup = SetUp { app_name: &config.app, app, connections, module, plugin, bounds };
        match setup.deploy().await {
            Ok(ready) => deployed.push(ready),
            Err(Error::Input { module, cause }) => error!(module, %cause, "module halts"),
            Err(error) => return Err(error),
        }
    }
    if deployed.is_empty() { Err(Error::NothingRuns) } else { Ok(deployed) }
}

struct SetUp<'a> {
    app_name: &'a Name,
    app: &'a App,
    connections: &'a Connections,
    module: &'a Module,
    plugin: Plugin,
    bounds: Bounds,
}

impl SetUp<'_> {
    async fn deploy(self) -> Result<Deployed, Error> {
        let Module { name, input, key, lanes, grants, config, limits, .. } = self.module;
        let stream = InputStream::open(&self.connections.jetstream(), &input.stream).await;
        let stream = stream.map_err(|cause| self.input(cause))?;
        let is_new = self.record(&stream).await?;
        let mut owned = Vec::new();
        for number in 0..lanes.get() {
            owned.push(OwnedLane { number, owned: self.take_over(&stream, number).await?, is_new });
        }
        let routing = Routing { module: name.clone(), input: input.clone(), key: key.clone(), lanes: lanes.get() };
        let origin = Origin {
            subjects: self.app.subjects.clone(),
            app: self.app_name.clone(),
            module: name.clone(),
            stream: stream.name().to_owned(),
            created: stream.created(),
        };
        info!(module = %name, plugin = self.plugin.digest, role = ?self.plugin.role, lanes = lanes.get(), "module ready");
        let job = Job {
            plugin: self.plugin,
            setting: Setting { module: name.clone(), config: Arc::new(config.clone()), limits: *limits },
            grants: Arc::new(grants.clone()),
            bounds: self.bounds,
            origin: Arc::new(origin),
        };
        Ok(Deployed { stream, routing: Arc::new(routing), job, lanes: owned })
    }

    fn input(&self, cause: source::Error) -> Error {
        Error::Input { module: self.module.name.to_string(), cause }
    }

    /// Compares the module with its record, or makes record, views and checkpoints in one batch. True if it is new.
    async fn record(&self, stream: &InputStream) -> Result<bool, Error> {
        let now = Record::of(self.module, &self.plugin.digest);
        let subject = self.app.subjects.module(&self.module.name);
        let Some(Stored { value: was, revision }) = self.app.reader.last_json::<Record>(&subject).await? else {
            self.create(&now, stream).await?;
            return Ok(true);
        };
        was.allows(&now)?;
        if was != now {
            self.write(vec![replacing(&subject.into(), json(&now), revision)]).await?;
        }
        Ok(false)
    }

    async fn create(&self, record: &Record, stream: &InputStream) -> Result<(), Error> {
        let (subjects, name) = (&self.app.subjects, &self.module.name);
        let start = stream.start(self.module.from).await.map_err(|cause| self.input(cause))?;
        let checkpoint = Checkpoint::start(stream.name(), &stream.created(), start);
        let live = FIRST_GENERATION.to_string().into_bytes();
        let mut batch = vec![replacing(&subjects.module(name).into(), json(record), NEVER_WRITTEN)];
        for view in &record.views {
            let pointer = subjects.live_generation(view).into();
            // A view may have had another owner before.
            let mut message = replacing(&pointer, live.clone(), NEVER_WRITTEN);
            message.headers.truncate(1);
            batch.push(message);
        }
        for lane in 0..record.lanes {
            let subject = subjects.checkpoint(name, FIRST_GENERATION, lane).into();
            batch.push(checkpoint_message(&subject, &checkpoint, NEVER_WRITTEN));
        }
        info!(module = %name, behind = %start.sequence, "module is new");
        self.write(batch).await
    }

    /// Takes a lane over: the next epoch, guarded by the checkpoint read. From then on every batch of the owner before
    /// is rejected.
    async fn take_over(&self, stream: &InputStream, lane: u16) -> Result<Stored<Checkpoint>, Error> {
        let subject = self.app.subjects.checkpoint(&self.module.name, FIRST_GENERATION, lane);
        let Some(stored) = self.app.reader.last_json::<Checkpoint>(&subject).await? else {
            return Err(self.set_up(format!("its checkpoint {subject} is gone from the app stream")));
        };
        stream.recognise(&stored.value).await.map_err(|cause| self.input(cause))?;
        let value = stored.value.taken_over();
        let revision = self.write_one(checkpoint_message(&subject.into(), &value, stored.revision)).await?;
        Ok(Stored { value, revision })
    }

    async fn write(&self, batch: Vec<Outgoing>) -> Result<(), Error> {
        match Publisher::new(self.connections.commit.clone()).publish(&batch).await {
            Outcome::Committed(_) => Ok(()),
            other => Err(self.set_up(format!("{other:?}; start again"))),
        }
    }

    async fn write_one(&self, message: Outgoing) -> Result<Sequence, Error> {
        match Publisher::new(self.connections.commit.clone()).publish(&[message]).await {
            Outcome::Committed(sequence) => Ok(sequence),
            other => Err(self.set_up(format!("{other:?}; another host may be starting; start again"))),
        }
    }

    fn set_up(&self, cause: String) -> Error {
        Error::SetUp { module: self.module.name.to_string(), cause }
    }
}

fn json(record: &Record) -> Vec<u8> {
    serde_json::to_vec(record).unwrap_or_default()
}
