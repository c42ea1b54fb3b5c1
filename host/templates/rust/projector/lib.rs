//! Counts the orders of each customer.

use pelton_sdk::{Event, Failure, Projector, View, Write};
use serde::Deserialize;

/// How many orders each customer has placed.
const COUNTS: View<u64> = View::new("counts");

/// What an event says. A payload that does not parse is rejected, with the field's name.
#[derive(Deserialize)]
pub struct Order {
    #[expect(dead_code, reason = "an order must have it, though it is not counted")]
    total: u64,
}

/// The plugin: a pure function from an event, and the views as they stand, to view writes.
pub struct Plugin;

impl Projector for Plugin {
    type Payload = Order;

    fn project(event: Event<Order>) -> Result<Vec<Write>, Failure> {
        let count = COUNTS.get(&event.key)?.unwrap_or(0) + 1;
        Ok(vec![COUNTS.put(&event.key, &count)?])
    }
}

pelton_sdk::export_projector!(Plugin);
