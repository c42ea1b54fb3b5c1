//! Counts the orders of each customer and announces each tenth.

use pelton_sdk::{Effects, Emitted, Event, Failure, Handler, View};
use serde::Deserialize;

/// How many orders each customer has placed.
const COUNTS: View<u64> = View::new("counts");

/// What an event says. A payload that does not parse is rejected, with the field's name.
#[derive(Deserialize)]
pub struct Order {
    total: u64,
}

/// The plugin: a pure function from an event, and the views as they stand, to effects.
pub struct Plugin;

impl Handler for Plugin {
    type Payload = Order;

    fn handle(event: Event<Order>) -> Result<Effects, Failure> {
        let count = COUNTS.get(&event.key)?.unwrap_or(0) + 1;
        let mut effects = Effects::new();
        effects.write(COUNTS.put(&event.key, &count)?);
        if count % 10 == 0 {
            effects.emit(Emitted::json("rewards", "reward.earned", &event.payload.total)?);
        }
        Ok(effects)
    }
}

pelton_sdk::export_handler!(Plugin);
