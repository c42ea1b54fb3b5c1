//! Who needs which subjects: the host of an app, its readers, and producers of its inputs. Pure.
//!
//! A NATS client may name any subject as the one that its answer goes to, and the server publishes the answer there
//! without asking what that client may publish. So within one account, permissions do not keep anybody from the app
//! stream who may ask for anything. The boundary is the account: readers and producers have one of their own, which
//! imports what they may ask for, and answers to it stay in it.

mod nsc;
mod server;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::config::Config;
use crate::route::Filter;
use crate::subject::{Name, Subjects};

/// Who works with an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the app, and all that operators do
    Host,
    /// Reads views and events
    Reader,
    /// Publishes inputs
    Producer,
}

/// What a user may do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct User {
    /// What for.
    pub role: Role,
    /// Its name.
    pub name: String,
    /// The account that it is of.
    pub account: String,
    /// Subjects that it may publish to.
    pub publish: Vec<String>,
    /// Subjects that it may subscribe to.
    pub subscribe: Vec<String>,
    /// Whether it may answer what it is asked.
    pub responds: bool,
}

/// The users of an app, and what its account offers to that of the others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Permissions {
    /// The app.
    pub app: Name,
    /// The users.
    pub users: Vec<User>,
    /// What the others may ask for: services. Those of the JetStream API have the app's name as their domain there.
    pub services: Vec<String>,
    /// What the others may subscribe to: streams.
    pub streams: Vec<String>,
}

/// The inputs of a module are not known by subject.
#[derive(Debug, thiserror::Error)]
#[error("module {0:?} takes the whole stream {1}: name the stream's subjects with --input, as in --input 'orders.>'")]
pub struct Unnamed(String, String);

/// The permissions for the app of `config`, whose inputs are published on the subjects that its filters name, and on
/// `inputs`.
pub fn permissions(config: &Config, inputs: &[String]) -> Result<Permissions, Unnamed> {
    let subjects = Subjects::new(&config.app);
    let inputs = subjects_of_inputs(config, &subjects, inputs)?;
    let account = config.app.as_str().to_uppercase().replace('-', "_");
    let user = |role, account: &str, publish, subscribe| User {
        role,
        name: format!("{}-{}", config.app, word(role)),
        account: account.to_owned(),
        publish,
        subscribe,
        responds: role == Role::Host,
    };
    let (services, streams) = (asked_by_readers(&subjects), read_live(&subjects));
    let others = format!("{account}_CLIENTS");
    let inbox = || "_INBOX.>".to_owned();
    let host = user(Role::Host, &account, host(config, &subjects, &inputs), heard_by_host(config, &subjects));
    let asked = services.iter().map(|service| local(&config.app, service)).collect();
    let reader = user(Role::Reader, &others, asked, [vec![inbox()], streams.clone()].concat());
    let producer = user(Role::Producer, &others, inputs.clone(), vec![inbox()]);
    Ok(Permissions {
        app: config.app.clone(),
        users: vec![host, reader, producer],
        services: [services, inputs].concat(),
        streams,
    })
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Host => "host",
        Role::Reader => "reader",
        Role::Producer => "producer",
    }
}

/// The subjects on which inputs are published: those of filters on other streams than the app's, and those that are named.
fn subjects_of_inputs(config: &Config, subjects: &Subjects, named: &[String]) -> Result<Vec<String>, Unnamed> {
    let mut all: Vec<String> = named.to_vec();
    for module in config.modules.iter().filter(|module| module.input.stream != subjects.stream()) {
        if module.input.filters.is_empty() && named.is_empty() {
            return Err(Unnamed(module.name.to_string(), module.input.stream.clone()));
        }
        all.extend(Filter::texts(&module.input.filters));
    }
    all.sort();
    all.dedup();
    Ok(all)
}

/// What the host asks and writes.
fn host(config: &Config, subjects: &Subjects, inputs: &[String]) -> Vec<String> {
    let api = &config.nats.api_prefix;
    let own = [subjects.stream(), format!("KV_{}", subjects.hosts_bucket())];
    let read = config.modules.iter().map(|module| module.input.stream.clone());
    let read: BTreeSet<String> = own.into_iter().chain(read).collect();
    let declared = config.streams.iter().map(|stream| stream.name.clone());
    let made: BTreeSet<String> = read.iter().cloned().chain(declared).collect();
    let of_made = |stream: &String| {
        [
            format!("{api}.STREAM.INFO.{stream}"),
            format!("{api}.STREAM.CREATE.{stream}"),
            format!("{api}.STREAM.UPDATE.{stream}"),
        ]
    };
    let of_read = |stream: &String| {
        [
            format!("{api}.STREAM.MSG.GET.{stream}"),
            format!("{api}.DIRECT.GET.{stream}"),
            format!("{api}.DIRECT.GET.{stream}.>"),
            format!("{api}.CONSUMER.CREATE.{stream}"),
            format!("{api}.CONSUMER.*.{stream}.>"),
            format!("{api}.CONSUMER.MSG.NEXT.{stream}.>"),
        ]
    };
    let mut all = vec![format!("{api}.INFO")];
    all.extend(made.iter().flat_map(of_made));
    all.extend(read.iter().flat_map(of_read));
    all.extend(subjects.all());
    all.push(format!("$KV.{}.>", subjects.hosts_bucket()));
    if api != "$JS.API" {
        all.push(format!("{api}.$KV.{}.>", subjects.hosts_bucket()));
    }
    all.extend([format!("pelton-control.{}.>", config.app), queries(subjects)]);
    all.extend(inputs.iter().cloned());
    all
}

/// What the host hears: answers, where its connection has them sent, and what it is asked.
fn heard_by_host(config: &Config, subjects: &Subjects) -> Vec<String> {
    let inbox = config.nats.inbox_prefix.as_deref().unwrap_or("_INBOX");
    let control = format!("pelton-control.{}.>", config.app);
    [format!("{inbox}.>"), control, queries(subjects), "$SRV.>".to_owned()].into()
}

/// Where a running host answers questions.
fn queries(subjects: &Subjects) -> String {
    format!("{}.>", subjects.queries())
}

/// What readers ask for: the app stream's state, messages of it, and what a running host answers.
fn asked_by_readers(subjects: &Subjects) -> Vec<String> {
    let stream = subjects.stream();
    [
        format!("$JS.API.STREAM.INFO.{stream}"),
        format!("$JS.API.STREAM.MSG.GET.{stream}"),
        format!("$JS.API.DIRECT.GET.{stream}.>"),
        queries(subjects),
    ]
    .into()
}

/// What a service of the app's account is called in that of the others: the JetStream API has a domain there that is named
/// like the app, since `$JS.API` is the account's own.
fn local(app: &Name, service: &str) -> String {
    match service.strip_prefix("$JS.API.") {
        Some(rest) => format!("$JS.{app}.API.{rest}"),
        None => service.to_owned(),
    }
}

/// What readers hear as it is stored.
fn read_live(subjects: &Subjects) -> Vec<String> {
    let [views, _] = subjects.all();
    vec![views, subjects.all_events()]
}

#[cfg(test)]
mod tests;
