//! Asks a server, an app and its config for what [`findings`](super::findings) judges. Writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::stream::{DiscardPolicy, StorageType};
use async_nats::{Client, jetstream};
use hyper::Uri;
use serde::Deserialize;
use time::OffsetDateTime;

use super::monitor::{self, Monitored, Variables};
use super::{AppStream, Facts, Input, Module, Server, Storage, Sync};
use crate::commit::app_stream;
use crate::commit::read::Reader;
use crate::commit::record::Record;
use crate::commit::witness::Witness;
use crate::config::{self, Config};
use crate::control;
use crate::event::rfc3339;
use crate::guest::{Engines, Plugin};
use crate::host::Connections;
use crate::query::{self, Query};
use crate::route::Filter;
use crate::source::InputStream;
use crate::subject::{Name, Subjects};

/// Collects the facts of the app that `config` describes, at `now`, and of the servers whose monitoring addresses these are.
pub async fn collect(config: &Config, connections: &Connections, monitors: &[Uri], now: OffsetDateTime) -> Facts {
    let (context, subjects) = (connections.jetstream(), Subjects::new(&config.app));
    let witness = Witness::find(&context, &subjects).await;
    let seen = match &witness {
        Some(witness) => witness.seen().await,
        None => Ok(None),
    };
    let found = app_stream::find(&context, &subjects).await;
    let reader = found.as_ref().ok().and_then(Option::as_ref);
    let witness = match (witness, seen, &found) {
        (_, _, Err(error)) => Err(error.to_string()),
        (_, Err(error), _) => Err(error.to_string()),
        (Some(witness), Ok(seen), Ok(reader)) => {
            let seen = seen.as_ref().map(|seen| &seen.value);
            witness.check(seen, reader.as_ref().map(Reader::info)).map_err(|e| e.to_string())
        }
        (None, Ok(_), Ok(_)) => Ok(()),
    };
    let mut facts = Facts {
        server: server(connections, &context, monitors).await,
        app_stream: None,
        witness,
        plugins: plugins(config),
        inputs: inputs(config, &context, &subjects).await,
        modules: BTreeMap::new(),
        left: Vec::new(),
        unlisted: Vec::new(),
        dead_letters: BTreeMap::new(),
    };
    if let Some(reader) = reader {
        facts.app_stream = Some(of_app_stream(config, connections, reader, &subjects, now).await);
        facts.server.ahead = clock(&context, reader.name()).await;
    }
    if let Ok(query) = Query::open(context, &config.app).await {
        known(config, connections, &query, &mut facts, now).await;
    } else {
        let never = |module: &config::Module| Module {
            stream: module.input.stream.clone(),
            ran: Ok(None),
            changed: None,
            behind: (None, None),
            hosts: None,
        };
        facts.modules = config.modules.iter().map(|module| (module.name.clone(), never(module))).collect();
    }
    facts
}

async fn server(connections: &Connections, context: &jetstream::Context, monitors: &[Uri]) -> Server {
    let info = connections.read.server_info();
    let jetstream = context.query_account().await.map_err(|e| e.to_string()).map(|account| Storage {
        used: account.storage,
        limit: account.limits.max_storage.and_then(|limit| u64::try_from(limit).ok()),
    });
    let mut monitored = BTreeMap::new();
    for address in monitors {
        monitored.insert(address.to_string(), monitor::ask(address).await);
    }
    let sync = if monitored.is_empty() { sync(&connections.read, &info.server_id).await } else { last(&monitored) };
    Server {
        fits: app_stream::check_server(&connections.read).is_ok(),
        jetstream,
        sync,
        monitored,
        version: info.version,
        ahead: None,
    }
}

/// When the server writes to disk. By NATS it tells only users of its system account.
async fn sync(client: &Client, server: &str) -> Option<Sync> {
    #[derive(Deserialize)]
    struct Answer {
        data: Variables,
    }
    let subject = format!("$SYS.REQ.SERVER.{server}.VARZ");
    let answer = tokio::time::timeout(Duration::from_secs(1), client.request(subject, "{}".into())).await.ok()?.ok()?;
    serde_json::from_slice::<Answer>(&answer.payload).ok()?.data.sync()
}

/// What holds for all of these servers: when the last of them writes to disk; none if one does not say.
fn last(monitored: &BTreeMap<String, Result<Monitored, String>>) -> Option<Sync> {
    let each = monitored.values().map(|server| server.as_ref().ok().map(|server| server.sync));
    each.reduce(|one, other| match (one?, other?) {
        (Sync::Always, sync) | (sync, Sync::Always) => Some(sync),
        (Sync::Every(one), Sync::Every(other)) => Some(Sync::Every(one.max(other))),
    })?
}

/// How far the server's clock is ahead, as a reader that it makes shows it.
async fn clock(context: &jetstream::Context, stream: &str) -> Option<f64> {
    let stream = InputStream::open(context, stream).await.ok()?;
    let before = OffsetDateTime::now_utc();
    let servers = stream.clock().await.ok()?;
    let after = OffsetDateTime::now_utc();
    let meanwhile: time::Duration = after - before;
    Some((servers - before).as_seconds_f64() - meanwhile.as_seconds_f64() / 2.0)
}

async fn of_app_stream(
    config: &Config,
    connections: &Connections,
    reader: &Reader,
    subjects: &Subjects,
    now: OffsetDateTime,
) -> AppStream {
    let info = reader.info();
    let publisher = connections.publisher();
    let mut may_publish = Ok(());
    for subject in subjects.samples() {
        may_publish = may_publish.and(publisher.may_publish(subject).await);
    }
    let kept = config.modules.iter().flat_map(|module| &module.grants.emits).filter(|(_, kept)| kept.is_none());
    AppStream {
        setting: app_stream::verify(&info.config, subjects).map_err(|e| e.to_string()),
        replicas: info.config.num_replicas,
        bytes: info.state.bytes,
        messages: info.state.messages,
        age: (now - info.created).try_into().unwrap_or_default(),
        may_publish,
        kept_for_ever: kept.map(|(category, _)| category.clone()).collect(),
    }
}

fn plugins(config: &Config) -> BTreeMap<Name, Result<(), String>> {
    let mut engines = Engines::default();
    let mut load = |module: &config::Module| {
        let engine = engines.with_stack(module.limits.stack).map_err(|e| e.to_string())?;
        Plugin::load(&engine, &module.plugin, module.digest.as_deref()).map(|_| ()).map_err(|e| e.to_string())
    };
    config.modules.iter().map(|module| (module.name.clone(), load(module))).collect()
}

async fn inputs(
    config: &Config,
    context: &jetstream::Context,
    subjects: &Subjects,
) -> BTreeMap<String, Result<Input, String>> {
    let mut inputs = BTreeMap::new();
    for module in config.modules.iter().filter(|module| module.input.stream != subjects.stream()) {
        let name = &module.input.stream;
        if !inputs.contains_key(name) {
            let opened = InputStream::open(context, name).await;
            inputs.insert(name.clone(), opened.map(|stream| input(&stream, subjects)).map_err(|e| e.to_string()));
        }
    }
    inputs
}

fn input(stream: &InputStream, subjects: &Subjects) -> Input {
    let info = stream.info();
    let own: Vec<Filter> = subjects.all().into_iter().filter_map(|subject| Filter::try_from(subject).ok()).collect();
    let overlaps = |subject: &&String| {
        let subject = Filter::try_from((*subject).clone());
        subject.is_ok_and(|subject| own.iter().any(|own| own.overlaps(&subject)))
    };
    Input {
        created: rfc3339(info.created),
        holds: (info.state.first_sequence, info.state.last_sequence),
        in_files: info.config.storage == StorageType::File,
        replicas: info.config.num_replicas,
        most_messages: u64::try_from(info.config.max_messages).ok().filter(|most| *most > 0),
        longest: Some(info.config.max_age).filter(|longest| !longest.is_zero()),
        limits_bytes: info.config.max_bytes > 0,
        refuses: info.config.discard == DiscardPolicy::New,
        overlaps: info.config.subjects.iter().find(overlaps).cloned(),
    }
}

/// Adds what the app stream knows of modules and dead letters.
async fn known(config: &Config, connections: &Connections, query: &Query, facts: &mut Facts, now: OffsetDateTime) {
    let reports = control::status::ask(&connections.read, &Subjects::new(&config.app)).await.ok();
    for module in &config.modules {
        let mut known = known_of(module, query, now).await;
        known.hosts = reports.as_ref().map(|reports| reports.iter().filter(|report| report.runs(&module.name)).count());
        facts.modules.insert(module.name.clone(), known);
    }
    match query.module_names().await {
        Ok(names) => facts.left = names.into_iter().filter(|name| !facts.modules.contains_key(name)).collect(),
        Err(error) => facts.unlisted.push(error.to_string()),
    }
    match query.waiting().await {
        Ok(waiting) => facts.dead_letters = waiting,
        Err(error) => facts.unlisted.push(error.to_string()),
    }
}

/// What it knows of one module. What cannot be read is not the same as what is not there.
async fn known_of(module: &config::Module, query: &Query, now: OffsetDateTime) -> Module {
    let stream = module.input.stream.clone();
    let state = match query.module(&module.name).await {
        Ok(state) => state,
        Err(error) => {
            let ran = if matches!(error, query::Error::Unknown { .. }) { Ok(None) } else { Err(error.to_string()) };
            return Module { stream, ran, changed: None, behind: (None, None), hosts: None };
        }
    };
    let wanted = Record::of(module, &state.record.edition.plugin);
    let changed = state.record.allows(&wanted).err().map(|changed| changed.to_string());
    let lags = query.lags(std::slice::from_ref(&module.name), now).await.unwrap_or_default();
    let seconds = lags.first().and_then(|lag| lag.seconds);
    let (ran, behind) = (Ok(Some((state.record, state.checkpoints))), (state.lag, seconds));
    Module { stream, ran, changed, behind, hosts: None }
}
