//! Streams with workqueue or interest retention: modules read a copy, in which each message is once.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::jetstream::stream::{Config, RetentionPolicy};
use pelton_tests::{App, Host, LONG, SOON, eventually, logged, stored};
use serde_json::{Value, json};

use crate::probe;

const EMIT: &str = r#"[{"emit":{}}]"#;

/// An app whose module reads `stream`, with a stream `JOBS` of that retention.
async fn app(retention: RetentionPolicy, stream: &str) -> Result<App> {
    let app = App::new(&reading(stream)).await?;
    let config = Config { name: "JOBS".into(), subjects: vec!["jobs.>".into()], retention, ..Config::default() };
    app.jetstream().create_stream(config).await?;
    Ok(app)
}

fn reading(stream: &str) -> String {
    probe::module("lanes = 2").replace("stream = \"IN\"", &format!("stream = \"{stream}\""))
}

async fn state(app: &App, stream: &str) -> Result<(u64, u64)> {
    let state = app.jetstream().get_stream(stream).await?.cached_info().state.clone();
    Ok((state.messages, state.last_sequence))
}

/// Publishes jobs with these numbers, each once: the stream knows those that it has.
async fn publish(app: &App, numbers: std::ops::Range<u64>) -> Result<()> {
    for number in numbers {
        let id = number.to_string();
        eventually("the server to take a job", LONG, async || {
            let headers = [("Nats-Msg-Id", id.as_str())];
            Ok(app.publish_with(&format!("jobs.k{}", number % 7), &headers, EMIT).await.ok())
        })
        .await?;
    }
    Ok(())
}

/// Checks that the jobs of the stream's positions `from` and behind are in the copy once, in order, and done once.
async fn each_once(app: &App, from: u64, count: u64) -> Result<()> {
    eventually("all jobs to be copied", LONG, async || Ok((state(app, "JOBS-LOG").await?.0 >= count).then_some(())))
        .await?;
    app.covered_within("probe", 2, count, LONG).await?;
    let copied = stored::messages(app, "JOBS-LOG", ">").await?;
    let origins: Vec<u64> =
        copied.iter().filter_map(|job| job.header("Nats-Stream-Source").split(' ').nth(1)?.parse().ok()).collect();
    assert_eq!(origins, (from..from + count).collect::<Vec<_>>());
    assert!(copied.iter().all(|job| job.subject.starts_with("jobs.k")), "subjects stay");
    let events = stored::events(app, "out").await?;
    let inputs: BTreeSet<&str> = events.iter().map(|event| event.header("Pelton-Input")).collect();
    assert_eq!((events.len() as u64, inputs.len() as u64), (count, count));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_work_queue_goes_through_a_module_exactly_once_over_restarts_of_the_server() -> Result<()> {
    let mut app = app(RetentionPolicy::WorkQueue, "JOBS").await?;
    publish(&app, 0..40).await?;
    let mut host = app.host()?;
    logged(&host, &["JOBS", "WorkQueue retention", "`pelton source JOBS`"]).await?;
    assert_eq!(host.wait(SOON).await?.code(), Some(1));

    let printed = app.pelton(&["source", "JOBS"])?;
    let printed = String::from_utf8(printed.stdout)?;
    for part in
        ["stream JOBS-LOG is missing: sources JOBS;", "input = { stream = \"JOBS-LOG\" }", "sources = [\"JOBS\"]"]
    {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    assert_eq!(app.pelton_json(&["source", "JOBS"])?["made"], Value::Null, "done twice it does nothing");

    app.configure(&reading("JOBS-LOG"))?;
    let mut host = app.host_called("second")?;
    logged(&host, &["running"]).await?;
    publish(&app, 40..200).await?;
    for round in 0..3 {
        app.server.kill9()?;
        app.server.restart().await?;
        let first = 200 + round * 100;
        publish(&app, first..first + 100).await?;
    }
    each_once(&app, 1, 500).await?;
    eventually("the work queue to be empty", LONG, async || Ok((state(&app, "JOBS").await?.0 == 0).then_some(())))
        .await?;
    assert!(host.terminate().await?.success());
    let report = app.pelton_json(&["verify", "probe"])?;
    assert_eq!((&report["inputs"], &report["different"]), (&json!(500), &json!(0)), "{report:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_stream_with_interest_retention_comes_what_is_published_since_beside_its_other_consumers() -> Result<()> {
    let mut app = app(RetentionPolicy::Interest, "JOBS-LOG").await?;
    publish(&app, 0..5).await?;
    assert_eq!(state(&app, "JOBS").await?, (0, 5), "nobody waits for them");
    app.pelton_json(&["source", "JOBS", "--max-age", "90d"])?;
    eventually("the server to wait for what comes", SOON, async || {
        Ok(app.jetstream().get_stream("JOBS").await?.cached_info().state.consumer_count.eq(&1).then_some(()))
    })
    .await?;
    let stream = app.jetstream().get_stream("JOBS").await?;
    let other =
        async_nats::jetstream::consumer::pull::Config { durable_name: Some("other".into()), ..Default::default() };
    let other = stream.create_consumer(other).await?;
    let host = app.host()?;
    logged(&host, &["running"]).await?;
    publish(&app, 5..30).await?;
    app.server.kill9()?;
    app.server.restart().await?;
    publish(&app, 30..60).await?;
    each_once(&app, 6, 55).await?;
    let waiting = async || Ok(Some(other.clone().info().await?.num_pending).filter(|pending| *pending == 55));
    eventually("the other consumer to have all of it", SOON, waiting).await?;
    let copy = app.jetstream().get_stream("JOBS-LOG").await?;
    assert_eq!(copy.cached_info().config.max_age, Duration::from_secs(90 * 86_400));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_the_config_declares_is_verified_and_made_like_any_stream() -> Result<()> {
    let app = app(RetentionPolicy::WorkQueue, "COPY").await?;
    app.stream("PLAIN", "plain").await?;
    let declared = "[streams.COPY]\nsources = [{ stream = \"JOBS\", filter = \"jobs.k1\" }]\n";
    app.configure(&(reading("COPY") + declared))?;
    let output = app.pelton(&["run"])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("COPY is missing: sources JOBS jobs.k1;"), "{said}");
    let refused = app.pelton(&["source", "JOBS", "--as", "COPY"])?;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("does not copy JOBS like this"));

    let host = Host::of(app.verb(&["run", "--apply"])?, &app.folder().join("apply.log"))?;
    logged(&host, &["running"]).await?;
    publish(&app, 0..14).await?;
    let passed = async || Ok((probe::causes_of(&app, "COPY").await?.len() == 2).then_some(()));
    eventually("those that pass the filter", SOON, passed).await?;
    let made = app.pelton_json(&["source", "JOBS", "--as", "COPY", "--filter", "jobs.k1"])?;
    assert_eq!(made["made"], Value::Null);

    let plain = app.pelton_json(&["source", "PLAIN"])?;
    assert_eq!((&plain["copy"], &plain["retention"]), (&Value::Null, &json!("limits")));
    for (arguments, says) in [
        (&["source", "JOBS", "--as", "PLAIN"][..], "a stream PLAIN that is something else"),
        (&["source", "NONE"], "there is no stream NONE"),
        (&["source", "JOBS", "--filter", "a..b"], "--filter"),
    ] {
        let output = app.pelton(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(says), "{said}");
    }
    app.configure(&(reading("COPY") + "[streams.COPY]\nsources = [\"COPY\"]\n"))?;
    let said = String::from_utf8(app.pelton(&["validate"])?.stderr).context("text")?;
    assert!(said.contains("cannot copy itself"), "{said}");
    Ok(())
}
