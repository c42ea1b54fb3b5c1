//! The host dies at random moments under load and is started again: nothing is missing, nothing is there twice.

use anyhow::{Context, Result};
use pelton_tests::{App, Random, oracle};

const KILLS: u64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn a_host_killed_at_random_moments_leaves_every_effect_exactly_once() -> Result<()> {
    let app = App::with_input(oracle::MODULES).await?;
    let mut random = Random::new();
    for kill in 0..KILLS {
        let mut host = app.host()?;
        let after = oracle::progress(&app).await + random.below(2_500);
        let killed = async {
            oracle::reached(&app, after).await?;
            host.kill9()
        };
        tokio::try_join!(killed, oracle::publish(&app, 1_500))?;
        oracle::positions_fit_effects(&app).await.with_context(|| format!("after kill {kill}"))?;
    }
    let mut host = app.host()?;
    oracle::finished(&app).await?;
    eprintln!("{KILLS} kills of the host: {}", oracle::verify(&app).await?);
    assert!(host.terminate().await?.success());
    Ok(())
}
