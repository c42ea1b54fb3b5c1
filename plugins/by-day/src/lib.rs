//! Counts the cancelled invoices of each day, in the view `by-day`.

use pelton_sdk::{Event, Failure, Projector, View, Write};
use retail::Cancelled;
use serde::{Deserialize, Serialize};

const DAYS: View<Day> = View::new("by-day");

/// What happened on a day.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Day {
    /// How many invoices were cancelled.
    pub cancellations: u64,
}

/// Counts each cancelled invoice under its day, which is the event's key.
#[derive(Debug)]
pub struct ByDay;

impl Projector for ByDay {
    type Payload = Cancelled;

    fn project(event: Event<Cancelled>) -> Result<Vec<Write>, Failure> {
        let mut day = DAYS.get(&event.key)?.unwrap_or_default();
        day.cancellations += 1;
        Ok(vec![DAYS.put(&event.key, &day)?])
    }
}

pelton_sdk::export_projector!(ByDay);
