//! Guests that fail on some of their inputs, or keep to themselves what no handler may keep.

use anyhow::{Result, ensure};
use pelton_tests::stored;
use serde_json::{Value, json};

use super::{Field, emitted, probe};

/// Inputs of a guest that fails on every second.
const INPUTS: u64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn guests_that_panic_or_hide_state_harm_only_the_input_that_they_do_it_on() -> Result<()> {
    let modules = probe("panics", "")? + &probe("aborts", "")? + &probe("kept", "")? + &probe("fresh", "fresh = true")?;
    let field = Field::new(&[], &modules).await?;
    let app = &field.app;
    let panics =
        app.publish("attack.panics.k", json!([{"log": "before"}, {"panic": "no such customer"}]).to_string()).await?;
    let mut last = 0;
    let mut good = Vec::new();
    for number in 0..INPUTS {
        let orders = if number % 2 == 0 { json!([{"emit": {}}]) } else { json!([{"emit": {}}, "trap"]) };
        last = app.publish("attack.aborts.k", orders.to_string()).await?;
        good.extend((number % 2 == 0).then_some(last));
    }
    let mut hidden = [Vec::new(), Vec::new()];
    for _ in 0..10 {
        for (module, inputs) in ["kept", "fresh"].iter().zip(&mut hidden) {
            last = app.publish(&format!("attack.{module}.k"), r#"["hidden"]"#).await?;
            inputs.push(last);
        }
    }
    for module in ["panics", "aborts", "kept", "fresh"] {
        field.done(module, last).await?;
    }

    // A panic without the SDK's hook would be a bare `unreachable`.
    let letters = stored::dead_letters(app, "panics").await?;
    let letter = &letters[&panics];
    ensure!(letter["cause"]["kind"] == "trap", "{letter}");
    ensure!(letter["cause"]["message"].to_string().contains("no such customer"), "{letter}");
    let log = letter["log"].as_array().map_or(&[][..], Vec::as_slice);
    ensure!(log.len() == 2 && log[0] == "before" && log[1].to_string().contains("no such customer"), "{letter}");
    ensure!(letter["cause"]["backtrace"].to_string().contains("panic"), "{letter}");

    // If an instance were used again after a trap, or a slice redone from its start, an event would be missing or double.
    let inputs: Vec<u64> = emitted(&field, "aborts").await?.into_iter().map(|(at, _)| at).collect();
    ensure!(inputs == good, "events of {inputs:?}, expected of {good:?}");
    let letters = stored::dead_letters(app, "aborts").await?;
    ensure!(letters.len() as u64 == INPUTS / 2 && good.iter().all(|at| !letters.contains_key(at)), "{}", letters.len());

    // That the other one grows shows that the test can see what `fresh` takes away.
    let seen = async |module| {
        Ok::<_, anyhow::Error>(emitted(&field, module).await?.into_iter().map(|(_, n)| n).collect::<Vec<_>>())
    };
    ensure!(seen("fresh").await? == vec![json!(1); 10], "{:?}", seen("fresh").await?);
    let kept: Vec<u64> = seen("kept").await?.iter().filter_map(Value::as_u64).collect();
    ensure!(kept.len() == 10 && kept.is_sorted() && kept[9] > 1, "{kept:?}");
    field.stands().await
}
