//! Emitted events as server-sent events, and CloudEvents that come in over HTTP.

use std::fs;

use anyhow::{Context, Result};
use pelton_tests::{App, Events, Host, Http, SOON, stored};
use serde_json::{Value, json};

use crate::probe;

const TOKEN: &str = "a-token-of-24-characters";
const EVENT: &str = r#"{"specversion":"1.0","id":"one","source":"test","type":"t","data":[{"emit":{}}]}"#;

/// An app whose host wants the token, and a client that shows it.
async fn app() -> Result<(App, Host, Http)> {
    let app = App::with_input("").await?;
    fs::write(app.folder().join("token"), TOKEN)?;
    let modules = probe::module("").replace("emits = [\"out\"]", "emits = [\"out\", \"other\"]");
    app.configure_http("listen = \"127.0.0.1:0\"\ntoken = { file = \"token\" }", &modules)?;
    let host = app.host()?;
    let http = host.http().await?.with_token(TOKEN);
    Ok((app, host, http))
}

/// The id and the event in the next one that is sent.
async fn next(events: &mut Events) -> Result<(u64, Value)> {
    loop {
        let sent = tokio::time::timeout(SOON, events.next()).await.context("no event came")??;
        let sent = sent.context("the stream has ended")?;
        let field = |name: &str| sent.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
        if let (Some(id), Some(data)) = (field("id"), field("data")) {
            return Ok((id.parse()?, serde_json::from_str(&data)?));
        }
    }
}

async fn emit(app: &App, key: &str, category: &str) -> Result<u64> {
    app.publish(&format!("in.{key}"), format!(r#"[{{"emit":{{"category":"{category}"}}}}]"#)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_as_they_are_stored_and_a_reader_that_comes_back_misses_none() -> Result<()> {
    let (mut app, _host, http) = app().await?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"emit":{"key":"a b"}}]"#).await?).await?;
    let mut all = http.events("/events?since=first", &[]).await?;
    let mut new = http.events("/events", &[]).await?;
    let (first, event) = next(&mut all).await?;
    assert_eq!(
        (&event["specversion"], &event["peltoncategory"], &event["peltonsequence"]),
        (&json!("1.0"), &json!("out"), &json!(first.to_string()))
    );
    assert_eq!((&event["source"], &event["peltonkey"]), (&json!("pelton/demo/probe"), &json!("a b")));
    let stored = stored::events(&app, "out").await?;
    assert_eq!((stored[0].sequence, stored[0].header("ce-id")), (first, event["id"].as_str().unwrap_or_default()));

    emit(&app, "c", "out").await?;
    let (second, event) = next(&mut new).await?;
    assert_eq!((event["peltonkey"].as_str(), next(&mut all).await?.0), (Some("c"), second));
    drop(all);
    for key in ["d", "e", "f"] {
        emit(&app, key, "out").await?;
    }
    let mut again = http.events("/events", &[("last-event-id", &second.to_string())]).await?;
    for key in ["d", "e", "f"] {
        assert_eq!(next(&mut again).await?.1["peltonkey"], key);
    }

    app.server.kill9()?;
    app.server.restart().await?;
    app.client = app.server.client().await?;
    emit(&app, "g", "out").await?;
    assert_eq!(next(&mut again).await?.1["peltonkey"], "g");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_gets_the_events_that_it_asks_for() -> Result<()> {
    let (app, _host, http) = app().await?;
    for (key, category) in [("a", "out"), ("a", "other"), ("b", "out"), ("b", "other")] {
        app.covered("probe", 1, emit(&app, key, category).await?).await?;
    }
    let kind = stored::events(&app, "out").await?[0].header("ce-type").to_owned();
    for (query, expected) in [
        ("category=other".to_owned(), vec![("a", "other"), ("b", "other")]),
        ("key=b".to_owned(), vec![("b", "out"), ("b", "other")]),
        ("key=b&category=out".to_owned(), vec![("b", "out")]),
        ("key=a&key=b&category=out".to_owned(), vec![("a", "out"), ("b", "out")]),
        (format!("type={kind}&category=out&type=none"), vec![("a", "out"), ("b", "out")]),
    ] {
        let mut events = http.events(&format!("/events?since=first&{query}"), &[]).await?;
        for (key, category) in expected {
            let event = next(&mut events).await?.1;
            assert_eq!(
                (event["peltonkey"].as_str(), event["peltoncategory"].as_str()),
                (Some(key), Some(category)),
                "{query}"
            );
        }
    }
    let second = stored::events(&app, "out").await?[1].sequence;
    let mut events = http.events(&format!("/events?since={second}"), &[]).await?;
    assert_eq!(next(&mut events).await?.0, second);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_and_streams_are_bounded() -> Result<()> {
    let (_app, mut host, http) = app().await?;
    for path in [
        "/events?since=yesterday",
        "/events?category=A",
        "/events?key=",
        "/events?sinse=first",
        "/events?since=1&since=2",
    ] {
        let answer = http.get(path).await?;
        assert!(answer.status == 400 && !answer.problem().is_empty(), "{path}: {answer:?}");
    }
    for last in ["x", "-1", "999999999"] {
        let answer = http.send("GET", "/events", &[("last-event-id", last)], "").await?;
        assert!(answer.status == 400 && answer.problem().contains(last), "{last}: {answer:?}");
    }
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(http.events("/events", &[]).await?);
    }
    let refused = http.get("/events").await?;
    assert!(refused.status == 503 && refused.problem().contains("too many streams"), "{refused:?}");
    assert_eq!(http.get("/readyz").await?.status, 200);
    assert!(host.terminate().await?.success(), "streams end with the host");
    for mut events in open {
        while events.next().await?.is_some() {}
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cloudevents_in_each_mode_become_inputs() -> Result<()> {
    let (app, _host, http) = app().await?;
    let binary = [
        ("ce-specversion", "1.0"),
        ("ce-id", "a%20b"),
        ("ce-source", "test"),
        ("ce-type", "t"),
        ("ce-tenant", "x"),
        ("content-type", "application/json"),
    ];
    let answer = http.send("POST", "/events/in.a", &binary, r#"[{"emit":{}}]"#).await?;
    assert_eq!(
        (answer.status, answer.json()?),
        (201, json!({"published": [{"id": "a b", "stream": "IN", "sequence": 1}]}))
    );
    let structured = [("content-type", "application/cloudevents+json")];
    assert_eq!(http.send("POST", "/events/in.a", &structured, EVENT).await?.status, 201);
    let batch = [("content-type", "application/cloudevents-batch+json")];
    let answer = http.send("POST", "/events/in.a", &batch, format!("[{EVENT},{EVENT}]")).await?;
    assert_eq!(answer.json()?["published"][1]["sequence"], 4);
    app.covered("probe", 1, 4).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2, 3, 4]);
    let stored = stored::messages(&app, "IN", "in.>").await?;
    assert_eq!((stored[0].header("ce-id"), stored[0].header("ce-tenant")), ("a%20b", "x"));
    assert_eq!((stored[0].header("user-agent"), stored[0].header("authorization")), ("", ""));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_or_no_input_is_refused_and_nothing_is_stored() -> Result<()> {
    let (app, _host, http) = app().await?;
    let structured = [("content-type", "application/cloudevents+json")];
    let batch = [("content-type", "application/cloudevents-batch+json")];
    let large = format!(r#"{{"specversion":"1.0","id":"l","source":"s","type":"t","data":"{}"}}"#, "x".repeat(2 << 20));
    let long = format!("in.{}", "x".repeat(5_000));
    let huge = "x".repeat(9 << 20);
    for (subject, headers, body, status) in [
        ("in.a", &[("content-type", "application/json")][..], "{}", 415),
        ("in.a", &structured, "{}", 400),
        ("in.a", &structured, "no json", 400),
        ("in.a", &batch, EVENT, 400),
        ("in.a", &structured, large.as_str(), 413),
        ("in.a", &structured, huge.as_str(), 413),
        ("elsewhere.a", &structured, EVENT, 404),
        ("$KV.demo.v.1.x", &structured, EVENT, 404),
        ("pelton.demo.events.out.a", &structured, EVENT, 404),
        ("in.*", &structured, EVENT, 400),
        ("in..a", &structured, EVENT, 400),
        (long.as_str(), &structured, EVENT, 413),
        ("in.a%20b", &structured, EVENT, 400),
    ] {
        let answer = http.send("POST", &format!("/events/{subject}"), headers, body.to_owned()).await?;
        assert!(answer.status == status && !answer.problem().is_empty(), "{subject} {status}: {answer:?}");
    }
    let wide = [&structured[..], &[("ce-specversion", "1.0")]].concat();
    assert_eq!(
        http.send(
            "POST",
            "/events/in.a",
            &wide,
            format!(r#"{{"specversion":"1.0","id":"w","source":"{}","type":"t"}}"#, "é".repeat(40_000))
        )
        .await?
        .status,
        413
    );
    assert!(http.get("/metrics").await?.text().contains("pelton_reconnects_total{connection=\"read\"} 0"));
    assert!(stored::messages(&app, "IN", "in.>").await?.is_empty());
    assert!(stored::events(&app, "out").await?.is_empty());
    let half = http.send("POST", "/events/in.a", &batch, format!("[{EVENT},{large}]")).await?;
    assert_eq!((half.status, half.json()?["published"].as_array().map(Vec::len)), (413, Some(1)));

    let mut config = app.jetstream().get_stream("IN").await?.cached_info().config.clone();
    config.max_message_size = 600;
    app.jetstream().update_stream(&config).await?;
    let long = format!(r#"{{"specversion":"1.0","id":"l","source":"s","type":"t","data":"{}"}}"#, "x".repeat(700));
    let never = http.send("POST", "/events/in.a", &structured, long).await?;
    assert!(never.status == 413 && never.problem().contains("than stream IN takes"), "{never:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_nobody_publishes_over_http() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let host = app.host()?;
    let answer = host
        .http()
        .await?
        .send("POST", "/events/in.a", &[("content-type", "application/cloudevents+json")], EVENT)
        .await?;
    assert!(answer.status == 403 && answer.problem().contains("token = {"), "{answer:?}");
    let (app, host, _) = self::app().await?;
    let answer = host.http().await?.send("POST", "/events/in.a", &[], EVENT).await?;
    assert_eq!(answer.status, 401);
    assert!(stored::messages(&app, "IN", "in.>").await?.is_empty());
    Ok(())
}
