//! What the view `by-country` says after given lines.

use by_country::ByCountry;
use pelton_sdk::testing::{event_raw, given, put};
use retail::testing::{DAMAGED, line};
use serde_json::json;

const FIRST: &str = "2010-12-01T08:26:00Z";

#[test]
fn the_first_line_of_a_country_begins_its_totals() {
    given::<ByCountry>().when(line(json!({})).key("United Kingdom")).then([put(
        "by-country",
        "United Kingdom",
        &json!({ "lines": 1, "units": 6, "revenue": "15.3", "first": FIRST, "last": FIRST }),
    )]);
}

#[test]
fn lines_and_returns_add_up() {
    let earlier = "2010-11-30T10:00:00Z";
    given::<ByCountry>()
        .when(line(json!({ "quantity": 3, "unit_price": "0.1" })).key("France"))
        .then([put(
            "by-country",
            "France",
            &json!({ "lines": 1, "units": 3, "revenue": "0.3", "first": FIRST, "last": FIRST }),
        )])
        .when(line(json!({ "quantity": -5, "unit_price": "0.16", "sold_at": earlier })).key("France"))
        .then([put(
            "by-country",
            "France",
            &json!({ "lines": 2, "units": -2, "revenue": "-0.5", "first": earlier, "last": FIRST }),
        )]);
}

#[test]
fn countries_do_not_mix() {
    given::<ByCountry>()
        .view("by-country", "France", &json!({ "lines": 9, "units": 9, "revenue": "9", "first": FIRST, "last": FIRST }))
        .when(line(json!({ "quantity": 1, "unit_price": "1" })).key("Spain"))
        .then([put(
            "by-country",
            "Spain",
            &json!({ "lines": 1, "units": 1, "revenue": "1", "first": FIRST, "last": FIRST }),
        )]);
}

#[test]
fn damaged_lines_are_rejected_with_their_fault() {
    for (payload, fault) in DAMAGED {
        given::<ByCountry>().when(event_raw(*payload).key("France")).then_rejects(fault);
    }
}

#[test]
fn totals_too_large_to_hold_are_rejected() {
    given::<ByCountry>()
        .view(
            "by-country",
            "France",
            &json!({ "lines": 1, "units": i64::MAX, "revenue": "0", "first": FIRST, "last": FIRST }),
        )
        .when(line(json!({ "quantity": 1 })).key("France"))
        .then_rejects("too large");
}
