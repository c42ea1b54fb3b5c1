//! Two hosts run one app by mistake: the later one has it, the earlier one notices, and nothing happens twice.

use anyhow::Result;
use pelton_tests::{App, SOON, logged};

use crate::oracle;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hosts_on_one_app_the_first_stops_and_the_second_finishes_without_double_effects() -> Result<()> {
    let app = App::with_input(oracle::MODULES).await?;
    let mut first = app.host_called("first")?;
    tokio::try_join!(oracle::reached(&app, 2_000), oracle::publish(&app, 6_000))?;

    let mut second = app.host_called("second")?;
    logged(&second, &["running"]).await?;
    oracle::publish(&app, 6_000).await?;
    let status = first.wait(SOON).await?;
    assert_eq!(status.code(), Some(1));
    for lane in 0..oracle::LANES {
        logged(&first, &["lane was taken over by another host", "module=oracle", &format!("lane={lane}")]).await?;
    }
    logged(&first, &["only one host of an app may run"]).await?;

    oracle::finished(&app).await?;
    oracle::verify(&app).await?;
    assert!(second.terminate().await?.success());
    Ok(())
}
