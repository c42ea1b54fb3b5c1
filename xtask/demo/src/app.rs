//! The app as the demo deploys it: its config, its modules, and how far their lanes have come.

use std::{path::Path, time::Duration};

use anyhow::{Result, bail};
use async_nats::{
    Client,
    jetstream::{self, ErrorCode, stream::LastRawMessageErrorKind as Missing},
};
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use xxhash_rust::xxh64::xxh64;

use super::data::Line;

/// The app stream.
pub const STREAM: &str = "KV_demo";
/// Where the app's own cancellations are, which `by-day` counts.
const CANCELLATIONS: &str = "pelton.demo.events.invoices.>";
/// The key of lines that name no customer.
pub const ANONYMOUS: &str = "anonymous";

const POLL: Duration = Duration::from_millis(200);
/// A host that does nothing for so long will not do anything any more.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A module that reads RETAIL.
pub struct Module {
    pub name: &'static str,
    pub key: fn(&Line) -> &str,
}

impl Module {
    /// The lane that a line belongs to.
    pub fn lane(&self, line: &Line) -> u64 {
        xxh64((self.key)(line).as_bytes(), 0) % LANES
    }
}

const LANES: u64 = 4;

/// The modules that read RETAIL, with [LANES] lanes each.
pub const MODULES: [Module; 3] = [
    Module { name: "by-country", key: |line| &line.country },
    Module {
        name: "by-customer",
        key: |line| Some(line.customer.as_str()).filter(|key| !key.is_empty()).unwrap_or(ANONYMOUS),
    },
    Module { name: "flag", key: |line| &line.invoice },
];

/// A checkpoint, as far as the demo looks into it.
#[derive(Deserialize)]
pub struct Checkpoint {
    pub position: u64,
    pub covered: u64,
}

/// The config for a server at `nats` and plugins in the folder `plugins`.
pub fn config(nats: &str, plugins: &Path) -> String {
    include_str!("pelton.toml").replace("@NATS@", nats).replace("@PLUGINS@", &plugins.to_string_lossy())
}

/// Where a lane's checkpoint is. The demo always begins anew, so everything is of generation 1.
fn checkpoint_subject(module: &str, lane: u64) -> String {
    format!("pelton.demo.ckpt.{module}.1.{lane}")
}

/// Waits until every module has done all there is: `last` of RETAIL, and what that led to.
pub async fn catch_up(client: &Client, last: u64, mut seen: impl FnMut(u64)) -> Result<()> {
    let retail = MODULES.iter().flat_map(|module| (0..LANES).map(|lane| checkpoint_subject(module.name, lane)));
    cover(client, &retail.collect::<Vec<_>>(), last, &mut seen).await?;
    let cancellations = last_message(client, CANCELLATIONS).await?.map_or(0, |message| message.sequence);
    cover(client, &[checkpoint_subject("by-day", 0)], cancellations, |_| ()).await
}

/// How far the slowest lane of the modules that read RETAIL has come.
pub async fn lowest_covered(client: &Client) -> Result<u64> {
    let mut lowest = u64::MAX;
    for module in &MODULES {
        for lane in 0..LANES {
            lowest = lowest.min(covered(client, &checkpoint_subject(module.name, lane)).await?);
        }
    }
    Ok(lowest)
}

/// Waits until all of these checkpoints cover `target`.
async fn cover(client: &Client, checkpoints: &[String], target: u64, mut seen: impl FnMut(u64)) -> Result<()> {
    let mut best = 0;
    let mut since = Instant::now();
    loop {
        let (mut lowest, mut sum) = (target, 0);
        for checkpoint in checkpoints {
            let covered = covered(client, checkpoint).await?.min(target);
            lowest = lowest.min(covered);
            sum += covered;
        }
        seen(lowest);
        if lowest == target {
            return Ok(());
        }
        if sum > best {
            (best, since) = (sum, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            bail!("the host has made no progress for {PATIENCE:?} (at {lowest} of {target})");
        }
        sleep(POLL).await;
    }
}

async fn covered(client: &Client, checkpoint: &str) -> Result<u64> {
    let Some(message) = last_message(client, checkpoint).await? else {
        return Ok(0);
    };
    Ok(serde_json::from_slice::<Checkpoint>(&message.payload)?.covered)
}

/// The last message under a subject of the app stream; none if it, or the stream, is not there yet.
async fn last_message(client: &Client, subject: &str) -> Result<Option<jetstream::message::StreamMessage>> {
    let stream = jetstream::new(client.clone()).get_stream_no_info(STREAM).await?;
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(Some(message)),
        Err(error) => match error.kind() {
            Missing::NoMessageFound => Ok(None),
            Missing::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            _ => Err(error.into()),
        },
    }
}
