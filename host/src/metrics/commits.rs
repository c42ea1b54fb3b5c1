//! What is measured of the committer.

use std::collections::BTreeMap;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Histogram, Labels, Scale, Spread, family};
use crate::commit::batch::Outcome;
use crate::commit::hindrance::Hindrance;

/// What is measured of the committer.
#[derive(Debug)]
pub struct Commits {
    outcomes: [Counter; OUTCOMES.len()],
    waits: [Gauge; Hindrance::ALL.len()],
    messages: Histogram,
    bytes: Histogram,
    seconds: Histogram,
}

/// What becomes of a batch, as `pelton_commits_total` names it.
const OUTCOMES: [&str; 5] = ["committed", "rejected", "ambiguous", "refused", "unavailable"];

impl Commits {
    /// Registers them, all at zero.
    pub fn registered(registry: &mut Registry) -> Self {
        let outcomes = family::<Family<Labels, Counter>>(registry, "commits", "Batches, by what became of them");
        let of = |outcome: &str| outcomes.get_or_create_owned(&vec![("outcome", outcome.to_owned())]);
        let waits = family::<Family<Labels, Gauge>>(
            registry,
            "commit_waits",
            "1 while a batch waits since the server cannot store it, by what is in the way",
        );
        let by = |why: Hindrance| waits.get_or_create_owned(&vec![("cause", why.name().to_owned())]);
        Self {
            outcomes: OUTCOMES.map(of),
            waits: Hindrance::ALL.map(by),
            messages: histogram(registry, "commit_messages", "Messages of committed batches", (1.0, 2.0, 13)),
            bytes: histogram(registry, "commit_bytes", "Bytes of committed batches", (256.0, 4.0, 9)),
            seconds: histogram(
                registry,
                "commit_duration_seconds",
                "How long the server takes to store a batch",
                (0.000_5, 2.0, 14),
            ),
        }
    }

    /// How many batches came to each outcome.
    pub fn outcomes(&self) -> BTreeMap<&'static str, u64> {
        OUTCOMES.into_iter().zip(self.outcomes.iter().map(Counter::get)).collect()
    }

    /// How many messages committed batches have.
    pub fn messages(&self) -> Spread {
        self.messages.spread()
    }

    /// How long the server takes to store them, in seconds.
    pub fn seconds(&self) -> Spread {
        self.seconds.spread()
    }

    /// Nothing is in the way any more.
    pub fn settled(&self) {
        self.waiting(None);
    }

    fn waiting(&self, hindrance: Option<Hindrance>) {
        for (gauge, of) in self.waits.iter().zip(Hindrance::ALL) {
            gauge.set(i64::from(hindrance == Some(of)));
        }
    }

    /// Counts a batch of so many messages and bytes that took so long.
    pub fn sent(&self, outcome: &Outcome, (messages, bytes): (usize, usize), seconds: f64) {
        let name = match outcome {
            Outcome::Committed(_) => "committed",
            Outcome::GuardRejected => "rejected",
            Outcome::Ambiguous(_) => "ambiguous",
            Outcome::Refused(_) => "refused",
            Outcome::Unavailable(..) => "unavailable",
        };
        for (counter, of) in self.outcomes.iter().zip(OUTCOMES) {
            counter.inc_by(u64::from(of == name));
        }
        self.waiting(match outcome {
            Outcome::Unavailable(hindrance, _) => Some(*hindrance),
            Outcome::Committed(_) | Outcome::GuardRejected | Outcome::Ambiguous(_) | Outcome::Refused(_) => None,
        });
        if let Outcome::Committed(_) = outcome {
            self.messages.observe(messages as f64);
            self.bytes.observe(bytes as f64);
            self.seconds.observe(seconds);
        }
    }
}

/// A histogram with `buckets` from `start`, each bound `factor` times the one before.
fn histogram(registry: &mut Registry, name: &str, help: &str, (start, factor, buckets): (f64, f64, u16)) -> Histogram {
    let histogram = Histogram::new(Scale { start, factor, buckets });
    registry.register(name, help, histogram.clone());
    histogram
}
