//! What the view `by-day` says after given cancellations.

use by_day::ByDay;
use pelton_sdk::testing::{Sample, event, given, put};
use serde_json::json;

const DAY: &str = "2010-12-01";

fn cancelled(invoice: &str) -> Sample {
    let data = json!({ "invoice": invoice, "day": DAY, "country": "France", "customer": null });
    event(&data).kind("invoice.cancelled").key(DAY)
}

#[test]
fn each_cancellation_counts_under_its_day() {
    given::<ByDay>()
        .when(cancelled("C536379"))
        .then([put("by-day", DAY, &json!({ "cancellations": 1 }))])
        .when(cancelled("C536383"))
        .then([put("by-day", DAY, &json!({ "cancellations": 2 }))])
        .when(cancelled("C536391").key("2010-12-02"))
        .then([put("by-day", "2010-12-02", &json!({ "cancellations": 1 }))]);
}

#[test]
fn what_is_no_cancellation_is_rejected() {
    given::<ByDay>()
        .when(event(&json!({ "rule": "zero-price" })).key(DAY))
        .then_rejects("payload: missing field `invoice`");
}
