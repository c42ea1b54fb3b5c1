//! Events arrive as binary and structured CloudEvents and as bare messages; context is carried into what they cause.

use anyhow::{Context, Result};
use pelton_tests::{App, stored};
use serde_json::{Value, json};

use crate::probe;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What the guest saw of the input at `sequence`, and the headers of the event that says so.
async fn seen(app: &App, sequence: u64) -> Result<(Value, stored::Stored)> {
    app.covered("probe", 1, sequence).await?;
    let events = stored::events(app, "out").await?;
    let input = format!("IN:{sequence}");
    let event = events.into_iter().find(|event| event.header("Pelton-Input") == input).context("no event")?;
    Ok((event.json()?, event))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_event_arrives_with_all_its_attributes_and_hands_its_context_on() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let _host = app.host()?;
    let headers = [
        ("CE-specversion", "1.0"),
        ("ce-id", "order%201"),
        ("ce-source", "/shop/%C3%A9"),
        ("ce-type", "order.placed"),
        ("ce-subject", "order 1"),
        ("ce-time", "2011-01-02T03:04:05+01:00"),
        ("ce-tenant", "acme"),
        ("ce-correlationid", "began"),
        ("ce-causationid", "before"),
        ("Content-Type", "application/json"),
        ("X-Custom", "kept"),
        ("Nats-Custom", "not kept"),
        ("traceparent", TRACE),
        ("tracestate", "a=b"),
    ];
    let (event, stored) = seen(&app, app.publish_with("in.a", &headers, r#"["echo"]"#).await?).await?;
    let expected = json!({
        "id": "order 1", "source": "/shop/é", "kind": "order.placed", "subject": "order 1", "key": "a",
        "stream": "IN", "sequence": 1, "time": "2011-01-02T02:04:05Z", "content_type": "application/json",
        "correlation": "began", "causation": "before",
        "attributes": [["tenant", "acme"], ["traceparent", TRACE], ["tracestate", "a=b"], ["x-custom", "kept"]],
    });
    assert_eq!(event, expected);
    let carried = [
        ("ce-correlationid", "began"),
        ("ce-causationid", "order%201"),
        ("tracestate", "a=b"),
        ("ce-time", "2011-01-02T02:04:05Z"),
        ("Nats-Custom", ""),
        ("X-Custom", ""),
    ];
    for (name, value) in carried {
        assert_eq!(stored.header(name), value, "{name}");
    }
    carries_the_trace_on(&stored);
    Ok(())
}

/// What an event says of the producer's trace: the same trace, and the span of the input that caused it.
fn carries_the_trace_on(event: &stored::Stored) {
    let said = event.header("traceparent");
    assert_eq!(event.header("ce-traceparent"), said);
    assert!(said.len() == TRACE.len() && said.starts_with(&TRACE[..36]) && said.ends_with("-01"), "{said}");
    assert_ne!(said, TRACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_structured_event_is_read_from_its_payload() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let _host = app.host()?;
    let event = json!({
        "specversion": "1.0", "id": "s1", "source": "/shop", "type": "order.placed", "tenant": "acme", "weight": 3,
        "time": "2011-01-02T03:04:05Z", "datacontenttype": "application/json", "data": ["echo"],
    });
    let headers = [("Content-Type", "application/cloudevents+json; charset=utf-8"), ("traceparent", TRACE)];
    let (seen, stored) = seen(&app, app.publish_with("in.a", &headers, &event.to_string()).await?).await?;
    for (field, value) in [
        ("id", json!("s1")),
        ("source", json!("/shop")),
        ("kind", json!("order.placed")),
        ("time", json!("2011-01-02T03:04:05Z")),
        ("content_type", json!("application/json")),
        ("correlation", json!("s1")),
        ("causation", Value::Null),
        ("attributes", json!([["tenant", "acme"], ["traceparent", TRACE], ["weight", "3"]])),
    ] {
        assert_eq!(seen[field], value, "{field}");
    }
    carries_the_trace_on(&stored);
    assert_eq!(stored.header("ce-causationid"), "s1");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_message_gets_its_id_from_its_stream_and_position() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let _host = app.host()?;
    let (seen, stored) = seen(&app, app.publish_with("in.a", &[("Tenant", "acme")], r#"["echo"]"#).await?).await?;
    for (field, value) in [
        ("id", json!("IN:1")),
        ("source", json!("nats:IN")),
        ("kind", json!("in.a")),
        ("correlation", json!("IN:1")),
        ("causation", Value::Null),
        ("attributes", json!([["tenant", "acme"]])),
    ] {
        assert_eq!(seen[field], value, "{field}");
    }
    assert_eq!(stored.header("ce-correlationid"), "IN:1");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_fed_by_a_module_carries_the_chain_on() -> Result<()> {
    let second = "[modules.second]\nplugin = \"probe.wasm\"\ninput = { events = \"out\" }\nemits = [\"more\"]\n";
    let first = "[modules.probe]\nplugin = \"probe.wasm\"\ninput = { stream = \"IN\" }\nemits = [\"out\"]\n";
    let app = App::with_input(&(first.to_owned() + second)).await?;
    let _host = app.host()?;
    // The first emits what it saw, which the second cannot read as orders: a dead letter that names its input.
    app.publish("in.a", r#"["echo"]"#).await?;
    let letters = pelton_tests::eventually("the dead letter", pelton_tests::SOON, async || {
        Ok(Some(stored::dead_letters(&app, "second").await.unwrap_or_default()).filter(|letters| !letters.is_empty()))
    });
    let letters = letters.await?;
    let letter = letters.values().next().context("none")?;
    assert_eq!(letter["stream"], "KV_demo");
    assert_eq!(letter["cause"]["kind"], "reject");
    assert_eq!(letter["subject"], "pelton.demo.events.out.in=2Ea");
    let headers = letter["headers"].to_string();
    assert!(headers.contains(r#"["ce-causationid","IN:1"]"#), "{headers}");
    Ok(())
}
