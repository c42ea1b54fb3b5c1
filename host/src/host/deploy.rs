//! Compares a module with its record, and writes the record if this host is the one to deploy it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::{info, warn};

use super::prepare::Loaded;
use super::{App, Connections, Error};
use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::commit::ledger;
use crate::commit::record::{Record, State};
use crate::config::Module;
use crate::effects::{Bounds, Origin};
use crate::event::Sequence;
use crate::guest::Setting;
use crate::lane::runner::Job;
use crate::ownership::members::Members;
use crate::ownership::{Edition, Heartbeat};
use crate::policy::breaker::Breaker;
use crate::policy::{OnGap, Rules, backoff};
use crate::source::{InputStream, Routing};

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
    /// What becomes of it when inputs were removed before it had them.
    pub on_gap: OnGap,
    /// What stops it for a while.
    pub breaker: Arc<Mutex<Breaker>>,
    /// How far apart repeated inputs are recognised.
    pub dedupe: Option<Duration>,
    /// Its record.
    pub record: Stored<Record>,
}

/// How a module stands with its record.
pub enum Standing {
    /// This host may run its lanes.
    Runs(Box<Deployed>),
    /// An operator paused it.
    Paused,
    /// It was stopped, for this reason.
    Halted(String),
    /// Other hosts run it as something else than this one would, which this says.
    Differs(String),
}

/// When a module is compared with its record.
#[derive(Clone, Copy, Debug)]
pub struct When {
    /// The host has only just started: then a module that was halted is tried again.
    pub starts: bool,
    /// The record has not changed lately, so that what is known of other hosts is what they run now.
    pub is_settled: bool,
}

/// How often a record is written anew when another host writes at the same time.
const TRIES: u32 = 5;

/// Compares a module with its record. A host that finds no other that knows the module deploys it, and so does the first
/// of those left when nobody runs it as the record says any more; any other one joins in, if it would run the same.
pub async fn deploy(
    app: &App,
    connections: &Connections,
    members: &Members,
    loaded: &mut Loaded,
    bounds: Bounds,
    When { starts, is_settled }: When,
) -> Result<Standing, Error> {
    let name = loaded.module.name.clone();
    let failed = |cause| Error::SetUp { module: name.to_string(), cause };
    let input = |cause| Error::Input { module: name.to_string(), cause };
    let mut tries = 1;
    loop {
        let was = app.ledger.record(&name).await.map_err(failed)?;
        let mut now = Record::of(&loaded.module, &loaded.plugin().digest);
        if let Some(Stored { value: was, .. }) = &was {
            if was.state == State::Paused {
                return Ok(Standing::Paused);
            }
            if let Err(changed) = was.allows(&now) {
                let is_alone = starts && !members.others_know(&name);
                return if is_alone { Err(changed.into()) } else { Ok(Standing::Differs(changed.to_string())) };
            }
            loaded.adopt(&was.edition.plugin);
            loaded.scale(was.lanes);
            let (generation, scaled) = (was.generation, was.scaled.clone());
            now = Record { generation, scaled, ..Record::of(&loaded.module, &loaded.plugin().digest) };
        }
        let stream = InputStream::open(&connections.jetstream(), &loaded.module.input.stream).await.map_err(input)?;
        let first = match &was {
            Some(was) => {
                let deploys = match members.other_with(&name, &was.value.edition) {
                    _ if starts && !members.others_know(&name) => true,
                    _ if was.value.edition == now.edition => false,
                    Some(other) => return Ok(Standing::Differs(difference(&was.value.edition, &now.edition, other))),
                    None => is_settled && members.is_eldest(&name),
                };
                if let State::Halted(why) = &was.value.state
                    && !deploys
                {
                    return Ok(Standing::Halted(why.clone()));
                }
                if !deploys && was.value.edition == now.edition {
                    return Ok(ready(app, loaded, bounds, stream, was.clone()));
                }
                if !deploys {
                    return Ok(Standing::Differs("another host is about to deploy it".to_owned()));
                }
                None
            }
            None if members.is_eldest(&name) => {
                // Another module may have owned its views: what that wrote is none of its own.
                now.generation = app.ledger.next_generation(&now.views).await.map_err(failed)?;
                Some(first_checkpoint(&loaded.module, &stream).await?)
            }
            None => return Ok(Standing::Differs("another host is about to deploy it".to_owned())),
        };
        match app.ledger.deploy(&now, was.as_ref(), first.as_ref()).await {
            Ok(revision) => return Ok(ready(app, loaded, bounds, stream, Stored { value: now, revision })),
            Err(error @ (ledger::Error::Contended | ledger::Error::Unanswered(_))) if tries < TRIES => {
                warn!(module = %name, %error, "the module's record is read again");
                tokio::time::sleep(backoff(Sequence(std::process::id().into()), tries)).await;
                tries += 1;
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

fn difference(runs: &Edition, here: &Edition, other: &Heartbeat) -> String {
    let host = &other.name;
    if runs.plugin == here.plugin {
        return format!("its settings here are not those that {host} runs it with: make the config files alike");
    }
    format!(
        "its plugin here is {}, but {host} runs {}: `pelton module swap` has all hosts go over to another plugin",
        here.plugin, runs.plugin
    )
}

fn ready(app: &App, loaded: &Loaded, bounds: Bounds, stream: InputStream, record: Stored<Record>) -> Standing {
    let module = &loaded.module;
    // The breaker begins anew, closed.
    app.status.measured(&module.name).breaker_open.set(0);
    let plugin = loaded.plugin();
    info!(module = %module.name, plugin = plugin.digest, role = ?plugin.role, lanes = record.value.lanes, "module ready");
    Standing::Runs(Box::new(Deployed {
        routing: Arc::new(Routing::of(module)),
        job: job(app, loaded, &stream, &record.value, bounds),
        rules: Rules { attempts: module.attempts, on_failure: module.on_failure },
        on_gap: module.on_gap,
        breaker: Arc::new(Mutex::new(Breaker::new(module.breaker))),
        dedupe: module.dedupe,
        record,
        stream,
    }))
}

fn job(app: &App, loaded: &Loaded, stream: &InputStream, record: &Record, bounds: Bounds) -> Job {
    let Loaded { module, versions, keeps_instances, .. } = loaded;
    let origin = Origin {
        subjects: app.subjects.clone(),
        app: app.name.clone(),
        module: module.name.clone(),
        stream: stream.name().to_owned(),
        created: stream.created(),
        generation: record.generation,
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
        takes_all: module.input.filters.is_empty(),
        metrics: app.status.measured(&module.name),
        traced: app.traces.export.is_some(),
    }
}

/// The checkpoint that the lanes of a module begin with that nobody ran before.
async fn first_checkpoint(module: &Module, stream: &InputStream) -> Result<Checkpoint, Error> {
    let start = stream.start(module.from).await;
    let start = start.map_err(|cause| Error::Input { module: module.name.to_string(), cause })?;
    info!(module = %module.name, behind = %start.sequence, "module is new");
    Ok(Checkpoint::start(stream.name(), &stream.created(), start))
}
