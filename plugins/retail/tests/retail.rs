//! Money, moments and totals.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use retail::{Cancelled, Line, Moment, Money, Overflow, Totals};
use serde_json::json;

fn money(text: &str) -> Money {
    Money::try_from(text.to_owned()).unwrap()
}

fn line(quantity: i64, unit_price: &str, sold_at: &str) -> Line {
    serde_json::from_value(json!({
        "invoice": "536365", "stock_code": "85123A", "description": "", "quantity": quantity,
        "unit_price": unit_price, "country": "France", "sold_at": sold_at,
    }))
    .unwrap()
}

#[test]
fn money_is_what_is_exactly_written() {
    for text in ["0", "0.0", "2.55", "-11062.06", "0.001", "79228162514264337593543950335"] {
        assert_eq!(money(text).to_string(), text);
        assert_eq!(serde_json::to_value(money(text)).unwrap(), json!(text));
    }
    for text in ["", "cheap", "1e5", "2,55", "0.00000000000000000000000000001", "NaN"] {
        assert!(Money::try_from(text.to_owned()).is_err(), "{text:?}");
    }
}

#[test]
fn sums_of_money_are_exact_and_without_trailing_zeros() {
    for (a, b, sum) in [
        ("0.1", "0.2", "0.3"),
        ("15.30", "0", "15.3"),
        ("1.50", "1.50", "3"),
        ("2.55", "-2.55", "0"),
        ("-0.0", "0", "0"),
        ("1000000000000000.01", "0.09", "1000000000000000.1"),
    ] {
        assert_eq!(money(a).plus(money(b)).unwrap().to_string(), sum, "{a} + {b}");
    }
    let most = money("79228162514264337593543950335");
    assert_eq!(most.plus(most), None);
    assert_eq!(most.times(-2), None);
    assert_eq!(money("2.55").times(-6), Some(money("-15.30")));
}

#[test]
fn moments_are_utc_to_the_second_and_ordered_by_time() {
    let moment = |text: &str| Moment::try_from(text.to_owned());
    assert_eq!(moment("2010-12-01T08:26:00Z").unwrap().day(), "2010-12-01");
    assert!(moment("2010-12-01T08:26:00Z").unwrap() < moment("2010-12-01T08:26:01Z").unwrap());
    assert!(moment("2010-12-31T08:26:00Z").unwrap() < moment("2011-01-01T00:00:00Z").unwrap());
    for text in [
        "",
        "2010-12-01",
        "2010-12-01 08:26:00",
        "2010-12-01T08:26:00+01:00",
        "2010-12-01T08:26:00.5Z",
        "12/01/2010 8:26",
        "２０１０-12-01T08:26:00Z",
    ] {
        assert!(moment(text).is_err(), "{text:?}");
    }
}

#[test]
fn totals_span_the_earliest_and_the_latest_line() {
    let lines = [
        line(6, "2.55", "2010-12-02T00:00:00Z"),
        line(-2, "2.55", "2010-12-01T00:00:00Z"),
        line(1, "0", "2010-12-03T00:00:00Z"),
        line(1, "-0.20", "2010-12-02T12:00:00Z"),
    ];
    let totals = lines.iter().try_fold(None, |before, line| Totals::add(before, line).map(Some));
    assert_eq!(
        serde_json::to_value(totals.unwrap()).unwrap(),
        json!({
            "lines": 4, "units": 6, "revenue": "10",
            "first": "2010-12-01T00:00:00Z", "last": "2010-12-03T00:00:00Z",
        })
    );
}

#[test]
fn totals_too_large_to_hold_are_an_error() {
    let dear = line(i64::MAX, "79228162514264337593543950335", "2010-12-01T00:00:00Z");
    assert_eq!(Totals::add(None, &dear), Err(Overflow));
    let many = line(i64::MAX, "0", "2010-12-01T00:00:00Z");
    let totals = Totals::add(None, &many).unwrap();
    assert_eq!(Totals::add(Some(totals), &many), Err(Overflow));
}

#[test]
fn a_line_without_a_customer_is_a_line_and_unknown_fields_are_ignored() {
    assert_eq!(line(1, "1", "2010-12-01T00:00:00Z").customer, None);
    let cancelled = json!({ "invoice": "C1", "day": "2010-12-01", "country": "France", "new": 1 });
    let cancelled: Cancelled = serde_json::from_value(cancelled).unwrap();
    assert_eq!(cancelled.customer, None);
}
