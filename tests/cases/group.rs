//! Group commit: under load, what gathers rides in one batch, and writes to one key are coalesced.

use std::collections::BTreeMap;

use anyhow::Result;
use pelton_tests::{App, LONG, oracle, stored};

use crate::probe;

#[tokio::test(flavor = "multi_thread")]
async fn modules_under_load_share_few_batches_of_at_most_a_thousand_messages() -> Result<()> {
    let app = App::with_input(&oracle::MODULES.replace("lanes = 4", "lanes = 16")).await?;
    oracle::publish(&app, 6_000).await?;
    let _host = app.host()?;
    app.covered_within("oracle", 16, 6_000, LONG).await?;
    let mut batches = BTreeMap::<String, Vec<u64>>::new();
    let events = stored::events(&app, "steps").await?;
    for event in &events {
        let batch = batches.entry(event.header("Nats-Batch-Id").to_owned()).or_default();
        batch.push(event.header("Nats-Batch-Sequence").parse()?);
    }
    let largest = batches.values().flatten().max();
    assert!(largest <= Some(&1_000), "{largest:?}");
    // A batch for each input would be 6,000.
    assert!(batches.len() < 200, "{} batches for 6,000 inputs", batches.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_batch_limit_is_kept() -> Result<()> {
    let app = App::with_input(&format!("stream = {{ batch = 10 }}\n{}", oracle::MODULES)).await?;
    oracle::publish(&app, 300).await?;
    let _host = app.host()?;
    oracle::finished(&app).await?;
    oracle::verify(&app).await?;
    for event in stored::events(&app, "steps").await? {
        assert!(event.header("Nats-Batch-Sequence").parse::<u64>()? <= 10);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_to_one_hot_key_are_coalesced_and_the_last_one_stays() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let context = app.jetstream();
    for _ in 0..10 {
        let mut acks = Vec::new();
        for _ in 0..500 {
            acks.push(context.publish("in.a", r#"[{"count":"hot"}]"#.into()).await?);
        }
        for ack in acks {
            ack.await?;
        }
    }
    let _host = app.host()?;
    app.covered_within("probe", 1, 5_000, LONG).await?;
    assert_eq!(app.view("v", "hot").await?.as_deref(), Some(&b"5000"[..]));
    let written = oracle::progress(&app).await;
    // One write and one checkpoint for each input would be 10,000.
    assert!(written < 1_000, "{written} messages for 5,000 inputs on one key");
    Ok(())
}
