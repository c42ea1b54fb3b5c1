//! Lines for the tests of the plugins.

use pelton_sdk::testing::{Sample, event};
use serde_json::{Value, json};

/// A proper line, as the shop's first one, except for what `changes` says. A field that it sets to null is left out.
pub fn line(changes: Value) -> Sample {
    let mut line = json!({
        "invoice": "536365",
        "stock_code": "85123A",
        "description": "WHITE HANGING HEART T-LIGHT HOLDER",
        "quantity": 6,
        "unit_price": "2.55",
        "customer": "17850.0",
        "country": "United Kingdom",
        "sold_at": "2010-12-01T08:26:00Z"
    });
    if let (Value::Object(line), Value::Object(changes)) = (&mut line, changes) {
        line.extend(changes);
        line.retain(|_, value| !value.is_null());
    }
    event(&line)
}

/// What the shop's source sometimes sends instead of a line, and why it is no line.
pub const DAMAGED: &[(&str, &str)] = &[
    ("", "payload: EOF while parsing a value at line 1 column 0"),
    ("not JSON", "payload: expected ident at line 1 column 2"),
    (r#"{"invoice":"536365","stock_code":"851"#, "payload: stock_code: EOF while parsing a string at line 1 column 37"),
    ("[]", "payload: a list, where an object is expected"),
    (
        r#"{"invoice":"536365","stock_code":"85123A","description":"","unit_price":"2.55","country":"France","sold_at":"2010-12-01T08:26:00Z"}"#,
        "payload: missing field `quantity`",
    ),
    (r#"{"invoice":536365}"#, "payload: invoice: invalid type: integer `536365`, expected a string"),
    (r#"{"quantity":"six"}"#, r#"payload: quantity: invalid type: string "six", expected i64"#),
    (r#"{"quantity":1.5}"#, "payload: quantity: invalid type: floating point `1.5`, expected i64"),
    (r#"{"unit_price":"cheap"}"#, r#"payload: unit_price: "cheap" is no amount of money"#),
    (r#"{"unit_price":2.55}"#, "payload: unit_price: invalid type: floating point `2.55`, expected a string"),
    (r#"{"sold_at":"yesterday"}"#, r#"payload: sold_at: "yesterday" is no moment"#),
    (r#"{"invoice":null}"#, "payload: invoice: invalid type: null, expected a string"),
];
