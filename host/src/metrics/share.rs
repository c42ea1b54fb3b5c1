//! One lane's share of a number that its module's lanes make up together.

use prometheus_client::metrics::gauge::Gauge;

/// One lane's share of a gauge; dropped, it is taken off.
#[derive(Debug, Default)]
pub struct Share {
    gauge: Gauge,
    share: i64,
}

impl Share {
    /// A share of nothing yet.
    pub fn of(gauge: &Gauge) -> Self {
        Self { gauge: gauge.clone(), share: 0 }
    }

    /// Notes how much it is now.
    pub fn set(&mut self, now: usize) {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        if now != self.share {
            self.gauge.inc_by(now.saturating_sub(self.share));
            self.share = now;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_leave_with_their_lanes() {
        let gauge = Gauge::default();
        let (mut one, mut other) = (Share::of(&gauge), Share::of(&gauge));
        one.set(3);
        other.set(4);
        one.set(1);
        assert_eq!(gauge.get(), 5);
        drop(other);
        assert_eq!(gauge.get(), 1);
    }
}
