//! What the view `by-customer` says after given lines.

use by_customer::ByCustomer;
use pelton_sdk::testing::{event_raw, given, put};
use retail::testing::{DAMAGED, line};
use serde_json::json;

const FIRST: &str = "2010-12-01T08:26:00Z";

#[test]
fn the_lines_of_a_customer_add_up() {
    given::<ByCustomer>()
        .view(
            "by-customer",
            "17850.0",
            &json!({ "lines": 1, "units": 8, "revenue": "22", "first": FIRST, "last": FIRST }),
        )
        .when(line(json!({})).key("17850.0"))
        .then([put(
            "by-customer",
            "17850.0",
            &json!({ "lines": 2, "units": 14, "revenue": "37.3", "first": FIRST, "last": FIRST }),
        )]);
}

#[test]
fn lines_without_a_customer_count_under_the_event_s_key() {
    given::<ByCustomer>().when(line(json!({ "customer": null })).key("anonymous")).then([put(
        "by-customer",
        "anonymous",
        &json!({ "lines": 1, "units": 6, "revenue": "15.3", "first": FIRST, "last": FIRST }),
    )]);
}

#[test]
fn damaged_lines_are_rejected_with_their_fault() {
    for (payload, fault) in DAMAGED {
        given::<ByCustomer>().when(event_raw(*payload).key("17850.0")).then_rejects(fault);
    }
}
