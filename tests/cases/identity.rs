//! A position is valid only for the stream that it was taken from: else the module halts by name, and only it.

use anyhow::Result;
use pelton_tests::{App, logged, stored};
use serde_json::json;

use crate::{guards::forge, probe};

const EMIT: &str = r#"[{"emit":{}}]"#;

/// The module `probe` on `IN`, and a module `other` on another stream.
fn modules() -> String {
    probe::module("") + "[modules.other]\nplugin = \"fold.wasm\"\ninput = { stream = \"OTHER\" }\nviews = [\"fold\"]\n"
}

/// An app whose modules have done three inputs each.
pub async fn app() -> Result<App> {
    let app = App::with_input(&modules()).await?;
    app.stream("OTHER", "other").await?;
    let mut host = app.host()?;
    for _ in 0..3 {
        app.publish("in.a", EMIT).await?;
        app.publish("other", "x").await?;
    }
    app.covered("probe", 1, 3).await?;
    app.covered("other", 1, 3).await?;
    assert!(host.terminate().await?.success());
    Ok(app)
}

/// Starts the host and checks that `probe` halts with a message of `parts`, does nothing, and that `other` goes on.
pub async fn only_probe_halts(app: &App, parts: &[&str]) -> Result<()> {
    let host = app.host_called("again")?;
    logged(&host, &[&["module halts", "probe"], parts].concat()).await?;
    let next = app.publish("other", "x").await?;
    app.covered("other", 1, next).await?;
    assert_eq!(probe::causes(app).await?, [1, 2, 3]);
    let shown = app.pelton(&["module", "show", "probe", "-o", "json"])?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(parts.iter().all(|part| shown.contains(part)), "{shown}");
    Ok(())
}

pub async fn recreate(app: &App) -> Result<()> {
    app.jetstream().delete_stream("IN").await?;
    app.stream("IN", "in.>").await?;
    for _ in 0..5 {
        app.publish("in.a", EMIT).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_made_anew_while_the_host_is_down_halts_its_module_only() -> Result<()> {
    let app = app().await?;
    recreate(&app).await?;
    only_probe_halts(&app, &["IN", "deleted and made anew"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_made_anew_under_a_running_host_halts_its_module_only() -> Result<()> {
    let app = app().await?;
    let host = app.host()?;
    logged(&host, &["running"]).await?;
    recreate(&app).await?;
    logged(&host, &["module halts", "probe", "deleted and made anew"]).await?;
    app.covered("other", 1, app.publish("other", "x").await?).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2, 3]);
    Ok(())
}

/// An app whose `probe` has done three inputs, of a stream that is put back to the first of them. No host runs.
async fn rolled_back() -> Result<App> {
    let mut app = App::with_input(&modules()).await?;
    app.stream("OTHER", "other").await?;
    app.publish("in.a", EMIT).await?;
    let copy = app.folder().join("copy");
    app.server.stop().await?;
    copy_folder(&app.store("IN"), &copy)?;
    app.server.restart().await?;
    let mut host = app.host()?;
    app.publish("in.a", EMIT).await?;
    app.publish("in.a", EMIT).await?;
    app.covered("probe", 1, 3).await?;
    host.terminate().await?;
    app.server.stop().await?;
    std::fs::remove_dir_all(app.store("IN"))?;
    copy_folder(&copy, &app.store("IN"))?;
    app.server.restart().await?;
    Ok(app)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_restored_from_an_older_copy_halts_its_module_only() -> Result<()> {
    let app = rolled_back().await?;
    only_probe_halts(&app, &["IN", "ends at 1", "checkpoint is at 3"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_rolled_back_and_written_again_halts_its_module_only_and_a_reset_goes_on() -> Result<()> {
    let mut app = rolled_back().await?;
    app.client = app.server.client().await?;
    // The same positions, with other messages.
    for sequence in 2..=4 {
        assert_eq!(app.publish("in.a", EMIT).await?, sequence);
    }
    only_probe_halts(&app, &["IN", "another message at 3", "pelton module reset"]).await?;
    let host = app.host_called("third")?;
    logged(&host, &["module halts", "probe"]).await?;
    let done = app.pelton_json(&["module", "reset", "probe", "--to", "2", "--views", "keep"])?;
    assert_eq!((&done["behind"], &done["state"]), (&json!(1), &json!("running")));
    app.covered("probe", 1, 4).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2, 3, 2, 3, 4]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_message_at_the_checkpoint_halts_its_module_only() -> Result<()> {
    let app = app().await?;
    forge(&app, "probe", 0, json!({ "hash": "0123456789abcdef" })).await?;
    only_probe_halts(&app, &["IN", "another message at 3"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_removed_at_or_below_the_checkpoint_is_no_difference() -> Result<()> {
    let app = app().await?;
    app.jetstream().get_stream("IN").await?.purge().await?;
    let _host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", EMIT).await?).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2, 3, 4]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_can_read_without_acknowledging_is_refused_by_name() -> Result<()> {
    let app = App::new(&modules()).await?;
    let config = async_nats::jetstream::stream::Config {
        name: "IN".into(),
        subjects: vec!["in.>".into()],
        retention: async_nats::jetstream::stream::RetentionPolicy::WorkQueue,
        ..Default::default()
    };
    app.jetstream().create_stream(config).await?;
    app.stream("OTHER", "other").await?;
    let host = app.host()?;
    logged(&host, &["module halts", "probe", "IN", "WorkQueue"]).await?;
    app.covered("other", 1, app.publish("other", "x").await?).await?;
    assert!(stored::events(&app, "out").await?.is_empty());
    Ok(())
}

/// Copies a folder with all that is in it.
pub fn copy_folder(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
