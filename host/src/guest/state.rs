//! What an instance carries: its lane's views, the event it works on, its limits, and why it was stopped.

use std::sync::Arc;

use wasmtime::{StoreLimits, StoreLimitsBuilder};

use super::log::Log;
use super::wasi::Wasi;
use super::{Call, Setting};
use crate::lane::views::{GetError, Views};
use crate::policy::Failure;

/// The data of one store.
pub struct State {
    pub(super) setting: Setting,
    pub(super) views: Views,
    pub(super) key: Arc<str>,
    pub(super) wasi: Wasi,
    pub(super) log: Log,
    pub(super) limits: StoreLimits,
    /// Why the host ended the call, if it did: then the trap is only how.
    pub(super) stopped: Option<Failure>,
}

impl State {
    pub(super) fn new(setting: Setting, views: Views) -> Self {
        let limits = StoreLimitsBuilder::new()
            .memory_size(setting.limits.memory)
            .table_elements(100_000)
            .instances(200)
            .tables(50)
            .memories(4)
            .trap_on_grow_failure(true)
            .build();
        let log = Log::new(setting.module.clone(), setting.log_rate.clone());
        Self { setting, views, key: "".into(), wasi: Wasi::new(&log), log, limits, stopped: None }
    }

    /// Makes the state ready for one input.
    pub(super) fn begin(&mut self, call: Call<'_>) {
        self.key = call.key.clone();
        self.wasi.begin(call.event);
        self.stopped = None;
        self.log.begin(call.sequence);
    }

    /// The value of a view key; an error ends the call.
    pub(super) fn view(&mut self, view: &str, key: &str) -> wasmtime::Result<Option<Vec<u8>>> {
        match self.views.get(view, key, &self.key) {
            Ok(value) => Ok(value.map(|bytes| bytes.to_vec())),
            Err(GetError::Violation(violation)) => Err(self.stop(Failure::Violation(violation))),
            Err(GetError::Unavailable(cause)) => Err(self.stop(Failure::Interrupted(cause))),
        }
    }

    fn stop(&mut self, failure: Failure) -> wasmtime::Error {
        self.stopped = Some(failure);
        wasmtime::Error::msg("stopped by the host")
    }
}
