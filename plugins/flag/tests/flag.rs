//! What is announced about given lines.

use flag::Flag;
use pelton_sdk::testing::{Expected, emit, event_raw, given, put};
use retail::testing::{DAMAGED, line};
use serde_json::{Value, json};

const CANCELLATION: &str = "C536379";

/// A returned line of a cancelled invoice, except for what `changes` says.
fn returned(mut changes: Value) -> pelton_sdk::testing::Sample {
    let own = json!({ "invoice": CANCELLATION, "quantity": -1, "unit_price": "27.50" });
    if let (Value::Object(changes), Value::Object(own)) = (&mut changes, own) {
        for (name, value) in own {
            changes.entry(name).or_insert(value);
        }
    }
    line(changes).key(CANCELLATION)
}

/// The announcement of the cancelled invoice, and that it was announced.
fn announced(customer: Option<&str>) -> [Expected; 2] {
    let data = json!({
        "invoice": CANCELLATION,
        "day": "2010-12-01",
        "country": "United Kingdom",
        "customer": customer,
    });
    [emit("invoices", CANCELLATION, "invoice.cancelled", &data), put("cancelled", CANCELLATION, &true)]
}

#[test]
fn a_proper_line_leads_to_nothing() {
    given::<Flag>().when(line(json!({}))).then([]);
}

#[test]
fn a_cancelled_invoice_is_announced_once_however_many_lines_it_has() {
    given::<Flag>()
        .when(returned(json!({})))
        .then(announced(Some("17850.0")))
        .when(returned(json!({ "stock_code": "22960" })))
        .then([]);
}

#[test]
fn a_cancelled_invoice_of_nobody_is_announced_too() {
    given::<Flag>().when(returned(json!({ "customer": null }))).then(announced(None));
}

#[test]
fn each_broken_rule_is_flagged() {
    for (changes, rules) in [
        (json!({ "unit_price": "-11062.06" }), &["negative-price"][..]),
        (json!({ "unit_price": "0.0" }), &["zero-price"]),
        (json!({ "unit_price": "0.001" }), &[]),
        (json!({ "quantity": -1 }), &["negative-quantity"]),
        (json!({ "quantity": 0 }), &[]),
        (json!({ "stock_code": "POST" }), &["stock-code"]),
        (json!({ "stock_code": "" }), &["stock-code"]),
        (json!({ "stock_code": "8512" }), &["stock-code"]),
        (json!({ "stock_code": "8512A" }), &["stock-code"]),
        (json!({ "stock_code": "A85123" }), &["stock-code"]),
        (json!({ "stock_code": "٨٥١٢٣" }), &["stock-code"]),
        (json!({ "stock_code": "85123" }), &[]),
        (json!({ "stock_code": "15056BL" }), &[]),
        (
            json!({ "stock_code": "B", "unit_price": "-0.50", "quantity": -7 }),
            &["negative-price", "negative-quantity", "stock-code"],
        ),
        (
            json!({ "stock_code": "gift_0001", "unit_price": "0", "quantity": -7 }),
            &["zero-price", "negative-quantity", "stock-code"],
        ),
    ] {
        let expected = rules.iter().map(|rule| flagged(rule, "536365", &changes));
        given::<Flag>().when(line(changes.clone()).key("536365")).then(expected);
    }
}

#[test]
fn a_negative_quantity_is_proper_in_a_cancellation_and_other_rules_hold_there_too() {
    let changes = json!({ "quantity": -1, "unit_price": "27.50", "stock_code": "D" });
    let flag = flagged("stock-code", CANCELLATION, &changes);
    given::<Flag>().when(returned(changes)).then(announced(Some("17850.0")).into_iter().chain([flag]));
}

#[test]
fn an_invoice_announced_before_is_still_flagged() {
    let changes = json!({ "quantity": -1, "unit_price": "27.50", "stock_code": "M" });
    given::<Flag>().view("cancelled", CANCELLATION, &true).when(returned(changes.clone())).then([flagged(
        "stock-code",
        CANCELLATION,
        &changes,
    )]);
}

#[test]
fn an_invoice_that_begins_with_another_letter_is_no_cancellation() {
    let changes = json!({ "invoice": "A563187", "unit_price": "-11062.06", "stock_code": "B" });
    let flags = ["negative-price", "stock-code"].map(|rule| flagged(rule, "A563187", &changes));
    given::<Flag>().when(line(changes.clone()).key("A563187")).then(flags);
}

#[test]
fn damaged_lines_are_rejected_with_their_fault() {
    for (payload, fault) in DAMAGED {
        given::<Flag>().when(event_raw(*payload)).then_rejects(fault);
    }
}

/// The flag for a line that differs from the proper one by `changes`.
fn flagged(rule: &str, invoice: &str, changes: &Value) -> Expected {
    let field = |name: &str, proper: Value| changes.get(name).cloned().unwrap_or(proper);
    let data = json!({
        "rule": rule,
        "invoice": invoice,
        "stock_code": field("stock_code", json!("85123A")),
        "quantity": field("quantity", json!(6)),
        "unit_price": field("unit_price", json!("2.55")),
    });
    emit("lines", invoice, "line.flagged", &data)
}
