//! What a module may use: the table `limits` as written, and what it means with defaults and bounds.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::meant::{Finding, within};
use super::values::{Period, Size};

/// What a module may use.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// How long one call may run.
    pub deadline: Duration,
    /// Bytes of all linear memories of an instance.
    pub memory: usize,
    /// Elements of all tables of an instance.
    pub tables: usize,
    /// Core instances that a plugin may be made of.
    pub instances: usize,
    /// Bytes of a guest's stack.
    pub stack: usize,
    /// Bytes that a guest may hand to the host in one call, and as its answer.
    pub host_call: usize,
    /// Handles of resources that an instance may hold at once.
    pub handles: usize,
    /// View keys that one call may have read from the app stream, beyond those that the lane knows.
    pub reads: usize,
    /// Lines that all instances of the module may log in a second.
    pub log_lines: u32,
    /// Bytes that all instances of the module may log in a second.
    pub log_bytes: usize,
    /// Events and view writes that one input may cause.
    pub effects: usize,
    /// Their bytes.
    pub effects_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(1),
            memory: 64 << 20,
            tables: 100_000,
            // Python's components have some hundred.
            instances: 200,
            stack: 512 << 10,
            host_call: 16 << 20,
            handles: 1_000,
            reads: 1_000,
            log_lines: 100,
            log_bytes: 64 << 10,
            effects: 1_000,
            effects_bytes: 8 << 20,
        }
    }
}

/// The largest linear memory that a module may be given.
pub const LARGEST_MEMORY: usize = 1 << 30;
/// The most table elements.
pub const MOST_TABLES: usize = 200_000;
/// The most core instances of a plugin.
pub const MOST_INSTANCES: usize = 1_000;
/// The largest stack: half of what the host's threads have.
pub const LARGEST_STACK: usize = 1 << 20;

/// The table `limits` as written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct LimitsTable {
    deadline: Option<Spanned<Period>>,
    memory: Option<Spanned<Size>>,
    tables: Option<Spanned<usize>>,
    instances: Option<Spanned<usize>>,
    stack: Option<Spanned<Size>>,
    host_call: Option<Spanned<Size>>,
    handles: Option<Spanned<usize>>,
    reads: Option<Spanned<usize>>,
    log_lines: Option<Spanned<u32>>,
    log_bytes: Option<Spanned<Size>>,
    effects: Option<Spanned<usize>>,
    effects_bytes: Option<Spanned<Size>>,
}

impl LimitsTable {
    /// The limits that the table means.
    pub fn meant(self) -> Result<Limits, Finding> {
        let default = Limits::default();
        let size = |written, default, largest, what| {
            Ok(within(written, Size(default), Size(4 << 10)..=Size(largest), what)?.0)
        };
        let count = |written, default, most, what| within(written, default, 0..=most, what);
        let deadline = Period(Duration::from_millis(10))..=Period(Duration::from_secs(600));
        Ok(Limits {
            deadline: within(self.deadline, Period(default.deadline), deadline, "a deadline")?.0,
            memory: size(self.memory, default.memory, LARGEST_MEMORY, "memory")?,
            tables: count(self.tables, default.tables, MOST_TABLES, "table elements")?,
            instances: within(self.instances, default.instances, 1..=MOST_INSTANCES, "instances")?,
            stack: size(self.stack, default.stack, LARGEST_STACK, "a stack")?,
            host_call: size(self.host_call, default.host_call, LARGEST_MEMORY, "bytes of a host call")?,
            handles: count(self.handles, default.handles, 100_000, "handles")?,
            reads: count(self.reads, default.reads, 1_000_000, "reads")?,
            log_lines: within(self.log_lines, default.log_lines, 0..=1_000_000, "log lines a second")?,
            log_bytes: size(self.log_bytes, default.log_bytes, 1 << 30, "log bytes a second")?,
            effects: count(self.effects, default.effects, 50_000, "effects")?,
            effects_bytes: size(self.effects_bytes, default.effects_bytes, 64 << 20, "bytes of effects")?,
        })
    }
}
