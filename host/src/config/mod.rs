//! The config file of an app: one app, its NATS server, its modules. Parsed once, then trusted.
//!
//! Unknown keys and bad values are errors with line and column.

mod http;
mod limits;
mod meant;
mod parse;
mod values;
mod written;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use http::{Http, Secret, Tls};
pub use limits::{LARGEST_MEMORY, LARGEST_STACK, Limits, MOST_INSTANCES, MOST_TABLES};
pub use parse::{Error, load, parse};
pub use values::{From, Lanes, Period, Size};

use crate::effects::Grants;
use crate::policy::{OnFailure, breaker};
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
    /// Where it serves HTTP; none if it does not.
    pub http: Option<Http>,
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
    /// How often an input that asks for it is tried.
    pub attempts: u32,
    /// What becomes of an input that failed.
    pub on_failure: OnFailure,
    /// When the module stops itself for a while.
    pub breaker: breaker::Setting,
    /// How far apart repeated inputs are recognised; none if each is an input of its own.
    pub dedupe: Option<Duration>,
    /// The digest that its plugin must have.
    pub digest: Option<String>,
    /// Whether each event gets an instance of its own, so that no state can hide in one.
    pub fresh: bool,
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
