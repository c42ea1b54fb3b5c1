//! Folds its inputs into a chain for each key.

use chain::Link;
use pelton_sdk::{Event, Failure, Projector, Raw, View, Write};

const CHAIN: View<Link> = View::new("fold");

struct Fold;

impl Projector for Fold {
    type Payload = Raw;

    fn project(event: Event<Raw>) -> Result<Vec<Write>, Failure> {
        let before = CHAIN.get(&event.key)?.unwrap_or_default();
        let after = before.next(event.sequence, &event.payload.0);
        Ok(vec![CHAIN.put(&event.key, &after)?])
    }
}

pelton_sdk::export_projector!(Fold);
