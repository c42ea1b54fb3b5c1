//! The config file of an app: one app, its NATS server, its modules. Parsed once, then trusted.
//!
//! Unknown keys and bad values are errors with line and column.

mod context;
mod http;
mod limits;
mod meant;
mod nats;
mod parse;
mod secret;
mod settings;
mod streams;
mod traces;
mod values;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

pub use http::{Http, Tls as HttpTls};
pub use limits::{LARGEST_MEMORY, LARGEST_STACK, Limits, MOST_INSTANCES, MOST_TABLES};
pub use nats::{Auth, Nats, Tls};
pub use parse::{Error, load, parse};
pub use secret::Secret;
pub use traces::{Endpoint, Export, Traces};
pub use values::{From, Lanes, Period, Size};

use crate::effects::Grants;
use crate::ownership::Rhythm;
use crate::policy::{OnFailure, OnGap, breaker};
use crate::route::{Filter, KeyExpr};
use crate::source::streams::Wanted;
use crate::subject::Name;

/// The config of one app.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file.
    pub file: PathBuf,
    /// The app.
    pub app: Name,
    /// How to reach NATS.
    pub nats: Nats,
    /// How the app stream is made and written.
    pub stream: Stream,
    /// How hosts of the app tell each other that they live.
    pub hosts: Rhythm,
    /// The input streams that are declared.
    pub streams: Vec<Wanted>,
    /// Where it serves HTTP; none if it does not.
    pub http: Option<Http>,
    /// What part of traces is sampled, and where their spans go.
    pub traces: Traces,
    /// The modules, by name.
    pub modules: Vec<Module>,
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
    /// The command that builds it, for `pelton dev`.
    pub build: Option<String>,
    /// Where inputs come from.
    pub input: Input,
    /// Where keys come from.
    pub key: KeyExpr,
    /// The number of lanes.
    pub lanes: Lanes,
    /// The labels of hosts that may run it; none is any host.
    pub hosts: BTreeSet<Name>,
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
    /// What becomes of it when inputs were removed before it had them.
    pub on_gap: OnGap,
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
