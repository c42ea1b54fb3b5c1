//! An app on three servers: one of them dies and comes back, a host dies, and each input has its effects once.

use anyhow::{Context, Result};
use async_nats::jetstream::stream;
use pelton_tests::{App, SOON, eventually, logged, oracle};

use crate::hosts;

/// All streams are on all three servers.
const REPLICAS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn the_streams_leader_and_a_host_die_under_load_and_every_effect_is_there_once() -> Result<()> {
    let modules = format!("[stream]\nreplicas = {REPLICAS}\n{}{}", hosts::QUICK, oracle::MODULES);
    let mut app = App::on_cluster(&modules).await?;
    let input = stream::Config {
        name: "IN".into(),
        subjects: vec!["in.>".into()],
        num_replicas: REPLICAS,
        ..stream::Config::default()
    };
    app.jetstream().create_stream(input).await?;
    let mut first = app.host_called("first")?;
    logged(&first, &["running"]).await?;
    let mut second = app.host_called("second")?;
    hosts::shared_by(&app, "oracle", oracle::LANES, 2).await?;
    assert_eq!(app.jetstream().get_stream("KV_demo").await?.cached_info().config.num_replicas, REPLICAS);

    // What is on its way when the server dies is stored or not: the stream tells.
    let load = tokio::spawn(oracle::publish_on(app.jetstream(), 6_000));
    oracle::reached(&app, 1_500).await?;
    let killed = app.server.leader("KV_demo").await?;
    app.server.kill9(killed)?;
    load.await?.ok();
    for stream in ["IN", "KV_demo"] {
        assert_ne!(app.server.leader(stream).await?, killed, "another leads {stream}");
    }

    let before = oracle::progress(&app).await;
    let host_dies = async {
        oracle::reached(&app, before + 1_000).await?;
        first.kill9()
    };
    tokio::try_join!(oracle::publish(&app, 3_000), host_dies)?;
    app.server.restart(killed).await?;
    oracle::publish(&app, 3_000).await?;
    for stream in ["IN", "KV_demo"] {
        app.server.in_step(stream).await?;
    }
    oracle::finished(&app).await?;
    // Whichever server answers may be a moment behind the leader.
    let verified = eventually("every effect", SOON, async || Ok(oracle::verify(&app).await.ok())).await;
    let seen = match verified {
        Ok(seen) => seen,
        Err(_) => oracle::verify(&app).await.with_context(|| app.log_end())?,
    };
    eprintln!("node {killed} and a host died: {seen}");
    assert!(second.terminate().await?.success());
    Ok(())
}
