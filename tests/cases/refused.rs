//! A server that stores nothing at present: its storage or its account's is full, it does not let the host publish any
//! more, or takes smaller messages than before. The host says why, waits for as long as it lasts, and goes on by itself.

use std::process::Stdio;

use anyhow::{Context, Result};
use async_nats::jetstream::stream::{Config, StorageType};
use pelton_tests::{App, Host, LONG, SOON, eventually, logged, oracle, stored};
use serde_json::{Value, json};

use crate::{metrics, probe, swap};

/// Nobody but the host fills the storage of files: inputs are kept in memory.
async fn inputs_in_memory(app: &App) -> Result<()> {
    let config =
        Config { name: "IN".into(), subjects: vec!["in.>".into()], storage: StorageType::Memory, ..Config::default() };
    app.jetstream().create_stream(config).await?;
    Ok(())
}

/// Waits until the host is not ready since a batch waits for this cause, and says so with all of `parts`.
async fn waits(app: &App, host: &Host, cause: &str, parts: &[&str]) -> Result<()> {
    let http = host.http().await?;
    let mut last = Value::Null;
    let said = eventually("the reason", LONG, async || {
        last = http.get("/readyz").await?.json()?;
        let reasons = last["reasons"].as_array().cloned().unwrap_or_default();
        let reason = reasons.iter().find(|reason| reason["what"] == "commit").and_then(|it| it["reason"].as_str());
        Ok(reason.is_some_and(|reason| parts.iter().all(|part| reason.contains(part))).then_some(()))
    });
    said.await.with_context(|| format!("{parts:?}: {last:#}\n{}", app.log_end()))?;
    metrics::reads(host, &format!("pelton_commit_waits{{cause=\"{cause}\"}}"), 1.0).await?;
    let log = host.log()?;
    let is_told = |line: &&String| line.contains("a batch is not stored") && line.contains(&format!("why=\"{cause}\""));
    assert!(log.iter().any(|line| is_told(&line)), "{}", log.join("\n"));
    Ok(())
}

/// Waits until the host is ready, and checks that no input was given up.
async fn goes_on(app: &App, host: &Host, module: &str) -> Result<()> {
    let http = host.http().await?;
    let ready = eventually("readiness", LONG, async || Ok((http.get("/readyz").await?.status == 200).then_some(())));
    ready.await.with_context(|| app.log_end())?;
    assert_eq!(stored::dead_letters(app, module).await?, [].into(), "{}", app.log_end());
    for (sample, value) in metrics::samples(host).await? {
        assert!(!sample.starts_with("pelton_commit_waits") || value == 0.0, "{sample} {value}");
    }
    Ok(())
}

/// Ends the host with SIGTERM while it waits.
async fn ends(app: &App, host: &mut Host) -> Result<()> {
    let status = host.terminate().await.with_context(|| app.log_end())?;
    assert!(status.success(), "{status}: {}", app.log_end());
    Ok(())
}

fn server_limit(bytes: u64) -> String {
    format!("jetstream {{ max_file_store: {bytes} }}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_storage_is_full_is_waited_for_and_each_input_has_its_effects_once() -> Result<()> {
    let app = App::on_server(&server_limit(400_000), oracle::MODULES).await?;
    inputs_in_memory(&app).await?;
    let mut host = app.host()?;
    oracle::publish(&app, 3_000).await?;
    // Each time the server stores a batch up to the limit, and cuts it there.
    for bytes in [700_000, 1_000_000, 1_300_000, 1 << 30] {
        waits(&app, &host, "storage", &["JetStream's storage is full", "insufficient resources"]).await?;
        assert!(host.ended()?.is_none());
        app.server.reload(&server_limit(bytes)).await?;
    }
    oracle::finished(&app).await?;
    goes_on(&app, &host, "oracle").await?;
    oracle::verify(&app).await?;
    assert!(host.log()?.iter().any(|line| line.contains("the server cut a batch")), "no batch was cut");
    Ok(())
}

const UNTOLD: &str = "the other hosts could not be told that this one lives";

/// While nothing is stored, the hosts hear nothing of each other for longer than heartbeats count. Each still stores what the
/// server cut of its batch before the other takes its lanes.
#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_on_a_server_that_is_full_for_longer_than_their_heartbeats_count_do_nothing_twice() -> Result<()> {
    let config = "[hosts]\nttl = \"2s\"\n".to_owned() + oracle::MODULES;
    let app = App::on_server(&server_limit(400_000), &config).await?;
    inputs_in_memory(&app).await?;
    let hosts = [app.host_called("first")?, app.host_called("second")?];
    oracle::publish(&app, 3_000).await?;
    for bytes in [700_000, 1_000_000, 1_300_000, 1 << 30] {
        for host in &hosts {
            waits(&app, host, "storage", &["JetStream's storage is full"]).await?;
        }
        // More than three heartbeats in a row, which is when they have expired.
        let untold = |host: &Host| anyhow::Ok(host.log()?.iter().filter(|line| line.contains(UNTOLD)).count());
        let before = [untold(&hosts[0])?, untold(&hosts[1])?];
        eventually("heartbeats to expire", LONG, async || {
            let now = [untold(&hosts[0])?, untold(&hosts[1])?];
            Ok((now[0] > before[0] + 4 && now[1] > before[1] + 4).then_some(()))
        })
        .await?;
        app.server.reload(&server_limit(bytes)).await?;
    }
    oracle::finished(&app).await?;
    oracle::verify(&app).await?;
    Ok(())
}

fn account(bytes: u64) -> String {
    format!(
        "jetstream {{}}\nno_auth_user: all\n\
         accounts {{ A {{ jetstream {{ max_file: {bytes}, max_mem: 64MB }}, users: [{{ user: all, password: pw }}] }} }}\n"
    )
}

/// Fills what is left of the account's storage, to the last byte that matters, and gives the stream that does.
async fn fill(app: &App) -> Result<()> {
    let config = Config { name: "FILL".into(), subjects: vec!["fill".into()], ..Config::default() };
    app.jetstream().create_stream(config).await?;
    for size in [100_000, 10_000, 1_000, 100, 1] {
        while app.publish("fill", vec![b'x'; size]).await.is_ok() {}
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_storage_is_full_is_waited_for_until_another_stream_is_deleted() -> Result<()> {
    let app = App::on_server(&account(8_000_000), oracle::MODULES).await?;
    inputs_in_memory(&app).await?;
    let host = app.host()?;
    oracle::publish(&app, 500).await?;
    oracle::finished(&app).await?;
    fill(&app).await?;
    oracle::publish(&app, 1_500).await?;
    waits(&app, &host, "storage", &["resource limits exceeded for account (10002)"]).await?;
    app.jetstream().delete_stream("FILL").await?;
    oracle::finished(&app).await?;
    goes_on(&app, &host, "oracle").await?;
    oracle::verify(&app).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_told_to_stop_while_the_storage_is_full_ends_and_the_next_goes_on() -> Result<()> {
    let app = App::on_server(&account(8_000_000), oracle::MODULES).await?;
    inputs_in_memory(&app).await?;
    let mut host = app.host()?;
    oracle::publish(&app, 500).await?;
    oracle::finished(&app).await?;
    fill(&app).await?;
    oracle::publish(&app, 500).await?;
    waits(&app, &host, "storage", &["resource limits exceeded for account"]).await?;
    ends(&app, &mut host).await?;
    app.server.reload(&account(1 << 30)).await?;
    let host = app.host()?;
    oracle::finished(&app).await?;
    goes_on(&app, &host, "oracle").await?;
    oracle::verify(&app).await?;
    Ok(())
}

/// A server on which whoever connects may publish everything but this; the user `any` may publish all.
fn denying(subjects: &str) -> String {
    format!(
        "jetstream {{}}\nno_auth_user: all\nauthorization {{ users: [ {{ user: any, password: pw }}, {{ user: all, password: pw, \
         permissions: {{ publish: {{ deny: [{subjects}] }}, subscribe: \">\" }} }} ] }}\n"
    )
}

const NOTHING: &str = "\"none\"";

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_taken_away_under_load_is_waited_for() -> Result<()> {
    let app = App::on_server(&denying(NOTHING), oracle::MODULES).await?;
    app.stream("IN", "in.>").await?;
    let host = app.host()?;
    // All that the app stream stores; the views only; the checkpoints only.
    for (denied, named) in [
        ("\"$KV.demo.>\", \"pelton.demo.>\"", "demo."),
        ("\"$KV.demo.>\"", "\"$KV.demo.chain.1."),
        ("\"pelton.demo.ckpt.>\"", "\"pelton.demo.ckpt."),
    ] {
        let after = oracle::progress(&app).await + 300;
        let revoked = async {
            oracle::reached(&app, after).await?;
            app.server.reload(&denying(denied)).await
        };
        tokio::try_join!(revoked, oracle::publish(&app, 3_000))?;
        let parts = ["the server does not let this host publish", "Permissions Violation for Publish to", named];
        waits(&app, &host, "permission", &parts).await?;
        app.server.reload(&denying(NOTHING)).await?;
        oracle::finished(&app).await?;
        goes_on(&app, &host, "oracle").await?;
    }
    oracle::verify(&app).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_told_to_stop_without_a_permission_ends_and_the_next_goes_on() -> Result<()> {
    let app = App::on_server(&denying(NOTHING), oracle::MODULES).await?;
    app.stream("IN", "in.>").await?;
    let mut host = app.host()?;
    oracle::publish(&app, 200).await?;
    oracle::finished(&app).await?;
    app.server.reload(&denying("\"$KV.demo.>\", \"pelton.demo.>\"")).await?;
    oracle::publish(&app, 200).await?;
    waits(&app, &host, "permission", &["Permissions Violation"]).await?;
    ends(&app, &mut host).await?;
    app.server.reload(&denying(NOTHING)).await?;
    let host = app.host()?;
    oracle::finished(&app).await?;
    goes_on(&app, &host, "oracle").await?;
    oracle::verify(&app).await?;
    Ok(())
}

/// An app that went over to another plugin, by an input, while the module's record cannot be written. Beside it the host, and
/// whoever asked for that. The plugin is the one of that file, in other bytes.
async fn swap_without_record(plugin: &str, module: &str) -> Result<(App, Host, tokio::process::Child)> {
    let app = App::on_server(&denying(NOTHING), module).await?;
    app.stream("IN", "in.>").await?;
    let host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", json!([{"emit": {}}]).to_string()).await?).await?;
    app.server.reload(&denying("\"pelton.demo.module.>\"")).await?;
    let file = swap::other(&app, plugin, 1)?;
    let asks = app.verb(&["module", "swap", "probe", "-o", "json", "--plugin", file.to_str().context("no text")?])?;
    let asks = tokio::process::Command::from(asks).kill_on_drop(true).stdout(Stdio::piped()).spawn()?;
    swap::publish_at(&app, &host, 1).await?;
    logged(&host, &["WARN", "the swap is noted in the module's record later"]).await?;
    let covered = stored::checkpoints(&app, "probe", 1).await?[0].covered;
    assert_eq!(covered, 1, "what the new plugin made of an input is committed before its record says so");
    Ok((app, host, asks))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_cannot_be_noted_commits_nothing_until_it_is_and_is_answered_then() -> Result<()> {
    let (app, _host, asks) = swap_without_record("probe.wasm", &probe::module("")).await?;
    app.server.reload(&denying(NOTHING)).await?;
    let output = asks.wait_with_output().await?;
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!((&answer["outcome"], output.status.code()), (&json!("stays"), Some(0)), "{answer}");
    app.covered("probe", 1, 2).await?;
    assert_eq!(app.pelton_json(&["module", "show", "probe"])?["plugin"], answer["plugin"]);
    assert_eq!((probe::causes(&app).await?, stored::audit(&app).await?.len()), (vec![1, 2], 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_ends_before_its_swap_is_noted_leaves_nothing_of_the_new_plugin() -> Result<()> {
    let (app, mut host, mut asks) = swap_without_record("probe.wasm", &probe::module("")).await?;
    asks.kill().await?;
    host.kill9()?;
    app.server.reload(&denying(NOTHING)).await?;
    let _next = app.host_called("next")?;
    app.covered("probe", 1, 2).await?;
    logged(&host, &["goes over to another plugin"]).await?;
    assert_eq!((probe::causes(&app).await?, stored::audit(&app).await?.len()), (vec![1, 2], 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_whose_swap_cannot_be_noted_ends_when_it_is_told_to() -> Result<()> {
    let (app, mut host, _asks) = swap_without_record("probe.wasm", &probe::module("")).await?;
    let operator = async_nats::ConnectOptions::with_user_and_password("any".into(), "pw".into());
    let operator = operator.connect(app.server.url()).await?;
    let record = stored::last(&app, "pelton.demo.module.probe").await?.context("no record")?;
    let mut paused: Value = serde_json::from_slice(&record.payload)?;
    paused["state"] = json!("paused");
    operator.publish("pelton.demo.module.probe", paused.to_string().into()).await?;
    operator.flush().await?;
    logged(&host, &["module is paused"]).await?;
    eventually("the lane to be released", SOON, async || {
        let lanes = stored::checkpoints(&app, "probe", 1).await?;
        Ok(lanes.iter().all(|lane| lane.owner.is_none() && lane.covered == 1).then_some(()))
    })
    .await
    .with_context(|| app.log_end())?;
    assert!(host.terminate().await?.success());
    Ok(())
}

/// What the new plugin wrote to a view must not be what the old one reads when it does the input again.
#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_can_never_be_noted_gives_way_to_the_old_plugin_which_counts_each_input_once() -> Result<()> {
    let module = "[modules.probe]\nplugin = \"fold.wasm\"\ninput = { stream = \"IN\" }\nviews = [\"fold\"]\n";
    let (app, host, _asks) = swap_without_record("fold.wasm", module).await?;
    let operator = async_nats::ConnectOptions::with_user_and_password("any".into(), "pw".into());
    let operator = operator.connect(app.server.url()).await?;
    operator.publish("pelton.demo.module.probe", "no record".into()).await?;
    operator.flush().await?;
    logged(&host, &["the swap could not be noted", "the old plugin goes on"]).await?;
    app.covered("probe", 1, 2).await?;
    let view = app.view("fold", "in=2Ea").await?.context("no value")?;
    let link: Value = serde_json::from_slice(&view)?;
    assert_eq!(link["count"], 2, "{link}");
    Ok(())
}

fn max_payload(bytes: usize) -> String {
    format!("jetstream {{}}\nmax_payload: {bytes}\n")
}

/// What the host says of a message over the limit.
const BOTH: [&str; 2] = ["max_payload is 32768 by now, and was 1048576", "bytes on pelton.demo.events.out.big"];

#[tokio::test(flavor = "multi_thread")]
async fn a_message_limit_that_is_lowered_below_what_is_in_hand_is_waited_for() -> Result<()> {
    let app = App::on_server(&max_payload(1 << 20), &probe::module("")).await?;
    app.stream("IN", "in.>").await?;
    let host = app.host()?;
    let small = app.publish("in.a", json!([{"emit": {}}]).to_string()).await?;
    app.covered("probe", 1, small).await?;
    // The input itself is over the coming limit, too: it is read all the same.
    let large = json!([{"emit": {"size": 50_000}}]).to_string();
    app.server.reload(&max_payload(32_768)).await?;
    app.publish("in.big", large).await?;
    let last = app.publish("in.a", json!([{"emit": {}}]).to_string()).await?;
    waits(&app, &host, "payload", &BOTH).await?;
    app.server.reload(&max_payload(1 << 20)).await?;
    app.covered("probe", 1, last).await?;
    goes_on(&app, &host, "probe").await?;
    assert_eq!(probe::causes(&app).await?, [1, 2, 3]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_limit_is_met_by_the_host_that_comes_next_when_the_first_is_told_to_stop() -> Result<()> {
    let app = App::on_server(&max_payload(1 << 20), &probe::module("")).await?;
    app.stream("IN", "in.>").await?;
    let mut host = app.host()?;
    let small = app.publish("in.a", json!([{"emit": {}}]).to_string()).await?;
    app.covered("probe", 1, small).await?;
    app.server.reload(&max_payload(32_768)).await?;
    let big = app.publish("in.big", json!([{"emit": {"size": 50_000}}]).to_string()).await?;
    waits(&app, &host, "payload", &BOTH).await?;
    ends(&app, &mut host).await?;
    app.server.reload(&max_payload(1 << 20)).await?;
    let host = app.host()?;
    app.covered("probe", 1, big).await?;
    goes_on(&app, &host, "probe").await?;
    assert_eq!(probe::causes(&app).await?, [1, 2]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_that_are_larger_than_the_server_takes_by_now_are_read() -> Result<()> {
    let app = App::on_server(&max_payload(8 << 20), &probe::module("")).await?;
    app.stream("IN", "in.>").await?;
    let padding = "x".repeat(6 << 20);
    app.publish("in.a", json!([{"emit": {}}, {"log": padding}]).to_string()).await?;
    app.server.reload(&max_payload(1 << 20)).await?;
    let host = app.host()?;
    let done = eventually("the input to be done", SOON, async || {
        let events = probe::causes(&app).await.unwrap_or_default();
        let letters = stored::dead_letters(&app, "probe").await.unwrap_or_default();
        Ok((!events.is_empty() || !letters.is_empty()).then_some(letters))
    });
    let letters = done.await.with_context(|| host.log().unwrap_or_default().join("\n"))?;
    assert!(letters.is_empty(), "{letters:?}");
    let behind = app.publish("in.a", json!([{"emit": {}}]).to_string()).await?;
    app.covered("probe", 1, behind).await?;
    Ok(())
}
