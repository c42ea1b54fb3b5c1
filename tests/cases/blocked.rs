//! A lane that is stuck holds up neither the other lanes nor the other modules of its stream, and catches up in order.

use anyhow::{Context, Result};
use pelton_tests::{App, LONG, logged, stored};
use xxhash_rust::xxh64::xxh64;

use crate::probe;

/// Inputs behind the stuck ones, for each lane: more than may wait for it.
const INPUTS: u64 = 2_000;

/// `probe` with that many lanes, each stuck at its first input for some seconds, beside a `fold` of one lane.
async fn check(lanes: u16) -> Result<()> {
    let fold = "[modules.fold]\nplugin = \"fold.wasm\"\ninput = { stream = \"IN\" }\nviews = [\"fold\"]\n";
    let app = App::with_input(&(probe::module(&format!("lanes = {lanes}\nattempts = 7")) + fold)).await?;
    let host = app.host()?;
    let keys: Vec<String> = (0..lanes).map(|lane| key_on(lane, lanes)).collect();
    for key in &keys {
        app.publish(&format!("in.{key}"), r#"[{"retry":1500}]"#).await?;
    }
    let context = app.jetstream();
    for _ in 0..INPUTS / 250 {
        let mut acks = Vec::new();
        for key in keys.iter().cycle().take(250 * keys.len()) {
            acks.push(context.publish(format!("in.{key}"), r#"[{"emit":{}}]"#.into()).await?);
        }
        for ack in acks {
            ack.await?;
        }
    }
    let first = keys.len() as u64 + 1;
    let all = (INPUTS + 1) * keys.len() as u64;
    app.covered("fold", 1, all).await.context("the module beside the stuck one")?;
    let stuck = stored::checkpoints(&app, "probe", lanes).await?;
    assert!(stuck.iter().all(|lane| lane.position == 0), "it waited for the stuck lanes: {stuck:?}");

    app.covered_within("probe", lanes, all, LONG).await?;
    for key in &keys {
        let events = stored::messages(&app, "KV_demo", &format!("pelton.demo.events.out.{key}")).await?;
        let inputs = events.iter().filter_map(|event| event.header("Pelton-Input").strip_prefix("IN:")?.parse().ok());
        assert!(inputs.collect::<Vec<u64>>().is_sorted(), "{key} out of order");
    }
    let mut causes = probe::causes(&app).await?;
    causes.sort_unstable();
    assert_eq!(causes, (first..=all).collect::<Vec<_>>());
    logged(&host, &["lane has caught up", "probe"]).await?;
    Ok(())
}

/// A key on that lane.
fn key_on(lane: u16, lanes: u16) -> String {
    let is_on = |key: &String| xxh64(key.as_bytes(), 0) % u64::from(lanes) == u64::from(lane);
    (0..).map(|number| format!("k{number}")).find(is_on).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_of_one_stuck_lane_does_not_hold_up_another_module() -> Result<()> {
    check(1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_of_many_stuck_lanes_does_not_hold_up_a_module_of_one() -> Result<()> {
    check(4).await
}
