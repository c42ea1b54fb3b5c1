//! Inputs that fail: each ends as its cause says, and the rest goes on.

use anyhow::Result;
use pelton_tests::{App, stored};

use crate::probe;

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_becomes_a_dead_letter_with_its_cause_and_tries() -> Result<()> {
    let app = App::with_input(&probe::module(
        "lanes = 2\nattempts = 3\nlimits = { deadline = \"200ms\", memory = \"8MiB\" }",
    ))
    .await?;
    let _host = app.host()?;
    let cases = [
        (r#"[{"reject":"not today"}]"#, "reject", 1, "not today"),
        (r#"[{"emit":{}},{"reject":"after all"}]"#, "reject", 1, "after all"),
        (r#"["trap"]"#, "trap", 2, "unreachable"),
        (r#"["spin"]"#, "timeout", 2, "200ms"),
        (r#"["grow"]"#, "limit", 2, "limit of 8MiB"),
        (r#"[{"retry":10}]"#, "retry", 3, "3 times"),
        (r#"[{"retry":null}]"#, "retry", 3, "3 times"),
        ("no orders", "reject", 1, "payload"),
        (r#"[{"emit":{"category":"foreign"}}]"#, "effects", 1, "foreign"),
        (r#"[{"write":{"view":"foreign","key":"a"}}]"#, "effects", 1, "foreign"),
        (r#"[{"write":{"key":"b"}}]"#, "effects", 1, "view key"),
        (r#"[{"write":{"key":"ab"}}]"#, "effects", 1, "view key"),
        (r#"[{"get":{"view":"foreign","key":"a"}}]"#, "effects", 1, "foreign"),
        (r#"[{"get":{"view":"v","key":"b"}}]"#, "effects", 1, "view key"),
        (r#"[{"emit":{"key":""}}]"#, "effects", 1, "empty"),
        (r#"[{"emit":{"attribute":["Nats-Rollup",3]}}]"#, "effects", 1, "Nats-Rollup"),
        (r#"[{"emit":{"attribute":["id",3]}}]"#, "effects", 1, "id"),
    ];
    for (orders, ..) in cases {
        app.publish("in.a", orders).await?;
    }
    let good = app.publish("in.a", r#"[{"emit":{}},{"write":{"key":"a/b","value":"1"}},{"count":"a"}]"#).await?;
    app.covered("probe", 2, good).await?;
    let letters = stored::dead_letters(&app, "probe").await?;
    for (at, (orders, kind, attempts, message)) in (1..).zip(cases) {
        let letter = &letters.get(&at).unwrap_or_else(|| panic!("{orders} is no dead letter"));
        let (cause, data) = (&letter["cause"], &letter["data"]);
        let said = cause["message"].as_str().unwrap_or_default().to_lowercase();
        assert_eq!((cause["kind"].as_str(), data.as_str()), (Some(kind), Some(orders)), "{said}");
        assert!(said.contains(&message.to_lowercase()), "{orders}: {said}");
        assert_eq!(letter["attempts"], attempts, "{orders}");
    }
    assert_eq!(letters.len(), cases.len());
    assert_eq!(probe::causes(&app).await?, [good]);
    assert_eq!(app.view("v", "a/b").await?.as_deref(), Some(&b"1"[..]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_without_envelope_or_key_becomes_a_dead_letter_with_its_bytes() -> Result<()> {
    let app = App::with_input(&probe::module("").replace("{ token = 2 }", "{ header = \"tenant\" }")).await?;
    let _host = app.host()?;
    app.publish_with("in.a", &[("tenant", "a"), ("ce-specversion", "1.0"), ("ce-type", "t")], "[]").await?;
    app.publish_with("in.a", &[("tenant", "a"), ("Content-Type", "application/cloudevents+json")], "{").await?;
    app.publish("in.a", "[]").await?;
    let bytes = app.publish("in.a", vec![0xFF, 0xFE]).await?;
    app.covered("probe", 1, app.publish_with("in.a", &[("tenant", "a")], r#"[{"emit":{}}]"#).await?).await?;
    let letters = stored::dead_letters(&app, "probe").await?;
    let kinds: Vec<_> = letters.values().map(|letter| letter["cause"]["kind"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["decode", "decode", "key", "key"]);
    assert_eq!(letters[&bytes]["data_base64"], "//4=");
    assert_eq!(letters[&1]["headers"].to_string(), r#"[["ce-specversion","1.0"],["ce-type","t"],["tenant","a"]]"#);
    assert_eq!(probe::causes(&app).await?, [5]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_retries_keeps_its_order_while_others_go_on() -> Result<()> {
    let app = App::with_input(&probe::module("lanes = 2\nattempts = 4")).await?;
    let _host = app.host()?;
    let on = |lane| (0..).map(|n| format!("k{n}")).find(|key| xxhash_rust::xxh64::xxh64(key.as_bytes(), 0) % 2 == lane);
    let (slow, quick) = (on(0).unwrap_or_default(), on(1).unwrap_or_default());
    app.publish(&format!("in.{slow}"), r#"[{"retry":200}]"#).await?;
    app.publish(&format!("in.{slow}"), r#"[{"emit":{}}]"#).await?;
    app.publish(&format!("in.{quick}"), r#"[{"emit":{}}]"#).await?;
    app.covered("probe", 2, 3).await?;
    assert_eq!(probe::causes(&app).await?, [3, 2]);
    let letter = stored::latest(&app, "KV_demo", "pelton.demo.dlq.>").await?;
    let behind = stored::messages(&app, "KV_demo", &format!("pelton.demo.events.out.{slow}")).await?;
    assert!(letter[0].sequence < behind[0].sequence);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_logs_and_reads_from_its_config_arrives() -> Result<()> {
    let app = App::with_input(&probe::module("config = { greeting = \"hello\" }")).await?;
    let host = app.host()?;
    let orders = r#"[{"log":"look\nhere"},{"config":"greeting"},{"config":"none"}]"#;
    app.covered("probe", 1, app.publish("in.a", orders).await?).await?;
    let line = pelton_tests::logged(&host, &["look here", "probe"]).await?;
    assert!(line.contains("WARN"), "{line}");
    let payloads: Vec<_> = stored::events(&app, "out").await?.into_iter().map(|event| event.payload).collect();
    assert_eq!(payloads, ["\"hello\"", "null"]);
    Ok(())
}
