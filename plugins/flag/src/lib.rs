//! Announces cancelled invoices, once each, and every rule that an invoice line breaks.

mod rules;

use pelton_sdk::{Effects, Emitted, Event, Failure, Handler, View};
use retail::{Cancelled, Line, Money};
use serde::Serialize;

/// The cancelled invoices that were announced.
const ANNOUNCED: View<bool> = View::new("cancelled");

/// The data of a `line.flagged` event: a line and the rule that it breaks.
#[derive(Serialize)]
struct Flagged<'a> {
    rule: &'a str,
    invoice: &'a str,
    stock_code: &'a str,
    quantity: i64,
    unit_price: Money,
}

/// Announces cancelled invoices, once each, and every rule that a line breaks.
#[derive(Debug)]
pub struct Flag;

impl Handler for Flag {
    type Payload = Line;

    fn handle(event: Event<Line>) -> Result<Effects, Failure> {
        let line = event.payload;
        let mut effects = Effects::new();
        if line.is_cancellation() && ANNOUNCED.get(&line.invoice)?.is_none() {
            effects.emit(cancelled(&line)?);
            effects.write(ANNOUNCED.put(&line.invoice, &true)?);
        }
        for rule in rules::broken(&line) {
            effects.emit(flagged(rule, &line)?);
        }
        Ok(effects)
    }
}

pelton_sdk::export_handler!(Flag);

fn cancelled(line: &Line) -> Result<Emitted, Failure> {
    let data = Cancelled {
        invoice: line.invoice.clone(),
        day: line.sold_at.day().into(),
        country: line.country.clone(),
        customer: line.customer.clone(),
    };
    Ok(Emitted::json("invoices", "invoice.cancelled", &data)?.key(&line.invoice))
}

fn flagged(rule: &str, line: &Line) -> Result<Emitted, Failure> {
    let data = Flagged {
        rule,
        invoice: &line.invoice,
        stock_code: &line.stock_code,
        quantity: line.quantity,
        unit_price: line.unit_price,
    };
    Ok(Emitted::json("lines", "line.flagged", &data)?.key(&line.invoice))
}
