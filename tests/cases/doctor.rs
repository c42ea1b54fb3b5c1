//! `pelton doctor` on a real server.

use anyhow::{Context, Result};
use async_nats::jetstream::stream;
use pelton_tests::{App, logged, stored};
use serde_json::Value;

use crate::probe;

/// The findings about `what`, and the exit code.
fn found(app: &App, what: &str) -> Result<(Vec<Value>, Option<i32>)> {
    found_at(app, &[], what)
}

/// The same, with what servers say at these monitoring addresses.
fn found_at(app: &App, monitors: &[&str], what: &str) -> Result<(Vec<Value>, Option<i32>)> {
    let mut command = app.verb(&["doctor", "-o", "json"])?;
    let output = command.args(monitors.iter().flat_map(|address| ["--monitor", address])).output()?;
    let all: Vec<Value> =
        serde_json::from_slice(&output.stdout).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok((all.into_iter().filter(|finding| finding["what"] == what).collect(), output.status.code()))
}

fn levels(found: &[Value]) -> Vec<&str> {
    found.iter().filter_map(|finding| finding["level"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_looked_over_before_and_after_it_ran() -> Result<()> {
    let mut app = App::with_input(&probe::module("lanes = 2")).await?;
    let (none, code) = found(&app, "app stream")?;
    assert_eq!((levels(&none), code), (vec!["warn"], Some(0)), "{none:?}");

    let mut host = app.host()?;
    app.covered("probe", 2, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await?;
    app.covered("probe", 2, app.publish("in.a", r#"[{"reject":"no"}]"#).await?).await?;
    host.terminate().await?;
    let messages = stored::messages(&app, "KV_demo", ">").await?.len();
    for (what, level) in [
        ("server", "ok"),
        ("jetstream", "ok"),
        ("clock", "ok"),
        ("app stream", "ok"),
        ("permissions", "ok"),
        ("durability", "warn"),
        ("growth", "ok"),
        ("plugin of probe", "ok"),
        ("stream IN", "ok"),
    ] {
        let (found, code) = found(&app, what)?;
        assert_eq!((levels(&found), code), (vec![level], Some(0)), "{what}: {found:?}");
    }
    let (module, _) = found(&app, "module probe")?;
    assert_eq!(levels(&module), ["warn", "warn"], "{module:?}");
    assert!(module[0]["seen"].as_str().is_some_and(|seen| seen.contains("no host runs it")), "{module:?}");
    assert!(module[1]["seen"].as_str().is_some_and(|seen| seen.contains("1 dead letters wait")), "{module:?}");
    assert_eq!(stored::messages(&app, "KV_demo", ">").await?.len(), messages, "it writes nothing");
    let text = String::from_utf8(app.pelton(&["doctor"])?.stdout)?;
    assert!(text.contains("       mend: pelton dlq ls probe"), "{text}");

    app.pelton_json(&["dlq", "discard", "--all"])?;
    let mut host = app.host_called("second")?;
    logged(&host, &["running"]).await?;
    let (mended, _) = found(&app, "module probe")?;
    host.terminate().await?;
    assert_eq!(levels(&mended), ["ok"], "the mark of one that is gone is none that waits: {mended:?}");

    app.server.stop().await?;
    assert_eq!(app.pelton(&["doctor"])?.status.code(), Some(69));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_tells_at_its_monitoring_address_what_a_commit_survives_and_how_full_it_is() -> Result<()> {
    for (setting, level, told) in [("sync_interval: always", "ok", "on disk"), ("", "warn", "on disk within 120s")] {
        let config =
            format!("http: \"127.0.0.1:-1\"\nserver_name: one\njetstream {{ max_file_store: 1GB, {setting} }}\n");
        let app = App::on_server(&config, &probe::module("")).await?;
        app.stream("IN", "in.>").await?;
        let mut host = app.host()?;
        app.covered("probe", 1, app.publish("in.a", "[]").await?).await?;
        host.terminate().await?;
        let unasked = found(&app, "durability")?.0;
        assert!(levels(&unasked) == ["warn"] && unasked[0]["seen"].to_string().contains("unknown"), "{unasked:?}");
        let address = app.server.monitoring()?;
        let (durability, code) = found_at(&app, &[&address], "durability")?;
        assert_eq!((levels(&durability), code), (vec![level], Some(0)), "{durability:?}");
        assert!(durability[0]["seen"].to_string().contains(told), "{durability:?}");
        let (storage, _) = found_at(&app, &[&address], "storage of one")?;
        assert!(levels(&storage) == ["ok"] && storage[0]["seen"].to_string().contains("of 1.0 GiB"), "{storage:?}");

        for (address, why) in
            [(app.server.url().replace("nats:", "http:"), ""), ("https://127.0.0.1/".to_owned(), "only http")]
        {
            let (wrong, code) = found_at(&app, &[&address], &format!("server at {}/", address.trim_end_matches('/')))?;
            assert_eq!((levels(&wrong), code), (vec!["error"], Some(1)), "{wrong:?}");
            assert!(wrong[0]["seen"].to_string().contains(why), "{wrong:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_is_an_error_and_ends_with_1() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let mut host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", "[]").await?).await?;
    host.terminate().await?;

    let mut config = app.jetstream().get_stream("KV_demo").await?.cached_info().config.clone();
    config.max_bytes = 1 << 30;
    app.jetstream().update_stream(&config).await?;
    let (spoilt, code) = found(&app, "app stream")?;
    assert_eq!((levels(&spoilt), code), (vec!["error"], Some(1)));
    assert!(spoilt[0]["seen"].as_str().is_some_and(|seen| seen.contains("max_bytes")), "{spoilt:?}");
    config.max_bytes = -1;
    app.jetstream().update_stream(&config).await?;

    app.jetstream().delete_stream("IN").await?;
    let (gone, code) = found(&app, "stream IN")?;
    assert_eq!((levels(&gone), code), (vec!["error"], Some(1)), "{gone:?}");
    let memory = stream::Config {
        name: "IN".to_owned(),
        subjects: vec!["in.>".to_owned()],
        storage: stream::StorageType::Memory,
        ..stream::Config::default()
    };
    app.jetstream().create_stream(memory).await?;
    assert_eq!(levels(&found(&app, "stream IN")?.0), ["warn"]);
    let (recreated, code) = found(&app, "module probe")?;
    assert_eq!((levels(&recreated), code), (vec!["error"], Some(1)), "{recreated:?}");

    for subject in ["pelton.demo.ckpt.probe.1.0", "pelton.demo.module.probe"] {
        app.publish(subject, "no JSON").await?;
        let (damaged, code) = found(&app, "module probe")?;
        assert_eq!((levels(&damaged), code), (vec!["error"], Some(1)), "{damaged:?}");
        assert!(damaged[0]["seen"].as_str().is_some_and(|seen| seen.contains(subject)), "{damaged:?}");
    }

    app.jetstream().delete_stream("KV_demo").await?;
    let (lost, _) = found(&app, "app stream")?;
    assert!(lost[0]["seen"].as_str().is_some_and(|seen| seen.contains("is gone")), "{lost:?}");
    Ok(())
}
