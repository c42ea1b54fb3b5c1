//! Counts what hosts have the server store, by hearing it as it is published.

use std::time::Duration;

use anyhow::Result;
use async_nats::Client;
use futures::StreamExt;
use tokio::time::{Instant, sleep_until};

/// What was stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stored {
    /// Messages: checkpoints and heartbeats.
    pub messages: u64,
    /// Commits that they came in; a heartbeat is one by itself.
    pub batches: u64,
    /// Subjects, headers and payloads.
    pub bytes: u64,
}

/// Counts for so long, while `meanwhile` goes on.
pub async fn stored_for(client: &Client, time: Duration, meanwhile: impl Future<Output = ()>) -> Result<Stored> {
    let checkpoints = client.subscribe("pelton.demo.ckpt.>").await?;
    let heartbeats = client.subscribe("$KV.demo-hosts.>").await?;
    client.flush().await?;
    let mut both = futures::stream::select(checkpoints, heartbeats);
    let (mut stored, end) = (Stored::default(), Instant::now() + time);
    let count = async {
        loop {
            let message = tokio::select! {
                Some(message) = both.next() => message,
                () = sleep_until(end) => return,
            };
            stored.messages += 1;
            stored.bytes += message.length as u64;
            let headers = message.headers.unwrap_or_default();
            let alone = headers.get("Nats-Batch-Id").is_none();
            stored.batches += u64::from(alone || headers.get("Nats-Batch-Commit").is_some());
        }
    };
    tokio::join!(count, meanwhile);
    Ok(stored)
}
