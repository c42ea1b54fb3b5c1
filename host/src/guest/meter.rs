//! What an instance has taken of memory and tables, counted over all of them together against the module's limits.

use wasmtime::{ResourceLimiter, Result};

use crate::config::{Limits, Size};

/// What one instance has taken.
#[derive(Debug)]
pub struct Meter {
    limits: Limits,
    memory: usize,
    tables: usize,
    /// The limit that was broken, if one was: the trap that follows is only how.
    pub(super) broken: Option<String>,
}

/// Linear memories and tables of one plugin: more than any toolchain makes.
const EACH: usize = 1_000;

impl Meter {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, memory: 0, tables: 0, broken: None }
    }

    fn broken(&mut self, what: String) -> Result<bool> {
        let error = wasmtime::Error::msg(what.clone());
        self.broken = Some(what);
        Err(error)
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let wanted = self.memory.saturating_sub(current).saturating_add(desired);
        if wanted > self.limits.memory {
            return self.broken(format!("memory of {wanted} bytes is over the limit of {}", Size(self.limits.memory)));
        }
        self.memory = wanted;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let wanted = self.tables.saturating_sub(current).saturating_add(desired);
        if wanted > self.limits.tables {
            return self.broken(format!("{wanted} table elements are over the limit of {}", self.limits.tables));
        }
        self.tables = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        EACH
    }

    fn memories(&self) -> usize {
        EACH
    }
}
