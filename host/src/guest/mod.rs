//! Runs plugins: one engine, sandboxed instances, bindings for each WIT version. Nothing else knows wasmtime, and only
//! `v0_1` knows the WIT types.

mod cache;
mod engine;
mod error;
mod file;
mod log;
mod meter;
mod plugin;
mod random;
mod shape;
mod state;
mod v0_1;
mod wasi;

pub use engine::{Engine, EngineError, Engines, INSTANCES};
pub use error::LoadError;
pub use file::{Form, PluginFile};
pub use log::Rate;
pub use plugin::{Contents, Instance, Plugin, Role};
pub use shape::Shape;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Limits, Module};
use crate::event::{Event, Sequence};
use crate::subject::Name;

/// What an instance runs with.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The module, for its log lines.
    pub module: Name,
    /// What the plugin sees as its config.
    pub config: Arc<BTreeMap<String, String>>,
    /// What it may use.
    pub limits: Limits,
    /// How much it may log, counted over all its instances.
    pub log_rate: Arc<Rate>,
}

impl Setting {
    /// What instances of `module` run with.
    pub fn of(module: &Module) -> Self {
        Self {
            module: module.name.clone(),
            config: Arc::new(module.config.clone()),
            limits: module.limits,
            log_rate: Arc::new(Rate::new(module.limits.log_lines, module.limits.log_bytes)),
        }
    }
}

/// One input as a guest sees it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The event.
    pub event: &'a Event,
    /// The module's key of it.
    pub key: &'a Arc<str>,
    /// The input stream.
    pub stream: &'a str,
    /// Where it stands there.
    pub sequence: Sequence,
}
