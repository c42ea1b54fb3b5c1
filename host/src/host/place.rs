//! Where a host stands: which modules it may run.

use std::collections::BTreeSet;

use crate::config::Module;
use crate::subject::Name;

/// What a host is told about itself.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Its labels.
    pub labels: BTreeSet<Name>,
    /// Whether it only answers readers, and runs no module.
    pub reads_only: bool,
}

impl Place {
    /// Whether this host may run `module`.
    pub fn may_run(&self, module: &Module) -> bool {
        !self.reads_only && (module.hosts.is_empty() || !module.hosts.is_disjoint(&self.labels))
    }
}
