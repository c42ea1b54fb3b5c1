//! A lane that is stuck holds up neither the other lanes nor the other modules of its stream, and catches up in order.

use anyhow::{Context, Result};
use pelton_tests::{App, LONG, stored};

use crate::probe;

const INPUTS: u64 = 5_000;
/// Keys on all of four lanes.
const KEYS: [&str; 8] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];

/// `probe` with that many lanes, each stuck at its first input for some seconds, beside a `fold` of one lane.
async fn check(lanes: u16) -> Result<()> {
    let fold = "[modules.fold]\nplugin = \"fold.wasm\"\ninput = { stream = \"IN\" }\nviews = [\"fold\"]\n";
    let app = App::with_input(&(probe::module(&format!("lanes = {lanes}\nattempts = 8")) + fold)).await?;
    let host = app.host()?;
    let context = app.jetstream();
    for key in KEYS {
        app.publish(&format!("in.{key}"), r#"[{"retry":1000}]"#).await?;
    }
    for _ in 0..INPUTS / 500 {
        let mut acks = Vec::new();
        for key in KEYS.iter().cycle().take(500) {
            acks.push(context.publish(format!("in.{key}"), r#"[{"emit":{}}]"#.into()).await?);
        }
        for ack in acks {
            ack.await?;
        }
    }
    let all = INPUTS + KEYS.len() as u64;
    app.covered("fold", 1, all).await.context("the module beside the stuck one")?;
    let stuck = stored::checkpoints(&app, "probe", lanes).await?;
    assert!(stuck.iter().all(|lane| lane.covered < all), "not stuck any more: {stuck:?}");

    app.covered_within("probe", lanes, all, LONG).await?;
    let mut causes = probe::causes(&app).await?;
    let of_key = |key| stored::messages(&app, "KV_demo", key);
    for key in KEYS {
        let events = of_key(&format!("pelton.demo.events.out.{key}")).await?;
        let inputs = events.iter().filter_map(|event| event.header("Pelton-Input").strip_prefix("IN:")?.parse().ok());
        assert!(inputs.collect::<Vec<u64>>().is_sorted(), "{key} out of order");
    }
    causes.sort_unstable();
    assert_eq!(causes, (KEYS.len() as u64 + 1..=all).collect::<Vec<_>>());
    pelton_tests::logged(&host, &["lane has caught up", "probe"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_of_one_stuck_lane_does_not_hold_up_another_module() -> Result<()> {
    check(1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_of_many_stuck_lanes_does_not_hold_up_a_module_of_one() -> Result<()> {
    check(4).await
}
