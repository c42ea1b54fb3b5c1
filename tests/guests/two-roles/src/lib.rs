//! Has two roles, which no plugin may have.

use pelton_sdk::{Effects, Event, Failure, Handler, Projector, Raw, Write};

struct Both;

impl Handler for Both {
    type Payload = Raw;

    fn handle(_: Event<Raw>) -> Result<Effects, Failure> {
        Ok(Effects::new())
    }
}

impl Projector for Both {
    type Payload = Raw;

    fn project(_: Event<Raw>) -> Result<Vec<Write>, Failure> {
        Ok(Vec::new())
    }
}

pelton_sdk::export_handler!(Both);
pelton_sdk::export_projector!(Both);
