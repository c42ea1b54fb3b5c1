//! Metrics count what was committed, and each that the reference names is there.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use pelton_tests::{App, Host, SOON, eventually};

use crate::probe;

/// The reference.
const REFERENCE: &str = include_str!("../../docs/reference.md");

/// The samples that a host shows, by name and labels.
pub async fn samples(host: &Host) -> Result<BTreeMap<String, f64>> {
    let answer = host.http().await?.get("/metrics").await?;
    assert!(answer.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"), "{answer:?}");
    assert!(answer.text().ends_with("# EOF\n"));
    let text = answer.text();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
        Ok((name.to_owned(), value.parse()?))
    });
    samples.collect()
}

/// Waits until the sample of that name and labels is `expected`.
pub async fn reads(host: &Host, sample: &str, expected: f64) -> Result<()> {
    let found =
        eventually(sample, SOON, async || Ok((samples(host).await?.get(sample) == Some(&expected)).then_some(())));
    found.await.with_context(|| format!("it is not {expected}"))
}

/// How many inputs stand before the module, as the consumer that shows its progress says.
async fn progress(app: &App) -> Result<u64> {
    let stream = app.jetstream().get_stream("IN").await?;
    Ok(stream.consumer_info("pelton-demo_probe").await?.num_pending)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_inputs_of_which_one_is_rejected_are_counted_once_each() -> Result<()> {
    let app = App::with_input(&probe::module("lanes = 2\nattempts = 3")).await?;
    let mut host = app.host()?;
    for input in 0..8 {
        let orders = format!(r#"[{{"emit":{{"n":2}}}},{{"write":{{"key":"k{input}","value":"x"}}}}]"#);
        app.publish(&format!("in.k{input}"), orders).await?;
    }
    app.publish("in.bad", r#"[{"require":"bad"}]"#).await?;
    app.publish("in.bad", r#"["trap"]"#).await?;
    app.covered("probe", 2, 10).await?;
    // Made when the lag is measured for the first time: before that the metric is 0 whatever the lag.
    eventually("the lag to be measured", SOON, async || Ok(progress(&app).await.ok())).await?;
    for (sample, expected) in [
        ("pelton_inputs_total{module=\"probe\"}", 10.0),
        ("pelton_events_total{module=\"probe\"}", 16.0),
        ("pelton_view_writes_total{module=\"probe\"}", 8.0),
        ("pelton_dead_letters_total{module=\"probe\",cause=\"reject\"}", 1.0),
        ("pelton_dead_letters_total{module=\"probe\",cause=\"trap\"}", 1.0),
        ("pelton_dead_letters_total{module=\"probe\",cause=\"timeout\"}", 0.0),
        ("pelton_failures_total{module=\"probe\",reason=\"reject\"}", 1.0),
        ("pelton_failures_total{module=\"probe\",reason=\"trap\"}", 2.0),
        ("pelton_retries_total{module=\"probe\"}", 1.0),
        ("pelton_handler_duration_seconds_count{module=\"probe\"}", 11.0),
        ("pelton_module_state{module=\"probe\",state=\"running\"}", 1.0),
        ("pelton_module_state{module=\"probe\",state=\"halted\"}", 0.0),
        ("pelton_breaker_open{module=\"probe\"}", 0.0),
        ("pelton_inputs_waiting{module=\"probe\"}", 0.0),
        ("pelton_lag_messages{module=\"probe\"}", 0.0),
        ("pelton_views_cached{module=\"probe\"}", 9.0),
        ("pelton_reconnects_total{connection=\"read\"}", 0.0),
    ] {
        reads(&host, sample, expected).await?;
    }
    let samples = samples(&host).await?;
    let sum = |name: &str| samples[&format!("pelton_commit_{name}_sum")];
    assert!(sum("messages") >= 26.0 && sum("bytes") > 26.0 * 50.0 && sum("duration_seconds") > 0.0);
    assert_eq!(samples["pelton_commits_total{outcome=\"committed\"}"], samples["pelton_commit_messages_count"]);

    app.covered("probe", 2, app.publish("in.bad", r#"[{"write":{"key":"bad","value":"x"}}]"#).await?).await?;
    app.pelton_json(&["dlq", "replay", "--cause", "reject"])?;
    for (sample, expected) in [("inputs", 11.0), ("replays", 1.0)] {
        reads(&host, &format!("pelton_{sample}_total{{module=\"probe\"}}"), expected).await?;
    }
    assert!(host.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_breaker_and_a_lag_are_shown_while_they_last() -> Result<()> {
    let app = App::with_input(&probe::module("breaker = { failures = 2, pause = \"1h\" }")).await?;
    let host = app.host()?;
    for orders in [r#"[{"reject":"no"}]"#, r#"[{"reject":"no"}]"#, "[]", "[]"] {
        app.publish("in.a", orders).await?;
    }
    reads(&host, "pelton_breaker_open{module=\"probe\"}", 1.0).await?;
    reads(&host, "pelton_lag_messages{module=\"probe\"}", 2.0).await?;
    let seconds = samples(&host).await?["pelton_lag_seconds{module=\"probe\"}"];
    assert!(seconds > 0.0 && seconds < 60.0, "{seconds}");
    let reasons = host.http().await?.get("/readyz").await?;
    assert_eq!((reasons.status, reasons.json()?["reasons"][0]["what"].as_str()), (503, Some("breaker")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_in_the_reference_and_every_one_of_the_reference_is_there() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await?;
    let text = host.http().await?.get("/metrics").await?.text();
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let suffixed = |family: &str| {
        let has = |end: &str| text.lines().any(|line| line.starts_with(&format!("{family}{end}")));
        let end = ["_total", "_info"].into_iter().find(|end| has(&format!("{end}{{")) || has(&format!("{end} ")));
        format!("{family}{}", end.unwrap_or_default())
    };
    let mut shown: Vec<String> = families.map(suffixed).collect();
    let mut named: Vec<String> = REFERENCE
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `pelton_")?.split('`').next()?.to_owned()))
        .map(|rest| format!("pelton_{rest}"))
        .collect();
    shown.sort();
    named.sort();
    assert_eq!(shown, named);
    Ok(())
}
