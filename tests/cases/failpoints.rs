//! The host ends at once at each step of its work, and the next one goes on: each input has its effects once, in order.

use anyhow::{Context, Result};
use pelton_tests::{App, Host, SOON, logged, oracle, stored};

use crate::{hosts, probe, swap};

const EMIT: &str = r#"[{"emit":{}}]"#;

/// A host that ends at `place` for the `N`th time, as `failpoint.rs` of the host describes.
fn aborts(app: &App, place: &str) -> Result<Host> {
    app.failing_host(&format!("abort:{place}"))
}

/// Waits until a host ends by its own abort.
async fn aborted(app: &App, mut host: Host) -> Result<()> {
    let status = host.wait(SOON).await.with_context(|| app.log_end())?;
    assert_eq!(status.code(), None, "it ended in order: {status}");
    Ok(())
}

/// A host that ends at `place` under load leaves nothing undone and nothing done twice.
async fn redone(place: &str) -> Result<()> {
    let app = App::with_input(oracle::MODULES).await?;
    oracle::publish(&app, 2_000).await?;
    aborted(&app, aborts(&app, place)?).await?;
    let mut next = app.host_called("next")?;
    oracle::finished(&app).await?;
    oracle::verify(&app).await?;
    assert!(next.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_it_was_read() -> Result<()> {
    redone("reader/IN=700").await
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_guest_is_called() -> Result<()> {
    redone("invoke/in.k7=11").await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_guest_has_answered() -> Result<()> {
    redone("invoked/in.k7=11").await
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_batch() -> Result<()> {
    redone("committer/batch=3").await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_batch() -> Result<()> {
    redone("publish/message=1500").await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_commit_and_before_its_answer_is_known() -> Result<()> {
    redone("committer/answer=3").await
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_takeover() -> Result<()> {
    redone("takeover/oracle=1").await
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_takeover_from_another_host() -> Result<()> {
    let app = App::with_input(&format!("{}{}", hosts::QUICK, oracle::MODULES)).await?;
    let mut first = app.host_called("first")?;
    tokio::try_join!(oracle::publish(&app, 2_000), oracle::reached(&app, 300))?;
    first.kill9()?;
    aborted(&app, aborts(&app, "takeover/oracle=1")?).await?;
    let mut next = app.host_called("next")?;
    oracle::finished(&app).await?;
    oracle::verify(&app).await?;
    assert!(next.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_change_of_lanes() -> Result<()> {
    let app = App::with_input(oracle::MODULES).await?;
    let mut host = app.host()?;
    tokio::try_join!(oracle::publish(&app, 2_000), oracle::reached(&app, 300))?;
    let mut scale = app.verb(&["module", "scale", "oracle", "--lanes", "5"])?;
    assert_eq!(scale.env("PELTON_FAIL", "abort:scale/oracle=1").output()?.status.code(), None);
    // It was done, and not taken back to work: an operator sees that, and resumes.
    let shown = app.pelton_json(&["module", "show", "oracle"])?;
    assert_eq!((&shown["state"], &shown["lanes"]), (&"paused".into(), &5.into()), "{shown}");
    app.pelton_json(&["module", "resume", "oracle"])?;
    let last = app.jetstream().get_stream("IN").await?.cached_info().state.last_sequence;
    app.covered_within("oracle", 5, last, pelton_tests::LONG).await?;
    oracle::folded(&app).await?;
    oracle::verify(&app).await?;
    assert!(host.terminate().await?.success());
    Ok(())
}

/// An app whose host ended at `place` of a swap that an input decides.
async fn ended_in_a_swap(place: &str) -> Result<App> {
    let app = App::with_input(&probe::module("")).await?;
    let host = aborts(&app, place)?;
    app.covered("probe", 1, app.publish("in.a", EMIT).await?).await?;
    let other = swap::other_probe(&app, 1)?;
    let asks = app.verb(&["module", "swap", "probe", "--plugin", other.to_str().context("text")?])?;
    let mut asks = tokio::process::Command::from(asks).kill_on_drop(true).spawn()?;
    if place.starts_with("swap/") {
        logged(&host, &["goes over to another plugin"]).await.err();
    } else {
        swap::publish_at(&app, &host, 1).await?;
    }
    aborted(&app, host).await?;
    asks.kill().await?;
    Ok(app)
}

/// The next host of such an app runs what its record names, and goes on.
async fn goes_on_after_a_swap(app: &App, inputs: &[u64], noted: usize) -> Result<()> {
    assert_eq!(stored::checkpoints(app, "probe", 1).await?[0].covered, 1, "an input was done before the swap was");
    let mut next = app.host_called("next")?;
    app.covered("probe", 1, app.publish("in.a", EMIT).await?).await?;
    assert_eq!((probe::causes(app).await?, stored::audit(app).await?.len()), (inputs.to_vec(), noted));
    assert!(next.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_swap() -> Result<()> {
    goes_on_after_a_swap(&ended_in_a_swap("swap/probe=1").await?, &[1, 2], 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn when_an_input_has_decided_a_swap() -> Result<()> {
    goes_on_after_a_swap(&ended_in_a_swap("swap-decided/probe=1").await?, &[1, 2, 3], 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_swap_has_been_noted() -> Result<()> {
    let app = ended_in_a_swap("swap-noted/probe=1").await?;
    let (config, built) = (std::fs::read_to_string(app.config())?, pelton_tests::plugins()?.join("probe.wasm"));
    let other = app.folder().join("probe-1.wasm");
    std::fs::write(app.config(), config.replace(&*built.to_string_lossy(), &other.to_string_lossy()))?;
    goes_on_after_a_swap(&app, &[1, 2, 3], 1).await
}

/// An app with a dead letter whose cause has been mended since.
async fn mended() -> Result<App> {
    let app = App::with_input(&probe::module("")).await?;
    let mut host = app.host_called("first")?;
    app.publish("in.a", r#"[{"require":"a/ready"},{"emit":{}}]"#).await?;
    let ready = r#"[{"write":{"key":"a/ready","value":"1"}}]"#;
    app.covered("probe", 1, app.publish("in.a", ready).await?).await?;
    assert_eq!(stored::dead_letters(&app, "probe").await?.len(), 1);
    assert!(host.terminate().await?.success());
    Ok(app)
}

/// A host that ends at `place` of a replay leaves so many dead letters; replayed again, each has its effects once.
async fn ends_in_a_replay(place: &str, left: usize) -> Result<()> {
    let app = mended().await?;
    let host = aborts(&app, place)?;
    logged(&host, &["running"]).await?;
    let replay = app.verb(&["dlq", "replay", "--all"])?;
    let mut asks = tokio::process::Command::from(replay).kill_on_drop(true).spawn()?;
    aborted(&app, host).await?;
    asks.kill().await?;
    assert_eq!(stored::dead_letters(&app, "probe").await?.len(), left);
    let next = app.host_called("next")?;
    logged(&next, &["running"]).await?;
    app.pelton_json(&["dlq", "replay", "--all"])?;
    assert!(stored::dead_letters(&app, "probe").await?.is_empty());
    assert_eq!(probe::causes(&app).await?, [1]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_replay() -> Result<()> {
    ends_in_a_replay("replay/probe=1", 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_commit_of_a_replay_and_before_its_answer_is_known() -> Result<()> {
    ends_in_a_replay("committer/answer=1", 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_ends_host_after_host_becomes_a_dead_letter_and_no_other_does() -> Result<()> {
    let app = App::with_input(&probe::module("lanes = 4")).await?;
    let mut kills = 0;
    for number in 0..200 {
        let key = if number == 100 { "kill".to_owned() } else { format!("k{}", number % 7) };
        let at = app.publish(&format!("in.{key}"), r#"[{"emit":{}}]"#).await?;
        kills = if number == 100 { at } else { kills };
    }
    let mut ended = 0;
    loop {
        let mut host = aborts(&app, "invoke/in.kill=1")?;
        tokio::select! {
            done = app.covered("probe", 4, 200) => {
                done?;
                logged(&host, &["the lane is run with care"]).await?;
                assert!(host.terminate().await?.success());
                break;
            }
            status = host.wait(SOON) => assert_eq!(status?.code(), None, "{}", app.log_end()),
        }
        ended += 1;
        assert!(ended < 20, "host after host ends: {}", app.log_end());
    }
    // One that ran many inputs, one that ran a few, and those that ran it alone.
    assert_eq!(ended, 2 + 3, "hosts that ended");
    let letters = stored::dead_letters(&app, "probe").await?;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters.get(&kills).context("another input's")?["cause"]["kind"], "crash", "{letters:?}");
    let mut causes = probe::causes(&app).await?;
    causes.sort_unstable();
    let others: Vec<u64> = (1..=200).filter(|at| *at != kills).collect();
    assert_eq!(causes, others, "each other input has its effect once");
    Ok(())
}
