//! A histogram that can be read back. Prometheus gets buckets as wide as a board needs them, [`Spread`] finer ones.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

use super::spread::{FINE, Scale, Spread};

/// How values are spread. Clones share it.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    scale: Scale,
    /// The upper bounds of all buckets but the last, which has none.
    bounds: Vec<f64>,
    counts: Vec<AtomicU64>,
    /// The bits of the sum of all values, which is a float.
    sum: AtomicU64,
}

impl Histogram {
    /// An empty one. Values over its last bound are only counted.
    pub fn new(scale: Scale) -> Self {
        let bounds = scale.bounds();
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Inner { scale, bounds, counts, sum: AtomicU64::new(0) }))
    }

    /// Counts a value.
    pub fn observe(&self, value: f64) {
        let Inner { bounds, counts, sum, .. } = &*self.0;
        if let Some(count) = counts.get(bounds.partition_point(|bound| *bound < value)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let add = |sum| Some(f64::to_bits(f64::from_bits(sum) + value));
        // It always gives a next value, so it cannot fail.
        sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok();
    }

    /// How the values so far are spread.
    pub fn spread(&self) -> Spread {
        let counts = self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Spread { scale: self.0.scale, counts, sum: f64::from_bits(self.0.sum.load(Ordering::Relaxed)) }
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let spread = self.spread();
        let (bounds, counts) = (&self.0.bounds, &spread.counts);
        // The first fine bucket is a whole one: all up to the first bound.
        let head = counts.iter().take(1).copied();
        let whole = head.chain(counts.get(1..bounds.len()).unwrap_or_default().chunks(FINE).map(|of| of.iter().sum()));
        let mut buckets: Vec<(f64, u64)> = bounds.iter().step_by(FINE).copied().zip(whole).collect();
        buckets.push((f64::MAX, counts.last().copied().unwrap_or_default()));
        encoder.encode_histogram::<NoLabelSet>(spread.sum, spread.count(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::metrics::histogram as stock;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn prometheus_sees_what_a_stock_histogram_shows() {
        let scale = Scale { start: 1e-6, factor: 4.0, buckets: 12 };
        let ours = Histogram::new(scale);
        let theirs = stock::Histogram::new(stock::exponential_buckets(1e-6, 4.0, 12));
        for value in [0.0, 1e-7, 1e-6, 1.1e-6, 2e-6, 4e-6, 4.1e-6, 0.25, 4.0, 4.194_304, 4.2, 1e9] {
            ours.observe(value);
            theirs.observe(value);
        }
        let shown = |metric: Box<dyn FnOnce(&mut Registry)>| {
            let (mut registry, mut shown) = (Registry::default(), String::new());
            metric(&mut registry);
            text::encode(&mut shown, &registry).unwrap();
            shown
        };
        let (ours, theirs) = (
            shown(Box::new(|registry| registry.register("h", "h", ours))),
            shown(Box::new(|registry| registry.register("h", "h", theirs))),
        );
        assert_eq!(ours, theirs);
    }
}
