//! What happens before anything runs: the app stream is made or verified, plugins are loaded.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use tokio::sync::watch;
use tracing::{info, warn};

use super::{App, Connections, Error, Place};
use crate::commit::app_stream;
use crate::commit::checkpoint::Stored;
use crate::commit::ledger::Ledger;
use crate::commit::read::Reader;
use crate::commit::witness::{Seen, Witness};
use crate::config::{Config, Lanes, Module};
use crate::event::Sequence;
use crate::guest::{Engine, Engines, Plugin};
use crate::lane::version::{Trial, Version};
use crate::ownership::Edition;
use crate::policy::backoff;
use crate::status::Status;
use crate::subject::Subjects;

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
    /// A plugin that is gone over to when the module's record names it.
    pub next: Option<Plugin>,
}

impl Loaded {
    /// The plugin that the module's record names, as far as this host knows.
    pub fn plugin(&self) -> Plugin {
        self.versions.borrow().recorded().clone()
    }

    /// The trial of the plugin that its lanes run, if it is on one.
    pub fn trial(&self) -> Option<Trial> {
        self.versions.borrow().trial.clone()
    }

    /// What this host runs the module as.
    pub fn edition(&self) -> Edition {
        Edition { plugin: self.plugin().digest, settings: self.module.settings() }
    }

    /// Runs the module with so many lanes, whatever the config says: their number was changed since by plan.
    pub fn scale(&mut self, lanes: u16) {
        let Ok(lanes) = Lanes::try_from(lanes) else { return };
        if self.module.lanes != lanes {
            let (module, was) = (&self.module.name, self.module.lanes.get());
            warn!(%module, lanes = lanes.get(), "the config says lanes = {was}, but their number was changed: say so there too");
            self.module.lanes = lanes;
            self.module.grants.many_lanes = lanes != Lanes::ONE;
        }
    }

    /// Has the lanes run `version` from their next input on. What a plugin on trial made of inputs before does not hold.
    pub fn run(&self, version: Version) {
        let before = self.versions.send_replace(version);
        before.trial.iter().for_each(Trial::void);
    }

    /// Has the lanes go on with the plugin that the record names.
    pub fn run_known(&self) {
        self.run(Version::proven(self.plugin()));
    }

    /// Goes over to the plugin of this digest, if it is the next one; true if the module runs it now.
    pub fn adopt(&mut self, digest: &str) -> bool {
        // Its record was stored, and the answer was not.
        if let Some(trial) = self.trial().filter(Trial::is_unnoted)
            && self.versions.borrow().plugin.digest == digest
        {
            trial.noted();
            self.run_known();
        }
        if let Some(next) = self.next.take_if(|next| next.digest == digest) {
            info!(module = %self.module.name, plugin = digest, "the module goes over to the plugin that its record names");
            self.run(Version::proven(next));
        }
        self.plugin().digest == digest
    }
}

/// How long a host that starts waits for streams that have no leader yet, as on a cluster that has only just come up: several tries,
/// each of which may last as long as the server is waited for.
const LEADERLESS: Duration = Duration::from_secs(60);

/// Makes or verifies the app stream.
pub async fn app(config: &Config, connections: &Connections, place: &Place) -> Result<App, Error> {
    patiently(|| open(config, connections, place)).await
}

/// Tries something that asks streams which may have no leader yet.
pub async fn patiently<T, F>(attempt: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let patience = Instant::now() + LEADERLESS;
    let mut tries = 1;
    loop {
        match attempt().await {
            Err(error) if error.is_early() && Instant::now() < patience => {
                warn!(%error, "NATS does not answer yet; trying again");
                tokio::time::sleep(backoff(Sequence(std::process::id().into()), tries)).await;
                tries += 1;
            }
            done => return done,
        }
    }
}

async fn open(config: &Config, connections: &Connections, place: &Place) -> Result<App, Error> {
    app_stream::check_server(&connections.read)?;
    let (context, subjects) = (connections.jetstream(), Subjects::new(&config.app));
    let witness = Witness::open(&context, &subjects, config.stream.replicas).await?;
    let (seen, found) = recognised(&context, &subjects, &witness).await?;
    let reader = match found {
        Some(reader) => reader,
        None => app_stream::create(&context, &subjects, config.stream.replicas).await?,
    };
    let info = reader.info();
    app_stream::verify(&info.config, &subjects)?;
    app_stream::shorten_markers(&context, &info.config).await;
    witness.note(seen, info).await?;
    let servers = info.config.num_replicas;
    info!(
        stream = subjects.stream(),
        "committed means stored by {} of {servers} servers, each of which syncs to disk as its sync_interval says",
        servers / 2 + 1,
    );
    let publisher = connections.publisher();
    let ledger = Ledger::new(subjects.clone(), reader.clone(), publisher.clone());
    let status = Status::new(config.modules.iter().filter(|module| place.may_run(module)));
    let (name, traces) = (config.app.clone(), config.traces.clone());
    Ok(App { name, subjects, reader, witness, publisher, ledger, status, traces })
}

/// The app stream, if there is one and it is the one that was seen; behind what was seen of it.
pub async fn recognised(
    context: &jetstream::Context,
    subjects: &Subjects,
    witness: &Witness,
) -> Result<(Option<Stored<Seen>>, Option<Reader>), Error> {
    let seen = witness.seen().await?;
    let found = app_stream::find(context, subjects).await?;
    witness.check(seen.as_ref().map(|seen| &seen.value), found.as_ref().map(Reader::info))?;
    Ok((seen, found))
}

/// Loads the plugins of the modules that this host may run.
pub fn load(config: &Config, place: &Place) -> Result<Vec<Loaded>, Error> {
    let mut engines = Engines::default();
    let mut loaded = Vec::new();
    for module in config.modules.iter().filter(|module| place.may_run(module)) {
        let failed = |cause| Error::Plugin { module: module.name.to_string(), cause };
        let engine = engines.with_stack(module.limits.stack)?;
        let plugin = Plugin::load(&engine, &module.plugin, module.digest.as_deref()).map_err(failed)?;
        let (versions, _) = watch::channel(Version::proven(plugin));
        loaded.push(Loaded { module: module.clone(), versions, engine, keeps_instances: true, next: None });
    }
    Ok(loaded)
}
