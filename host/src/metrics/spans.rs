//! What is measured of the export of traces.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::family;

/// What is measured of the export of traces. Clones share it.
#[derive(Clone, Debug)]
pub struct Spans {
    /// Spans that the collector took.
    pub exported: Counter,
    /// Spans that it did not take, or that did not fit the queue to it.
    pub dropped: Counter,
}

impl Spans {
    /// Registers them, at zero.
    pub fn registered(registry: &mut Registry) -> Self {
        Self {
            exported: family(registry, "spans_exported", "Spans that the collector of traces took"),
            dropped: family(registry, "spans_dropped", "Spans that no collector took, or that had no room to wait"),
        }
    }
}
