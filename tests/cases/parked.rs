//! Modules with `on_failure = "park-key"`: later inputs of a key wait behind the one that failed, and follow in order.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use pelton_tests::{App, SOON, eventually, stored};
use serde_json::Value;

use crate::probe;

/// Fails until the view has the key `ok`.
const POISON: &str = r#"[{"require":"ok"},{"emit":{}}]"#;
const MENDS: &str = r#"[{"write":{"key":"ok","value":"1"}}]"#;
const COUNTS: &str = r#"[{"count":"n"},{"emit":{}}]"#;

fn module(more: &str) -> String {
    probe::module(&format!("on_failure = \"park-key\"\n{more}"))
}

/// Publishes a poison input of the key `a`, and so many behind it, with as many of the key `b` between them. Gives where those
/// of `a` stand, and the last one.
async fn poisoned(app: &App, behind: usize) -> Result<(Vec<u64>, u64)> {
    let mut of_key = vec![app.publish("in.a", POISON).await?];
    let mut last = 0;
    for _ in 0..behind {
        of_key.push(app.publish("in.a", COUNTS).await?);
        last = app.publish("in.b", r#"[{"emit":{}}]"#).await?;
    }
    Ok((of_key, last))
}

/// The inputs of the key that have events, in the order of the events.
async fn causes(app: &App, key: &str) -> Result<Vec<u64>> {
    let events = stored::events(app, "out").await?;
    let of_key = events.iter().filter(|event| event.key() == key);
    Ok(of_key.filter_map(|event| event.header("Pelton-Input").strip_prefix("IN:")?.parse().ok()).collect())
}

/// Dead letters and why they are there.
async fn kinds(app: &App) -> Result<BTreeMap<u64, String>> {
    let letters = stored::dead_letters(app, "probe").await?;
    let kind = |letter: &Value| letter["cause"]["kind"].as_str().unwrap_or_default().to_owned();
    Ok(letters.iter().map(|(sequence, letter)| (*sequence, kind(letter))).collect())
}

async fn drained(app: &App) -> Result<()> {
    let none = async || Ok(kinds(app).await?.is_empty().then_some(()));
    eventually("all that waited to follow", SOON, none).await.with_context(|| app.log_end())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_input_parks_its_key_over_restarts_and_what_waits_follows_in_order_when_it_is_replayed() -> Result<()>
{
    let app = App::with_input(&module("")).await?;
    let mut host = app.host()?;
    let (mut of_key, last) = poisoned(&app, 20).await?;
    app.covered("probe", 1, last).await?;
    assert_eq!(causes(&app, "b").await?.len(), 20, "other keys go on");
    host.kill9()?;
    let mut host = app.host_called("next")?;
    for _ in 0..5 {
        of_key.push(app.publish("in.a", COUNTS).await?);
    }
    app.covered("probe", 1, app.publish("in.b", MENDS).await?).await?;
    let mut expected: BTreeMap<u64, String> = of_key.iter().map(|at| (*at, "parked".to_owned())).collect();
    expected.insert(of_key[0], "reject".to_owned());
    assert_eq!(kinds(&app).await?, expected);
    assert!(causes(&app, "a").await?.is_empty(), "nothing of the key ran");
    let metrics = host.http().await?.get("/metrics").await?.text();
    assert!(metrics.contains("pelton_inputs_parked{module=\"probe\"} 26"), "{metrics}");

    let early = app.pelton(&["dlq", "replay", "probe", "--sequence", &of_key[3].to_string()])?;
    let said = String::from_utf8(early.stdout)?;
    assert!(said.contains(&format!("waits behind input {}", of_key[0])), "{said}");
    app.pelton_json(&["dlq", "replay", "--all"])?;
    of_key.push(app.publish("in.a", COUNTS).await?);
    app.covered("probe", 1, of_key[26]).await?;
    drained(&app).await?;
    assert_eq!(causes(&app, "a").await?, of_key, "each once, in order");
    let counted = app.pelton(&["view", "get", "v", "n"])?.stdout;
    assert_eq!(String::from_utf8(counted)?.trim(), "26");
    assert!(host.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_ends_while_a_key_follows_leaves_the_rest_to_the_next_one() -> Result<()> {
    let app = App::with_input(&module("")).await?;
    let mut host = app.failing_host("abort:replay/probe=7")?;
    let (of_key, _) = poisoned(&app, 20).await?;
    app.covered("probe", 1, app.publish("in.b", MENDS).await?).await?;
    let replay = app.verb(&["dlq", "replay", "probe", "--sequence", &of_key[0].to_string()])?;
    let mut asking = tokio::process::Command::from(replay).kill_on_drop(true).spawn()?;
    assert_eq!(host.wait(SOON).await?.code(), None, "{}", app.log_end());
    asking.kill().await?;
    let left = kinds(&app).await?.len();
    assert!((1..21).contains(&left), "{left} wait still");
    let mut next = app.host_called("next")?;
    drained(&app).await?;
    assert_eq!(causes(&app, "a").await?, of_key, "each once, in order");
    assert!(next.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_when_it_follows_takes_the_first_ones_place_and_a_discarded_one_lets_the_next_follow() -> Result<()>
{
    let app = App::with_input(&module("attempts = 2")).await?;
    let mut host = app.host()?;
    let mut at = Vec::new();
    for input in [r#"[{"reject":"one"}]"#, COUNTS, r#"[{"retry":1}]"#, COUNTS] {
        at.push(app.publish("in.a", input).await?);
    }
    app.covered("probe", 1, at[3]).await?;
    app.pelton_json(&["dlq", "discard", "probe", "--sequence", &at[0].to_string()])?;
    let expected = BTreeMap::from([(at[2], "retry".to_owned()), (at[3], "parked".to_owned())]);
    let failed = async || Ok((kinds(&app).await? == expected).then_some(()));
    eventually("the third to fail by itself", SOON, failed).await.with_context(|| app.log_end())?;
    let letter = stored::dead_letters(&app, "probe").await?[&at[2]].clone();
    assert_eq!(letter["attempts"], 2, "it had its tries: {letter}");
    assert_eq!(causes(&app, "a").await?, [at[1]]);
    app.pelton_json(&["dlq", "discard", "probe", "--sequence", &at[2].to_string()])?;
    drained(&app).await?;
    assert_eq!(causes(&app, "a").await?, [at[1], at[3]]);
    assert!(host.terminate().await?.success());
    Ok(())
}

/// It never ran before it waited, so its first run is the replay.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_waited_and_ends_host_after_host_becomes_a_dead_letter_that_says_so() -> Result<()> {
    let app = App::with_input(&module("")).await?;
    let mut host = app.host()?;
    let first = app.publish("in.kill", r#"[{"reject":"one"}]"#).await?;
    let (kills, next) = (app.publish("in.kill", COUNTS).await?, app.publish("in.kill", COUNTS).await?);
    app.covered("probe", 1, next).await?;
    assert!(host.terminate().await?.success());
    app.pelton_json(&["dlq", "discard", "probe", "--sequence", &first.to_string()])?;
    let others: Vec<u64> = vec![app.publish("in.b", r#"[{"emit":{}}]"#).await?];
    let mut ended = 0;
    let mut host = loop {
        let mut host = app.failing_host("abort:invoke/in.kill=1")?;
        tokio::select! {
            done = app.covered("probe", 1, others[0]) => {
                done?;
                break host;
            }
            status = host.wait(SOON) => assert_eq!(status?.code(), None, "{}", app.log_end()),
        }
        ended += 1;
        assert!(ended < 12, "host after host ends: {}", app.log_end());
    };
    assert_eq!(ended, 5, "hosts that ended");
    assert_eq!(kinds(&app).await?, BTreeMap::from([(kills, "crash".to_owned()), (next, "parked".to_owned())]));
    assert_eq!(causes(&app, "b").await?, others);
    assert!(host.terminate().await?.success());
    // It is an operator's now.
    let mut host = app.host_called("mended")?;
    app.pelton_json(&["dlq", "discard", "probe", "--sequence", &kills.to_string()])?;
    drained(&app).await?;
    assert_eq!(causes(&app, "kill").await?, [next]);
    assert!(host.terminate().await?.success());
    Ok(())
}

/// As when the host is away from its server just then: nobody tells it.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_goes_without_a_word_is_missed_when_the_next_waits_behind_it() -> Result<()> {
    let app = App::with_input(&module("")).await?;
    let mut host = app.host()?;
    let first = app.publish("in.a", r#"[{"reject":"one"}]"#).await?;
    app.covered("probe", 1, first).await?;
    let (letter, mut headers) = (format!("pelton.demo.dlq.probe.0.{first}"), async_nats::HeaderMap::new());
    headers.insert("KV-Operation", "DEL");
    headers.insert("Nats-Rollup", "sub");
    app.jetstream().publish_with_headers(letter, headers, "".into()).await?.await?;
    let next = app.publish("in.a", COUNTS).await?;
    app.covered("probe", 1, next).await?;
    drained(&app).await?;
    assert_eq!(causes(&app, "a").await?, [next]);
    assert!(host.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_key_stays_so_when_lanes_are_changed_and_follows_in_its_new_lane() -> Result<()> {
    let app = App::with_input(&module("lanes = 4")).await?;
    let mut host = app.host()?;
    let mut of_key = vec![app.publish("in.a", r#"[{"reject":"one"}]"#).await?];
    for _ in 0..3 {
        of_key.push(app.publish("in.a", r#"[{"emit":{}}]"#).await?);
    }
    app.covered("probe", 4, of_key[3]).await?;
    app.pelton_json(&["module", "scale", "probe", "--lanes", "7"])?;
    of_key.push(app.publish("in.a", r#"[{"emit":{}}]"#).await?);
    app.covered("probe", 7, of_key[4]).await?;
    assert_eq!(kinds(&app).await?.len(), 5);
    app.pelton_json(&["dlq", "discard", "probe", "--sequence", &of_key[0].to_string()])?;
    drained(&app).await?;
    assert_eq!(causes(&app, "a").await?, of_key[1..]);
    assert!(host.terminate().await?.success());
    Ok(())
}
