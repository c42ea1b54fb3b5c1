//! What an instance carries: its lane's views, the event it works on, its limits, and why it was stopped.

use std::sync::Arc;

use tracing::{debug, error, info, warn};
use wasmtime::{StoreLimits, StoreLimitsBuilder};

use super::wasi::Wasi;
use super::{Call, Setting};
use crate::lane::views::{GetError, Views};
use crate::policy::Failure;

/// The most log lines that one call may write; more are dropped.
const LOG_LINES: u32 = 100;
/// The most characters of a log line.
const LOG_LINE: usize = 4 << 10;

/// The data of one store.
pub struct State {
    pub(super) setting: Setting,
    pub(super) views: Views,
    pub(super) key: Arc<str>,
    pub(super) wasi: Wasi,
    pub(super) limits: StoreLimits,
    /// Why the host ended the call, if it did: then the trap is only how.
    pub(super) stopped: Option<Failure>,
    lines: u32,
    sequence: u64,
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
        Self { setting, views, key: "".into(), wasi: Wasi::new(), limits, stopped: None, lines: 0, sequence: 0 }
    }

    /// Makes the state ready for one input.
    pub(super) fn begin(&mut self, call: Call<'_>) {
        self.key = call.key.clone();
        self.wasi.begin(call.event);
        self.stopped = None;
        self.lines = 0;
        self.sequence = call.sequence.0;
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

    /// Writes one line of the guest to the log, without what could play tricks on a terminal.
    pub(super) fn log(&mut self, level: tracing::Level, message: &str) {
        self.lines += 1;
        if self.lines > LOG_LINES {
            return;
        }
        let line: String = message.chars().take(LOG_LINE).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let (module, sequence) = (&self.setting.module, self.sequence);
        match level {
            tracing::Level::ERROR => error!(target: "plugin", %module, sequence, "{line}"),
            tracing::Level::WARN => warn!(target: "plugin", %module, sequence, "{line}"),
            tracing::Level::INFO => info!(target: "plugin", %module, sequence, "{line}"),
            _ => debug!(target: "plugin", %module, sequence, "{line}"),
        }
    }
}
