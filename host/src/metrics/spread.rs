//! How values are spread, as a host tells it: counts by size, of which anybody may take differences and quantiles. Pure.

use serde::{Deserialize, Serialize};

/// Parts that each bucket has but the first. Each bucket of calls ends four times higher than the one before, each part then
/// 1.4 times: that much a quantile may be off.
pub const FINE: usize = 4;

/// The buckets of a histogram: the first ends at `start`, each other `factor` times higher than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// The upper bound of the first.
    pub start: f64,
    /// How much higher the next one is.
    pub factor: f64,
    /// How many there are, but for that of all higher values.
    pub buckets: u16,
}

impl Scale {
    /// The upper bounds of the parts of all buckets.
    pub fn bounds(&self) -> Vec<f64> {
        let parts = (usize::from(self.buckets).saturating_sub(1)) * FINE + 1;
        let bound = |part: usize| {
            let whole = self.start * self.factor.powf((part / FINE) as f64);
            whole * self.factor.powf((part % FINE) as f64 / FINE as f64)
        };
        (0..parts).map(bound).collect()
    }
}

/// How values are spread over the parts of the buckets of a [`Scale`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The buckets.
    pub scale: Scale,
    /// The number of values in each part, and of those that are higher than all.
    pub counts: Vec<u64>,
    /// The sum of all values.
    pub sum: f64,
}

impl Spread {
    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their mean; none if there are none.
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum / count as f64)
    }

    /// The values that came after those of `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let counts = self.counts.iter().zip(&earlier.counts).map(|(now, was)| now.saturating_sub(*was)).collect();
        Self { scale: self.scale, counts, sum: self.sum - earlier.sum }
    }

    /// These values and those of another, if both have the same buckets; else these.
    pub fn and(mut self, other: &Self) -> Self {
        if self.scale == other.scale && self.counts.len() == other.counts.len() {
            self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
            self.sum += other.sum;
        }
        self
    }

    /// About the value under which the share `of` of all lies, from 0 to 1; none if there are none. Of values over the last
    /// bound no more is known, so they count as that.
    pub fn quantile(&self, of: f64) -> Option<f64> {
        let (bounds, rank) = (self.scale.bounds(), of * self.count() as f64);
        let mut below = 0.0;
        for (part, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = *count as f64;
            if below + count >= rank {
                let low = part.checked_sub(1).and_then(|part| bounds.get(part)).copied().unwrap_or(0.0);
                let high = bounds.get(part).copied().unwrap_or(low);
                return Some(low + (high - low) * ((rank - below) / count).clamp(0.0, 1.0));
            }
            below += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Histogram;

    const SCALE: Scale = Scale { start: 1e-6, factor: 4.0, buckets: 12 };

    fn of(values: impl IntoIterator<Item = f64>) -> Histogram {
        let histogram = Histogram::new(SCALE);
        values.into_iter().for_each(|value| histogram.observe(value));
        histogram
    }

    #[test]
    fn quantiles_are_near_to_the_true_ones() {
        let spread = of((1..=1_000).map(|n| f64::from(n) * 1e-5)).spread();
        for (share, truth) in [(0.5, 5e-3), (0.99, 9.9e-3), (0.01, 1e-4)] {
            let about = spread.quantile(share).unwrap();
            assert!((about / truth - 1.0).abs() < 0.2, "{share}: {about} is far from {truth}");
        }
        let mean = spread.mean().unwrap();
        assert!((mean - 5.005e-3).abs() < 1e-9, "{mean}");
    }

    #[test]
    fn edges_have_quantiles_too() {
        let none = of([]).spread();
        assert_eq!((none.quantile(0.5), none.mean(), none.count()), (None, None, 0));
        let least = of([0.0, 0.0]).spread().quantile(0.99).unwrap();
        assert!(least <= SCALE.start, "{least}");
        let most = of([1e9]).spread().quantile(0.5);
        assert_eq!(most, SCALE.bounds().last().copied(), "no more is known of it");
    }

    #[test]
    fn differences_and_sums_are_those_of_the_values() {
        let histogram = of([0.25, 0.5]);
        let earlier = histogram.spread();
        histogram.observe(1.0);
        let since = histogram.spread().since(&earlier);
        assert_eq!((since.count(), since.mean()), (1, Some(1.0)));
        let both = since.and(&earlier);
        assert_eq!((both.count(), &both.counts), (3, &histogram.spread().counts));
        let other = Histogram::new(Scale { buckets: 3, ..SCALE }).spread();
        assert_eq!(both.clone().and(&other), both, "other buckets cannot be added");
    }
}
