//! Ends and pauses in order: SIGTERM under load, and a server that goes away for a while.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pelton_tests::{App, logged, oracle, stored};

use crate::metrics;

#[tokio::test(flavor = "multi_thread")]
async fn a_host_told_to_stop_under_load_commits_what_is_in_hand_and_the_next_goes_on() -> Result<()> {
    let app = App::with_input(oracle::MODULES).await?;
    for _ in 0..4 {
        let mut host = app.host()?;
        let after = oracle::progress(&app).await + 1_500;
        let stopped = async {
            oracle::reached(&app, after).await?;
            host.terminate().await
        };
        let (status, ()) = tokio::try_join!(stopped, oracle::publish(&app, 3_000))?;
        assert_eq!(status.code(), Some(0), "{}", app.log_end());
        logged(&host, &["SIGTERM"]).await?;
        oracle::positions_fit_effects(&app).await?;
    }
    let _host = app.host()?;
    oracle::finished(&app).await?;
    oracle::verify(&app).await?;
    Ok(())
}

/// How long a host that is told to stop may take, as the reference says.
const GRACE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_host_told_to_stop_under_full_load_ends_in_time_and_nothing_committed_is_run_again() -> Result<()> {
    const INPUTS: u64 = 12_000;
    let app = App::with_input(oracle::MODULES).await?;
    oracle::publish(&app, INPUTS).await?;
    let mut host = app.host()?;
    oracle::reached(&app, 500).await?;
    let began = Instant::now();
    assert_eq!(host.terminate().await?.code(), Some(0), "{}", app.log_end());
    assert!(began.elapsed() < GRACE, "{:?}", began.elapsed());
    let steps = stored::events(&app, "steps").await?;
    let done = steps.iter().filter(|event| event.header("ce-type") == "step").count() as u64;
    assert!(0 < done && done < INPUTS, "{done} of {INPUTS} is no full load");
    let next = app.host_called("next")?;
    oracle::finished(&app).await?;
    let left = (INPUTS - done) as f64;
    metrics::reads(&next, "pelton_inputs_total{module=\"oracle\"}", left).await?;
    // What is computed ahead of a commit that a slow machine does not answer in time runs again.
    if !next.log()?.iter().any(|line| line.contains("lane begins again") || line.contains("lanes are given up")) {
        let calls = metrics::samples(&next).await?["pelton_handler_duration_seconds_count{module=\"oracle\"}"];
        assert_eq!(calls, left, "each input that was not committed runs once, and no other");
    }
    oracle::verify(&app).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_host_told_to_stop_has_committed_all_it_took() -> Result<()> {
    let app = App::with_input(oracle::MODULES).await?;
    let mut host = app.host()?;
    oracle::publish(&app, 50).await?;
    oracle::finished(&app).await?;
    assert!(host.terminate().await?.success());
    let epochs = stored::checkpoints(&app, "oracle", oracle::LANES).await?.into_iter().map(|lane| lane.epoch);
    assert!(epochs.collect::<Vec<_>>().iter().all(|epoch| *epoch == 1));
    oracle::verify(&app).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_in_order_and_comes_back_is_worked_with_again() -> Result<()> {
    let mut app = App::with_input(oracle::MODULES).await?;
    let mut host = app.host()?;
    logged(&host, &["running"]).await?;
    for _ in 0..3 {
        oracle::publish(&app, 1_000).await?;
        app.server.stop().await?;
        assert!(host.ended()?.is_none(), "{}", app.log_end());
        app.server.restart().await?;
        app.client = app.server.client().await?;
    }
    oracle::publish(&app, 1_000).await?;
    oracle::finished(&app).await?;
    oracle::verify(&app).await?;
    assert!(host.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_told_to_stop_while_the_server_is_away_ends() -> Result<()> {
    let mut app = App::with_input(oracle::MODULES).await?;
    let mut host = app.host()?;
    tokio::try_join!(oracle::reached(&app, 500), oracle::publish(&app, 3_000))?;
    app.server.kill9()?;
    host.terminate().await.with_context(|| app.log_end())?;
    app.server.restart().await?;
    app.client = app.server.client().await?;
    let _host = app.host()?;
    oracle::finished(&app).await?;
    oracle::verify(&app).await?;
    Ok(())
}
