//! The config file of an app: one app, its NATS server, its modules. Parsed once, then trusted.
//!
//! Unknown keys and bad values are errors with line and column.

mod meant;
mod parse;
mod values;
mod written;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use parse::{Error, load, parse};
pub use values::{From, Lanes};

use crate::effects::Grants;
use crate::route::{Filter, KeyExpr};
use crate::subject::Name;

/// The config of one app.
#[derive(Clone, Debug)]
pub struct Config {
    /// The app.
    pub app: Name,
    /// How to reach NATS.
    pub nats: Nats,
    /// How the app stream is made and written.
    pub stream: Stream,
    /// The modules, by name.
    pub modules: Vec<Module>,
}

/// How to reach NATS.
#[derive(Clone, Debug)]
pub struct Nats {
    /// The server, `nats://HOST:PORT`; several with commas between.
    pub url: String,
    /// A credentials file.
    pub creds: Option<PathBuf>,
}

/// How the app stream is made and written.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// Replicas, if Pelton makes it.
    pub replicas: usize,
    /// Messages of one batch; more than 1,000 needs the server's setting `batch { max_msgs }`.
    pub batch: usize,
    /// How often the checkpoints of lanes without inputs advance.
    pub advance: Duration,
}

/// A plugin as deployed.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its name.
    pub name: Name,
    /// The plugin's file.
    pub plugin: PathBuf,
    /// Where inputs come from.
    pub input: Input,
    /// Where keys come from.
    pub key: KeyExpr,
    /// The number of lanes.
    pub lanes: Lanes,
    /// Where a new module starts.
    pub from: From,
    /// What it may write.
    pub grants: Grants,
    /// What the plugin sees as its config.
    pub config: BTreeMap<String, String>,
    /// What it may use.
    pub limits: Limits,
}

/// Where a module's inputs come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The stream.
    pub stream: String,
    /// Subject filters; none is the whole stream.
    pub filters: Vec<Filter>,
}

impl Input {
    /// Whether a message on `subject` is an input.
    pub fn takes(&self, subject: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.matches(subject))
    }
}

/// What a module may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How often an input that asks for it is tried.
    pub attempts: u32,
    /// How long one call may run.
    pub deadline: Duration,
    /// Linear memory, in bytes.
    pub memory: usize,
    /// Lines that it may log in a second.
    pub log_lines: u32,
    /// Bytes that it may log in a second.
    pub log_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attempts: 5, deadline: Duration::from_secs(1), memory: 64 << 20, log_lines: 100, log_bytes: 64 << 10 }
    }
}
