//! Any NATS client reads what Pelton writes: key-value clients the views, consumers the events.

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use pelton_tests::{App, stored};
use serde_json::json;

const MODULE: &str = r#"
[modules.probe]
plugin = "probe.wasm"
input = { stream = "IN" }
key = { json = "/0/write/key" }
lanes = 4
views = ["v"]
emits = ["out"]
"#;

/// Keys of the data, and as they stand in subjects.
const KEYS: [(&str, &str); 6] = [
    ("United Kingdom", "United=20Kingdom"),
    ("17850.0", "17850=2E0"),
    ("café/日本", "caf=C3=A9/=E6=97=A5=E6=9C=AC"),
    ("a=b", "a=3Db"),
    ("* >", "=2A=20=3E"),
    ("plain-key_1/x", "plain-key_1/x"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_key_value_client_gets_lists_and_watches_views() -> Result<()> {
    let app = App::with_input(MODULE).await?;
    let _host = app.host()?;
    for (key, _) in KEYS {
        app.publish("in.x", json!([{"write": {"key": key, "value": format!("of {key}")}}]).to_string()).await?;
    }
    app.covered("probe", 4, 6).await?;
    let bucket = app.bucket().await?;
    let live = bucket.get("v").await?.context("the view has no live generation")?;
    let live = std::str::from_utf8(&live)?;
    for (key, encoded) in KEYS {
        let value = bucket.get(format!("v.{live}.{encoded}")).await?;
        assert_eq!(value.as_deref(), Some(format!("of {key}").as_bytes()), "{key}");
    }
    let mut keys: Vec<String> = bucket.keys().await?.try_collect().await?;
    keys.sort_unstable();
    let mut expected: Vec<String> = KEYS.map(|(_, encoded)| format!("v.1.{encoded}")).to_vec();
    expected.push("v".to_owned());
    expected.sort_unstable();
    assert_eq!(keys, expected);

    let mut watch = bucket.watch("v.1.>").await?;
    app.publish("in.x", json!([{"write": {"key": "a=b", "value": "new"}}]).to_string()).await?;
    let seen = tokio::time::timeout(pelton_tests::SOON, watch.next()).await?.context("the watch ended")??;
    assert_eq!((seen.key.as_str(), &seen.value[..]), ("v.1.a=3Db", &b"new"[..]));

    let delete = json!([{"write": {"key": "17850.0", "value": "-"}}, {"delete": "17850.0"}]);
    app.covered("probe", 4, app.publish("in.x", delete.to_string()).await?).await?;
    assert_eq!(bucket.get("v.1.17850=2E0").await?, None);
    assert_eq!(bucket.get("v.1.a=3Db").await?.as_deref(), Some(&b"new"[..]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_reads_events_by_category_and_entity() -> Result<()> {
    let app = App::with_input(MODULE).await?;
    let _host = app.host()?;
    for key in ["United Kingdom", "France"] {
        let orders =
            json!([{"write": {"key": key, "value": "1"}}, {"emit": {"size": 3}}, {"emit": {"key": "other one"}}]);
        app.publish("in.x", orders.to_string()).await?;
    }
    app.covered("probe", 4, 2).await?;
    let of_entity = stored::messages(&app, "KV_demo", "pelton.demo.events.out.United=20Kingdom").await?;
    let [event] = of_entity.as_slice() else { panic!("{of_entity:?}") };
    assert_eq!(event.payload, "xxx");
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-type", "probe.emitted"),
        ("ce-source", "pelton/demo/probe"),
        ("ce-causationid", "IN:1"),
        ("ce-correlationid", "IN:1"),
        ("Content-Type", "text/plain"),
        ("Pelton-Input", "IN:1"),
    ];
    for (name, value) in headers {
        assert_eq!(event.header(name), value, "{name}");
    }
    uuid::Uuid::parse_str(event.header("ce-id"))?;
    assert_eq!(stored::messages(&app, "KV_demo", "pelton.demo.events.out.other=20one").await?.len(), 2);
    assert_eq!(stored::events(&app, "out").await?.len(), 4);
    Ok(())
}
