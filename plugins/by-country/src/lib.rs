//! Projects invoice lines to what each country bought, in the view `by-country`.

use pelton_sdk::{Event, Failure, Projector, View, Write};
use retail::{Line, Totals};

const TOTALS: View<Totals> = View::new("by-country");

/// Adds each line to the totals of its country, which is the event's key.
#[derive(Debug)]
pub struct ByCountry;

impl Projector for ByCountry {
    type Payload = Line;

    fn project(event: Event<Line>) -> Result<Vec<Write>, Failure> {
        let before = TOTALS.get(&event.key)?;
        let totals = Totals::add(before, &event.payload).map_err(Failure::reject)?;
        Ok(vec![TOTALS.put(&event.key, &totals)?])
    }
}

pelton_sdk::export_projector!(ByCountry);
