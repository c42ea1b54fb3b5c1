//! Sizes are checked before anything is sent: what does not fit becomes a dead letter that names the rule.

use anyhow::Result;
use pelton_tests::{App, stored};
use serde_json::json;

use crate::probe;

#[tokio::test(flavor = "multi_thread")]
async fn effects_that_the_server_would_not_take_become_dead_letters_and_the_rest_goes_on() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let _host = app.host()?;
    let max = app.client.server_info().max_payload;
    let too_large = [
        (json!([{"emit": {"size": max}}]), "message of"),
        (json!([{"write": {"key": "k", "size": max}}]), "message of"),
        (json!([{"emit": {"attribute": ["a", 70_000]}}]), "headers of"),
        (json!([{"emit": {"key": "k".repeat(1_100)}}]), "subject of"),
        (json!([{"emit": {"n": 1_000}}]), "messages for one input"),
        (json!([{"writes": {"n": 1_000, "key": "k"}}]), "messages for one input"),
        (json!([{"emit": {"n": 20, "size": 500_000}}]), "effects of"),
    ];
    let mut expected = Vec::new();
    for (orders, rule) in &too_large {
        expected.push((app.publish("in.a", orders.to_string()).await?, *rule));
    }
    let fitting = [
        json!([{"emit": {"size": max - 1_000}}]),
        json!([{"write": {"key": "large", "size": max - 1_000}}]),
        json!([{"emit": {"attribute": ["a", 60_000]}}]),
        json!([{"emit": {"n": 997}}]),
        json!([{"emit": {"n": 15, "size": 500_000}}]),
    ];
    for orders in &fitting {
        app.publish("in.a", orders.to_string()).await?;
    }
    app.covered("probe", 1, 12).await?;
    let letters = stored::dead_letters(&app, "probe").await?;
    for (at, rule) in &expected {
        let cause = &letters.get(at).unwrap_or_else(|| panic!("no dead letter at {at}: {rule}"))["cause"];
        assert_eq!(cause["kind"], "effects", "{at}");
        let message = cause["message"].as_str().unwrap_or_default();
        assert!(message.contains(rule) && message.contains("limit"), "{at}: {message}");
    }
    assert_eq!(letters.len(), expected.len());
    assert_eq!(app.view("v", "large").await?.map(|value| value.len()), Some(max - 1_000));
    let causes = probe::causes(&app).await?;
    let of = |at| causes.iter().filter(|cause| **cause == at).count();
    assert_eq!([8, 10, 11, 12].map(of), [1, 1, 997, 15]);
    assert_eq!(causes.len(), 1_014);
    Ok(())
}

/// Its dead letter's removal and the audit's entry are in the same batch.
#[tokio::test(flavor = "multi_thread")]
async fn the_most_effects_that_an_input_may_have_it_may_have_when_it_is_replayed() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let _host = app.host()?;
    let orders = json!([{"require": "ready"}, {"emit": {"n": 997}}]);
    app.publish("in.a", orders.to_string()).await?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"write":{"key":"ready","value":"1"}}]"#).await?).await?;
    let replayed = app.pelton_json(&["dlq", "replay", "probe"])?;
    assert_eq!((&replayed[0]["outcome"], &replayed[0]["events"]), (&json!("replayed"), &json!(997)), "{replayed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_too_large_to_be_kept_whole_is_kept_by_its_beginning_and_hash() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let _host = app.host()?;
    let max = app.client.server_info().max_payload;
    app.publish("in.a", vec![b'"'; max - 100]).await?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await?;
    let letters = stored::dead_letters(&app, "probe").await?;
    let letter = &letters[&1];
    assert_eq!(letter["size"], max - 100);
    assert_eq!(letter["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(letter["cause"]["kind"], "reject");
    assert_eq!(probe::causes(&app).await?, [2]);
    Ok(())
}
