//! Input streams that an app declares.

use std::time::Duration;

use anyhow::Result;
use async_nats::jetstream::stream;
use pelton_tests::{App, Host, logged};

use crate::probe;

const DECLARED: &str = "[streams.IN]\nsubjects = [\"in.>\", \"more\"]\nmax_age = \"30d\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_not_as_declared_is_told_and_set_right_when_asked_for() -> Result<()> {
    let app = App::new(&(probe::module("") + DECLARED)).await?;
    let refused = |part: &str| {
        let output = app.pelton(&["run"])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(part) && said.contains("--apply"), "{said}");
        anyhow::Ok(())
    };
    refused("stream IN is missing: subjects in.>, more; num_replicas 1; max_age 2592000s")?;
    assert!(app.jetstream().get_stream("IN").await.is_err());

    let mut host = Host::of(app.verb(&["run", "--apply"])?, &app.folder().join("apply.log"))?;
    logged(&host, &["stream IN is missing"]).await?;
    logged(&host, &["running"]).await?;
    app.covered("probe", 1, app.publish("in.a", "[]").await?).await?;
    assert!(host.terminate().await?.success());

    // The operator's own settings stay.
    let mut changed = app.jetstream().get_stream("IN").await?.cached_info().config.clone();
    (changed.max_age, changed.max_bytes) = (Duration::from_secs(3_600), 1 << 30);
    app.jetstream().update_stream(changed).await?;
    refused("max_age is 3600s and is to be 2592000s;")?;
    let again = Host::of(app.verb(&["run", "--apply"])?, &app.folder().join("again.log"))?;
    logged(&again, &["running"]).await?;
    let found: stream::Config = app.jetstream().get_stream("IN").await?.cached_info().config.clone();
    assert_eq!((found.max_age, found.max_bytes), (Duration::from_secs(30 * 86_400), 1 << 30));
    app.covered("probe", 1, app.publish("in.a", "[]").await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_declaration_is_refused_in_its_place() -> Result<()> {
    let app = App::new("").await?;
    for (declared, part) in [
        ("[streams.\"a b\"]\nsubjects = [\"a\"]", "is no stream name"),
        ("[streams.A]\nsubjects = []", "name some"),
        ("[streams.A]\nsubjects = [\"a..b\"]", "subject"),
        ("[streams.KV_demo]\nsubjects = [\"a\"]", "Pelton's"),
        ("[streams.A]\nsubjects = [\"a\"]\nreplicas = 9", "replicas goes from 1 to 5"),
    ] {
        app.configure(declared)?;
        let output = app.pelton(&["validate"])?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(78) && said.contains(part), "{declared}: {said}");
    }
    Ok(())
}
