//! What an instance carries: its lane's views, the event it works on, its limits, and why it was stopped.

use std::sync::Arc;
use std::time::Instant;

use super::log::Log;
use super::meter::Meter;
use super::wasi::Wasi;
use super::{Call, Setting};
use crate::lane::views::{GetError, Got, Views};
use crate::policy::Failure;

/// The data of one store.
pub struct State {
    pub(super) setting: Setting,
    pub(super) views: Views,
    pub(super) key: Arc<str>,
    pub(super) wasi: Wasi,
    pub(super) log: Log,
    pub(super) meter: Meter,
    /// Why the host ended the call, if it did: then the trap is only how.
    stopped: Option<Failure>,
    /// When the call must be over.
    deadline: Instant,
    /// View keys read from the app stream in this call.
    reads: usize,
}

impl State {
    pub(super) fn new(setting: Setting, views: Views) -> Self {
        let meter = Meter::new(setting.limits);
        let log = Log::new(setting.module.clone(), setting.log_rate.clone());
        let (wasi, deadline) = (Wasi::new(&log), Instant::now());
        Self { setting, views, key: "".into(), wasi, log, meter, stopped: None, deadline, reads: 0 }
    }

    /// Makes the state ready for one input.
    pub(super) fn begin(&mut self, call: Call<'_>) {
        self.key = call.key.clone();
        self.wasi.begin(call.event);
        self.stopped = None;
        self.deadline = Instant::now() + self.setting.limits.deadline;
        self.reads = 0;
        self.log.begin(call.sequence);
    }

    /// The value of a view key; an error ends the call.
    pub(super) fn view(&mut self, view: &str, key: &str) -> wasmtime::Result<Option<Vec<u8>>> {
        // The epoch ends a guest between instructions, not a loop that is mostly here.
        if Instant::now() > self.deadline {
            return Err(self.stop(Failure::Timeout(self.setting.limits.deadline)));
        }
        match self.views.get(view, key, &self.key) {
            Ok(Got { value, from_stream }) => {
                self.reads += usize::from(from_stream);
                if self.reads > self.setting.limits.reads {
                    let limit = self.setting.limits.reads;
                    return Err(
                        self.stop(Failure::Limit(format!("view keys read in one call are over the limit of {limit}")))
                    );
                }
                Ok(value.map(|bytes| bytes.to_vec()))
            }
            Err(GetError::Violation(violation)) => Err(self.stop(Failure::Violation(violation))),
            Err(GetError::Unavailable(cause)) => Err(self.stop(Failure::Interrupted(cause))),
        }
    }

    fn stop(&mut self, failure: Failure) -> wasmtime::Error {
        self.stopped = Some(failure);
        wasmtime::Error::msg("stopped by the host")
    }

    /// Why the host ended what ran last, if it did.
    pub(super) fn why_stopped(&mut self) -> Option<Failure> {
        self.stopped.take().or_else(|| self.meter.broken.take().map(Failure::Limit))
    }
}
