//! The server dies at random moments under load and comes back: nothing is missing, nothing is there twice.

use anyhow::{Context, Result};
use pelton_tests::{App, Random, oracle};

const KILLS: u64 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_at_random_moments_leaves_every_effect_exactly_once() -> Result<()> {
    let mut app = App::with_input(oracle::MODULES).await?;
    let mut random = Random::new();
    let mut host = app.host()?;
    for kill in 0..KILLS {
        let after = oracle::progress(&app).await + random.below(2_500);
        // What is on its way when the server dies is lost or not: the stream tells.
        let load = tokio::spawn(oracle::publish_on(app.jetstream(), 1_500));
        oracle::reached(&app, after).await?;
        app.server.kill9()?;
        load.abort();
        app.server.restart().await?;
        app.client = app.server.client().await?;
        oracle::positions_fit_effects(&app).await.with_context(|| format!("after kill {kill}"))?;
    }
    oracle::finished(&app).await?;
    eprintln!("{KILLS} kills of the server: {}", oracle::verify(&app).await?);
    assert!(host.terminate().await?.success());
    Ok(())
}
