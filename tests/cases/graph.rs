//! `pelton graph`: from the config alone, and with what stands in the app.

use anyhow::Result;
use pelton_tests::App;

use crate::probe;

const FOLD: &str = "[modules.fold]\nplugin = \"fold.wasm\"\ninput = { events = \"out\" }\nviews = [\"fold\"]\n";

fn drawn(app: &App, arguments: &[&str]) -> Result<String> {
    let output = app.pelton(&[&["graph"], arguments].concat())?;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_drawn_without_a_server_and_with_states_from_one() -> Result<()> {
    let mut app = App::with_input(&(probe::module("on_failure = \"halt\"") + FOLD)).await?;
    let mut host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await?;
    app.covered("fold", 1, 1).await?;
    host.terminate().await?;
    app.publish("in.b", r#"[{"reject":"no <more>"}]"#).await?;

    let live = app.pelton_json(&["graph", "--live"])?;
    let module = |name: &str| live["nodes"].as_array().into_iter().flatten().find(|node| node["name"] == name).cloned();
    assert_eq!(
        module("probe").map(|node| node["live"].clone()),
        Some(serde_json::json!({"state": "running", "lag": 1}))
    );
    assert!(drawn(&app, &["--live"])?.contains("module probe (running, lag 1)"));
    assert!(drawn(&app, &["--live", "--format", "svg"])?.contains("running, lag 1"));

    app.server.stop().await?;
    let tree =
        "stream IN\n└─ module probe\n   ├─ events out\n   │  └─ module fold\n   │     └─ view fold\n   └─ view v\n";
    assert_eq!(drawn(&app, &[])?, tree);
    assert!(drawn(&app, &["--format", "dot"])?.contains("\"events:out\" -> \"module:fold\""));
    assert_eq!(app.pelton(&["graph", "--format", "dot", "-o", "json"])?.status.code(), Some(2));
    assert!(!app.pelton(&["graph", "--live"])?.status.success());
    Ok(())
}
