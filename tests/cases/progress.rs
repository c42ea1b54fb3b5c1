//! Stock tools see how far modules are, by consumers that nobody reads.

use anyhow::Result;
use async_nats::jetstream::consumer::Info;
use pelton_tests::{App, SOON, eventually};

use crate::probe;

const EMIT: &str = r#"[{"emit":{}}]"#;

/// What the server says of the consumer of the module `probe`, once it stands at `floor` with so many messages before it.
async fn stands_at(app: &App, floor: u64, pending: u64) -> Result<Info> {
    let stream = app.jetstream().get_stream("IN").await?;
    eventually(&format!("the consumer at {floor} with {pending} pending"), SOON, async || {
        let Ok(info) = stream.consumer_info("pelton-demo_probe").await else { return Ok(None) };
        Ok((info.ack_floor.stream_sequence == floor && info.num_pending == pending).then_some(info))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_of_a_module_is_that_of_its_consumer_also_without_a_host() -> Result<()> {
    let filter = "input = { stream = \"IN\", filter = \"in.*\" }";
    let app = App::with_input(&probe::module("").replace("input = { stream = \"IN\" }", filter)).await?;
    let mut host = app.host()?;
    for _ in 0..10 {
        app.publish("in.a", EMIT).await?;
    }
    app.publish("in.not.for.it", EMIT).await?;
    app.covered("probe", 1, 10).await?;
    stands_at(&app, 10, 0).await?;

    app.pelton_json(&["module", "pause", "probe"])?;
    let last = app.publish("in.a", EMIT).await?;
    app.publish("in.b", EMIT).await?;
    assert_eq!(stands_at(&app, 10, 2).await?.num_ack_pending, 0);

    assert!(host.terminate().await?.success());
    app.publish("in.a", EMIT).await?;
    stands_at(&app, 10, 3).await?;

    let _host = app.host_called("second")?;
    app.pelton_json(&["module", "resume", "probe"])?;
    app.covered("probe", 1, last + 2).await?;
    stands_at(&app, last + 2, 0).await?;
    Ok(())
}
