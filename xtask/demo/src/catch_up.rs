//! Waits until the host has done all there is, and measures how long it was at work.

use std::time::Duration;

use anyhow::{Result, bail};
use async_nats::{
    Client,
    jetstream::{self, ErrorCode, message::StreamMessage, stream::LastRawMessageErrorKind as Missing},
};
use futures::future::try_join_all;
use tokio::time::{Instant, sleep};

use super::app::{self, CANCELLATIONS, Checkpoint};

/// A host that does nothing for so long will not do anything any more.
pub const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(100);

/// Waits until every module has done all there is: `last` of RETAIL, and what that led to. Says for how long effects
/// kept coming, if there were any: that leaves out the start of the host, and the wait for idle lanes to tell that
/// they have nothing more to do.
pub async fn catch_up(client: &Client, last: u64, seen: impl FnMut(u64)) -> Result<Option<Duration>> {
    let busy = cover(client, &app::checkpoints(), last, seen).await?;
    let cancellations = last_message(client, CANCELLATIONS).await?.map_or(0, |message| message.sequence);
    cover(client, &[app::checkpoint("by-day", 0)], cancellations, |_| ()).await?;
    Ok(busy)
}

/// How far the slowest lane of the modules that read RETAIL has come.
pub async fn lowest_covered(client: &Client) -> Result<u64> {
    Ok(Lanes::look(client, &app::checkpoints(), u64::MAX).await?.lowest)
}

/// What some lanes have done.
struct Lanes {
    /// Where the slowest stands.
    lowest: u64,
    /// How far all have come, added up.
    covered: u64,
    /// The same, counting only up to their last effects.
    positions: u64,
}

impl Lanes {
    /// Looks no further than `target`.
    async fn look(client: &Client, checkpoints: &[String], target: u64) -> Result<Self> {
        let checkpoints = try_join_all(checkpoints.iter().map(|subject| read(client, subject))).await?;
        let covered = checkpoints.iter().map(|checkpoint| checkpoint.covered.min(target));
        Ok(Self {
            lowest: covered.clone().min().unwrap_or(target),
            covered: covered.sum(),
            positions: checkpoints.iter().map(|checkpoint| checkpoint.position).sum(),
        })
    }
}

/// Waits until all of these checkpoints cover `target`, and says from when to when their positions moved.
async fn cover(
    client: &Client,
    checkpoints: &[String],
    target: u64,
    mut seen: impl FnMut(u64),
) -> Result<Option<Duration>> {
    let mut before = Lanes::look(client, checkpoints, target).await?;
    let (mut looked, mut moved) = (Instant::now(), Instant::now());
    let mut busy: Option<(Instant, Instant)> = None;
    while before.lowest < target {
        sleep(POLL).await;
        let lanes = Lanes::look(client, checkpoints, target).await?;
        let now = Instant::now();
        seen(lanes.lowest);
        if lanes.positions != before.positions {
            busy = Some((busy.map_or(looked, |(begin, _)| begin), now));
        }
        if lanes.covered != before.covered {
            moved = now;
        }
        if moved.elapsed() > PATIENCE {
            bail!("the host has made no progress for {PATIENCE:?} (at {} of {target})", lanes.lowest);
        }
        (before, looked) = (lanes, now);
    }
    Ok(busy.map(|(begin, end)| end - begin))
}

async fn read(client: &Client, subject: &str) -> Result<Checkpoint> {
    let message = last_message(client, subject).await?;
    let checkpoint = message.map(|message| serde_json::from_slice(&message.payload));
    Ok(checkpoint.transpose()?.unwrap_or_default())
}

/// The last message under a subject of the app stream; none if it, or the stream, is not there yet.
async fn last_message(client: &Client, subject: &str) -> Result<Option<StreamMessage>> {
    let stream = jetstream::new(client.clone()).get_stream_no_info(app::STREAM).await?;
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(Some(message)),
        Err(error) => match error.kind() {
            Missing::NoMessageFound => Ok(None),
            Missing::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(error.into()),
        },
    }
}
