//! The modules as functions: what the plugins `by-country`, `by-customer`, `flag` and `relay` do.

#[path = "../../../plugins/flag/src/rules.rs"]
#[rustfmt::skip]
mod rules;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use pelton::event::Event;
use retail::{Cancelled, Line, Money, Totals};
use serde::Serialize;

use crate::effects::Effects;

/// A module of the native side.
pub struct Module {
    /// Its name.
    pub name: &'static str,
    /// What it does with an event on this subject.
    pub run: fn(&Event, &str, &mut Effects<'_>) -> Result<()>,
}

/// The demo's modules.
pub const RETAIL: [Module; 3] = [
    Module { name: "by-country", run: by_country },
    Module { name: "by-customer", run: by_customer },
    Module { name: "flag", run: flag },
];

/// The module that passes everything on.
pub const PLAIN: [Module; 1] = [Module { name: "relay", run: relay }];

fn by_country(event: &Event, _: &str, effects: &mut Effects<'_>) -> Result<()> {
    let line: Line = serde_json::from_slice(&event.data)?;
    effects.update("by-country", &line.country, |before| add(before, &line))
}

fn by_customer(event: &Event, _: &str, effects: &mut Effects<'_>) -> Result<()> {
    let line: Line = serde_json::from_slice(&event.data)?;
    effects.update("by-customer", line.customer.as_deref().unwrap_or("anonymous"), |before| add(before, &line))
}

fn add(before: Option<Bytes>, line: &Line) -> Result<Bytes> {
    let before = before.map(|before| serde_json::from_slice(&before)).transpose()?;
    let totals = Totals::add(before, line).map_err(|overflow| anyhow!("{overflow}"))?;
    Ok(serde_json::to_vec(&totals)?.into())
}

/// As the plugin publishes it.
#[derive(Serialize)]
struct Flagged<'a> {
    rule: &'a str,
    invoice: &'a str,
    stock_code: &'a str,
    quantity: i64,
    unit_price: Money,
}

fn flag(event: &Event, _: &str, effects: &mut Effects<'_>) -> Result<()> {
    let line: Line = serde_json::from_slice(&event.data)?;
    let Line { invoice, stock_code, quantity, unit_price, .. } = &line;
    if line.is_cancellation() && effects.read("cancelled", invoice).is_none() {
        let (day, country, customer) = (line.sold_at.day().into(), line.country.clone(), line.customer.clone());
        let data = Cancelled { invoice: invoice.clone(), day, country, customer };
        effects.emit("invoices", invoice, "invoice.cancelled", "application/json", serde_json::to_vec(&data)?.into());
        effects.write("cancelled", invoice, serde_json::to_vec(&true)?.into());
    }
    for rule in rules::broken(&line) {
        let (quantity, unit_price) = (*quantity, *unit_price);
        let data = Flagged { rule, invoice, stock_code, quantity, unit_price };
        effects.emit("lines", invoice, "line.flagged", "application/json", serde_json::to_vec(&data)?.into());
    }
    Ok(())
}

fn relay(event: &Event, subject: &str, effects: &mut Effects<'_>) -> Result<()> {
    let key = subject.split('.').nth(1).unwrap_or_default();
    effects.write("last", key, event.data.clone());
    effects.emit("passed", key, "relay.passed", "application/octet-stream", event.data.clone());
    Ok(())
}
