//! The test kit as the author of a plugin sees it: a handler and a projector that use everything, and the kit's
//! answer when an expectation is wrong.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test fails by panicking")]

use std::panic::catch_unwind;
use std::time::Duration;

use pelton_sdk::testing::{cases, delete, emit, event, event_raw, given, put};
use pelton_sdk::{Effects, Emitted, Event, Failure, Handler, Projector, Raw, View, Write, config, log, random};
use serde::{Deserialize, Serialize};
use serde_json::json;

const STOCK: View<Stock> = View::new("stock");

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Stock {
    item: String,
    left: i64,
}

#[derive(Deserialize)]
struct Order {
    item: String,
    quantity: i64,
}

/// Takes what is ordered from the stock.
struct Shop;

impl Handler for Shop {
    type Payload = Order;

    fn handle(event: Event<Order>) -> Result<Effects, Failure> {
        let Order { item, quantity } = event.payload;
        let Some(mut stock) = STOCK.get(&item)? else {
            return Err(Failure::Retry(Some(Duration::from_secs(1))));
        };
        stock.left -= quantity;
        log::info(format_args!("{} left", stock.left));
        let mut effects = Effects::new();
        if stock.left > 0 {
            effects.write(STOCK.put(&item, &stock)?);
        } else {
            let sold_out = Emitted::json("alerts", "sold-out", &stock)?.key(&item);
            effects.emit(sold_out.attribute("severity", "high"));
            effects.write(STOCK.delete(&item));
        }
        Ok(effects)
    }
}

/// Keeps what comes, as it comes.
struct Archive;

impl Projector for Archive {
    type Payload = Raw;

    fn project(event: Event<Raw>) -> Result<Vec<Write>, Failure> {
        let Some(place) = config::get("place") else {
            return Err(Failure::reject("the setting \"place\" is missing"));
        };
        let key = format!("{}/{place}", event.key);
        let archive = View::<()>::new("archive");
        Ok(vec![archive.put_raw(&key, event.payload.0)])
    }
}

/// Emits two random numbers.
struct Dice;

impl Handler for Dice {
    type Payload = serde_json::Value;

    fn handle(_: Event<Self::Payload>) -> Result<Effects, Failure> {
        let mut effects = Effects::new();
        effects.emit(Emitted::json("dice", "rolled", &[random::next(), random::next()])?);
        Ok(effects)
    }
}

fn order(quantity: i64) -> pelton_sdk::testing::Sample {
    event(&json!({ "item": "tea", "quantity": quantity }))
}

#[test]
fn what_was_expected_is_in_the_views_when_the_next_event_comes() {
    given::<Shop>()
        .view("stock", "tea", &json!({ "item": "tea", "left": 5 }))
        .when(order(3))
        .then([put("stock", "tea", &json!({ "left": 2, "item": "tea" }))])
        .when(order(2))
        .then([
            delete("stock", "tea"),
            Emitted::json("alerts", "sold-out", &json!({ "item": "tea", "left": 0 }))
                .unwrap()
                .key("tea")
                .attribute("severity", "high")
                .into(),
        ])
        .when(order(1))
        .then_retries(Some(Duration::from_secs(1)));
}

#[test]
fn a_payload_that_does_not_parse_is_rejected_with_the_field() {
    given::<Shop>()
        .when(event(&json!({ "item": "tea", "quantity": "two" })))
        .then_rejects("payload: quantity: invalid type: string \"two\", expected i64")
        .when(event_raw(r#"{"item":"te"#))
        .then_rejects("EOF while parsing a string at line 1 column 11");
}

#[test]
fn a_view_value_that_does_not_parse_is_rejected_with_its_place() {
    given::<Shop>()
        .view("stock", "tea", &json!({ "item": "tea" }))
        .when(order(1))
        .then_rejects("view stock, key tea: missing field `left`");
}

#[test]
fn raw_payloads_and_settings_reach_the_plugin() {
    given::<Archive>().config("place", "cellar").when(event_raw([0xff, 0x00]).key("a")).then([View::<()>::new(
        "archive",
    )
    .put_raw("a/cellar", vec![0xff, 0x00])
    .into()]);
    given::<Archive>().when(event_raw("x")).then_rejects("the setting \"place\" is missing");
}

#[test]
fn the_same_event_rolls_the_same_dice() {
    let roll = |id: &str| {
        let expected = emit("dice", "key", "rolled", &json!([]));
        failure(|| drop(given::<Dice>().when(event(&1).id(id)).then([expected])))
    };
    assert_eq!(roll("a"), roll("a"));
    assert_ne!(roll("a"), roll("b"));
}

#[test]
fn a_wrong_expectation_shows_what_differs_and_what_was_logged() {
    let message = failure(|| {
        given::<Shop>().view("stock", "tea", &json!({ "item": "tea", "left": 5 })).when(order(3)).then([put(
            "stock",
            "tea",
            &json!({ "item": "tea", "left": 3 }),
        )]);
    });
    assert_eq!(
        message,
        "the plugin answered otherwise than expected (- expected, + got):
  put stock/tea
    {
      \"item\": \"tea\",
-     \"left\": 3
+     \"left\": 2
    }
log info: 2 left
"
    );
}

#[test]
fn effects_that_nobody_expected_fail_and_so_do_missing_ones() {
    let view = json!({ "item": "tea", "left": 1 });
    for (expected, diff) in
        [(vec![delete("stock", "tea")], "+ emit alerts/tea sold-out\n"), (vec![], "+ delete stock/tea\n")]
    {
        let message = failure(|| {
            given::<Shop>().view("stock", "tea", &view).when(order(1)).then(expected);
        });
        assert!(message.contains(diff), "{message}");
    }
    let message = failure(|| {
        given::<Shop>().when(order(1)).then([delete("stock", "tea")]);
    });
    assert!(message.contains("- delete stock/tea\n+ retry after 1s\n"), "{message}");
}

#[test]
fn cases_are_data() {
    cases::<Shop, _>("tests/cases");
}

#[test]
fn cases_that_fail_are_shown_with_their_names_and_what_differs() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("cases");
    std::fs::create_dir_all(&folder).unwrap();
    let sold = json!({ "writes": [{ "view": "stock", "key": "tea", "value": { "item": "tea", "left": 2 } }] });
    let file = json!({
        "when": { "payload": { "item": "tea", "quantity": 3 } },
        "cases": [
            {
                "name": "enough",
                "given": { "views": { "stock": { "tea": { "item": "tea", "left": 5 } } } },
                "steps": [{ "then": sold }, { "then": sold }],
            },
            { "name": "no tea", "then": { "reject": "no tea" } },
            { "name": "later", "then": { "retry": { "milliseconds": 1000 } } },
        ],
    });
    std::fs::write(folder.join("shop.json"), file.to_string()).unwrap();
    let message = failure(|| cases::<Shop, _>(&folder));
    let enough = "2 of 3 cases failed

shop.json: enough (step 2): the plugin answered otherwise than expected (- expected, + got):
- put stock/tea
+ emit alerts/tea sold-out
+   severity: high
    {
      \"item\": \"tea\",
-     \"left\": 2
+     \"left\": -1
    }
+ delete stock/tea
log info: -1 left

shop.json: no tea: the plugin answered otherwise than expected (- expected, + got):
- reject: no tea
+ retry after 1s
";
    assert_eq!(message, enough);
    assert!(failure(|| cases::<Shop, _>("tests/none")).starts_with("tests/none: "));
}

/// What a failing test says.
fn failure(test: impl FnOnce() + std::panic::UnwindSafe) -> String {
    *catch_unwind(test).unwrap_err().downcast().unwrap()
}
