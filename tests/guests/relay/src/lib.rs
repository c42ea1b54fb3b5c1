//! Passes each input on as an event, and as the value of its key: the least that a handler can do. For the bench.

use pelton_sdk::{Effects, Emitted, Event, Failure, Handler, Raw, View};

const LAST: View<()> = View::new("last");

struct Relay;

impl Handler for Relay {
    type Payload = Raw;

    fn handle(event: Event<Raw>) -> Result<Effects, Failure> {
        let mut effects = Effects::new();
        effects.write(LAST.put_raw(&event.key, event.payload.0.clone()));
        effects.emit(Emitted::raw("passed", "relay.passed", "application/octet-stream", event.payload.0));
        Ok(effects)
    }
}

pelton_sdk::export_handler!(Relay);
