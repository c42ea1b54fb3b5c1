//! The host ends at once at each step of its work, and the next one goes on: each input has its effects once, in order.

use anyhow::{Context, Result};
use pelton_tests::{App, Host, SOON, logged, oracle, stored};

use crate::probe;

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

#[tokio::test(flavor = "multi_thread")]
async fn at_a_swap() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let host = aborts(&app, "swap/probe=1")?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await?;
    let mut bytes = std::fs::read(pelton_tests::plugins()?.join("probe.wasm"))?;
    // A custom section named `x`, which changes nothing but the digest.
    bytes.extend_from_slice(&[0, 2, 1, b'x']);
    let other = app.folder().join("other.wasm");
    std::fs::write(&other, bytes)?;
    let swap = app.verb(&["module", "swap", "probe", "--untried", "--plugin", other.to_str().context("text")?])?;
    let mut asking = tokio::process::Command::from(swap).kill_on_drop(true).spawn()?;
    aborted(&app, host).await?;
    asking.kill().await?;
    let mut next = app.host_called("next")?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2]);
    assert!(next.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_replay() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let host = aborts(&app, "replay/probe=1")?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"reject":"no"}]"#).await?).await?;
    let replay = app.verb(&["dlq", "replay", "--all"])?;
    let mut asking = tokio::process::Command::from(replay).kill_on_drop(true).spawn()?;
    aborted(&app, host).await?;
    asking.kill().await?;
    assert_eq!(stored::dead_letters(&app, "probe").await?.len(), 1, "it stays until its effects are stored");
    Ok(())
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
