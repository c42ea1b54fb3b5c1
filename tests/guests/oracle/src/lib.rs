//! Chains its inputs for each key in a view, and announces each step: one event, and a second one at even positions. An
//! input may ask to be rejected until its key has done so many others.

use chain::Link;
use pelton_sdk::{Effects, Emitted, Event, Failure, Handler, Raw, View};

const CHAIN: View<Link> = View::new("chain");

struct Oracle;

impl Handler for Oracle {
    type Payload = Raw;

    fn handle(event: Event<Raw>) -> Result<Effects, Failure> {
        let before = CHAIN.get(&event.key)?.unwrap_or_default();
        let needs = chain::needs(&event.payload.0);
        if before.count < needs {
            return Err(Failure::reject(format!("key {} has done {} of {needs}", event.key, before.count)));
        }
        let after = before.next(event.sequence, &event.payload.0);
        let mut effects = Effects::new();
        effects.emit(Emitted::json("steps", "step", &after)?);
        if event.sequence.is_multiple_of(2) {
            effects.emit(Emitted::json("steps", "echo", &after)?);
        }
        effects.write(CHAIN.put(&event.key, &after)?);
        Ok(effects)
    }
}

pelton_sdk::export_handler!(Oracle);
