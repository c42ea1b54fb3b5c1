//! Ends and pauses in order: SIGTERM under load, and a server that goes away for a while.

use anyhow::{Context, Result};
use pelton_tests::{App, logged, oracle, stored};

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
