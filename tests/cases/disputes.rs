//! Hosts that take each other to be dead, while both work.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::TryStreamExt;
use pelton_tests::{App, eventually, logged, oracle, stored};

use crate::hosts::shared_by;

/// How long a heartbeat counts. There is one every third of it.
const TTL: std::time::Duration = std::time::Duration::from_secs(9);

/// Removes the heartbeats of all hosts, as if none had been heard for too long.
async fn forget_all(app: &App) -> Result<usize> {
    let bucket = app.jetstream().get_key_value("demo-hosts").await?;
    let keys: Vec<String> = bucket.keys().await?.try_collect().await?;
    let hosts: Vec<&String> = keys.iter().filter(|key| key.starts_with("hosts.")).collect();
    for key in &hosts {
        bucket.delete(*key).await?;
    }
    Ok(hosts.len())
}

/// The epochs of the oracle's lanes, and who owns them.
async fn owned(app: &App) -> Result<Vec<(u64, Option<String>)>> {
    let lanes = stored::checkpoints(app, "oracle", oracle::LANES).await?;
    Ok(lanes.into_iter().map(|lane| (lane.epoch, lane.owner)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_that_each_believe_the_other_dead_settle_within_three_heartbeats() -> Result<()> {
    let app = App::with_input(&format!("[hosts]\nttl = \"{}s\"\n{}", TTL.as_secs(), oracle::MODULES)).await?;
    let (mut one, mut other) = (app.host_called("one")?, app.host_called("other")?);
    for host in [&one, &other] {
        logged(host, &["running"]).await?;
    }
    shared_by(&app, "oracle", oracle::LANES, 2).await?;
    oracle::publish(&app, 2_000).await?;
    oracle::finished(&app).await?;
    let before = owned(&app).await?;
    // No more than a slow machine can do, so that it is not its work that takes the time.
    let load = async {
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            tick.tick().await;
            if let Err(error) = oracle::publish(&app, 5).await {
                break error;
            }
        }
    };
    let dispute = async {
        ensure!(forget_all(&app).await? == 2, "two hosts tell that they live");
        let began = Instant::now();
        for host in [&one, &other] {
            logged(host, &["another host has ended"]).await?;
            logged(host, &["its lanes are given up and shared anew"]).await?;
        }
        let settled = eventually("all lanes to have other owners", TTL, async || {
            let now = owned(&app).await?;
            let is_new = now.iter().zip(&before).all(|((epoch, owner), (was, _))| epoch > was && owner.is_some());
            Ok(is_new.then_some(now))
        });
        let settled = settled.await.with_context(|| app.log_end())?;
        ensure!(began.elapsed() <= TTL, "they took {:?}: {}", began.elapsed(), app.log_end());
        anyhow::Ok(settled)
    };
    let settled = tokio::select! {
        settled = dispute => settled?,
        error = load => return Err(error),
    };
    let hosts: std::collections::BTreeSet<_> = settled.iter().map(|(_, owner)| owner).collect();
    assert_eq!(hosts.len(), 2, "they share again");
    oracle::publish(&app, 2_000).await?;
    oracle::finished(&app).await?;
    assert_eq!(owned(&app).await?, settled, "no lane moved since");
    oracle::verify(&app).await?;
    for host in [&mut one, &mut other] {
        assert!(host.terminate().await?.success());
    }
    Ok(())
}
