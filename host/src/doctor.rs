//! Looks an app and its server over: what is as it should be, what is not, and what mends it.
//!
//! [`collect`] asks the server for [`Facts`]; [`findings`] says what they mean, and is pure.

pub mod collect;
mod judge;
pub mod monitor;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

pub use self::judge::findings;
use self::monitor::Monitored;
use crate::commit::checkpoint::Checkpoint;
use crate::commit::record::Record;
use crate::subject::Name;

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// How it is.
    pub level: Level,
    /// What was looked at.
    pub what: String,
    /// What was seen.
    pub seen: String,
    /// What mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but somebody should know.
    Warn,
    /// It does not work, or loses something.
    Error,
}

/// What is known of an app and its server.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The server.
    pub server: Server,
    /// The app stream, if there is one.
    pub app_stream: Option<AppStream>,
    /// Whether the app stream is the one that the app ran on: if not, why.
    pub witness: Result<(), String>,
    /// The plugins of the config: for those that do not load, why.
    pub plugins: BTreeMap<Name, Result<(), String>>,
    /// The input streams of the config's modules.
    pub inputs: BTreeMap<String, Result<Input, String>>,
    /// The modules of the config, and what the app stream knows of them.
    pub modules: BTreeMap<Name, Module>,
    /// Modules that the app stream knows and the config does not.
    pub left: Vec<Name>,
    /// What of the app stream could not be listed, and why.
    pub unlisted: Vec<String>,
    /// Dead letters that wait, by module.
    pub dead_letters: BTreeMap<Name, usize>,
}

/// What is known of the server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its version.
    pub version: String,
    /// Whether a commit can stand on it.
    pub fits: bool,
    /// JetStream for this account, or why it cannot be used.
    pub jetstream: Result<Storage, String>,
    /// When it and the servers beside it write to disk, if they say so.
    pub sync: Option<Sync>,
    /// What servers say at their monitoring addresses.
    pub monitored: BTreeMap<String, Result<Monitored, String>>,
    /// How far its clock is ahead of this machine's, in seconds, if that could be seen.
    pub ahead: Option<f64>,
}

/// What an account, or a server, stores in files.
#[derive(Clone, Copy, Debug)]
pub struct Storage {
    /// Bytes stored.
    pub used: u64,
    /// Bytes that may be stored, if there is a limit.
    pub limit: Option<u64>,
}

/// When a server writes what it stored to disk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sync {
    /// Before it says that it is stored.
    Always,
    /// At intervals.
    Every(Duration),
}

/// What is known of the app stream.
#[derive(Clone, Debug)]
pub struct AppStream {
    /// The first setting that a commit cannot live with.
    pub setting: Result<(), String>,
    /// Servers that store it.
    pub replicas: usize,
    /// Its bytes.
    pub bytes: u64,
    /// Its messages.
    pub messages: u64,
    /// How long ago it was created.
    pub age: Duration,
    /// Whether this user may publish to it: if not, why.
    pub may_publish: Result<(), String>,
    /// Emitted categories that are kept for ever.
    pub kept_for_ever: Vec<Name>,
}

/// What is known of an input stream.
#[derive(Clone, Debug)]
pub struct Input {
    /// When it was created, RFC 3339.
    pub created: String,
    /// Its first and last position.
    pub holds: (u64, u64),
    /// Whether it is stored in files.
    pub in_files: bool,
    /// Servers that store it.
    pub replicas: usize,
    /// The most messages it holds, if there is a limit.
    pub most_messages: Option<u64>,
    /// How long it holds them, if there is a limit.
    pub longest: Option<Duration>,
    /// Whether it limits bytes.
    pub limits_bytes: bool,
    /// Whether it refuses messages when it is full.
    pub refuses: bool,
    /// A subject of its that overlaps those of the app.
    pub overlaps: Option<String>,
}

/// A module of the config, and what the app stream knows of it.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its input stream.
    pub stream: String,
    /// Its record, if it ever ran, and its checkpoints; or why they cannot be read.
    pub ran: Result<Option<(Record, Vec<Checkpoint>)>, String>,
    /// What of the config its record forbids.
    pub changed: Option<String>,
    /// How far behind it is, in messages and seconds.
    pub behind: (Option<u64>, Option<f64>),
    /// How many hosts say that they run it; none if they cannot be asked.
    pub hosts: Option<usize>,
}

impl Server {
    /// When `replicas` servers write to disk: known if all were asked, or if this one told an account that may ask.
    fn sync_of(&self, replicas: usize) -> Option<Sync> {
        let asked: BTreeSet<_> = self.monitored.values().flatten().map(|told| &told.server).collect();
        self.sync.filter(|_| self.monitored.is_empty() || asked.len() >= replicas)
    }
}

impl Module {
    /// Its record and its checkpoints, if it ran and they can be read.
    fn stands(&self) -> Option<&(Record, Vec<Checkpoint>)> {
        self.ran.as_ref().ok()?.as_ref()
    }
}

impl Finding {
    fn ok(what: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { level: Level::Ok, what: what.into(), seen: seen.into(), mend: None }
    }

    fn warn(what: impl Into<String>, seen: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Warn, mend: Some(mend.into()), ..Self::ok(what, seen) }
    }

    fn error(what: impl Into<String>, seen: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Error, mend: Some(mend.into()), ..Self::ok(what, seen) }
    }
}

#[cfg(test)]
mod tests;
