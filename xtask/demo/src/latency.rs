//! Measures the time from stored to committed at a steady rate. Both stamps are the server's: that of the input in
//! RETAIL, and that of the first checkpoint which says that the input's effects are in.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use async_nats::{
    Client,
    jetstream::{
        Message,
        consumer::{DeliverPolicy, pull::Ordered},
        message::Info,
    },
};
use futures::{StreamExt, TryStreamExt};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    app::{self, Checkpoint, MODULES},
    catch_up::PATIENCE,
    data::Item,
    progress::Progress,
    read,
    retail::{self, Retail},
};

/// The time between two inputs: 1,000 a second.
const PACE: Duration = Duration::from_millis(1);
const CHECKPOINTS: &str = "pelton.demo.ckpt.>";

/// How long inputs took from stored to committed, over all modules that read them.
#[derive(Debug, PartialEq)]
pub struct Latency {
    pub inputs: usize,
    pub median: Duration,
    pub p99: Duration,
}

/// A lane of a module.
type Lane = (String, u64);
/// Nanoseconds since 1970 by the server's clock.
type Stamp = i128;

/// Publishes `items` at the steady rate and waits until all modules have committed them. No items, no latency.
pub async fn measure(client: &Client, retail: &mut Retail, items: &[Item]) -> Result<Option<Latency>> {
    if items.is_empty() {
        return Ok(None);
    }
    let first = retail.last() + 1;
    let inputs = inputs(first, items);
    let (checkpoints, _) = read::messages(client, app::STREAM, CHECKPOINTS, DeliverPolicy::New).await?;
    let (commits, ()) = tokio::try_join!(commits(checkpoints, &inputs), publish(retail, items))?;
    let stored = stored(client, first).await?;
    Ok(summary(inputs.len() / MODULES.len(), latencies(&inputs, &stored, &commits)?))
}

/// Each line once for each module: its sequence and lane.
fn inputs(first: u64, items: &[Item]) -> Vec<(u64, Lane)> {
    let mut inputs = Vec::new();
    for (sequence, item) in (first..).zip(items) {
        if let Item::Line(_, line) = item {
            inputs.extend(MODULES.iter().map(|module| (sequence, (module.name.to_owned(), module.lane(line)))));
        }
    }
    inputs
}

async fn publish(retail: &mut Retail, items: &[Item]) -> Result<()> {
    let mut progress = Progress::new("steady 1,000 a second", 0, items.len() as u64);
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for (position, item) in (1..).zip(items) {
        pace.tick().await;
        retail.publish(item).await?;
        progress.at(position);
    }
    retail.flush().await?;
    progress.done();
    Ok(())
}

/// Gathers checkpoints, with their stamps, until they have passed the last input of every lane.
async fn commits(mut checkpoints: Ordered, inputs: &[(u64, Lane)]) -> Result<BTreeMap<Lane, Vec<(u64, Stamp)>>> {
    let last: BTreeMap<&Lane, u64> = inputs.iter().map(|(sequence, lane)| (lane, *sequence)).collect();
    let mut open: BTreeSet<&Lane> = last.keys().copied().collect();
    let mut commits: BTreeMap<Lane, Vec<(u64, Stamp)>> = BTreeMap::new();
    while !open.is_empty() {
        let next = timeout(PATIENCE, checkpoints.next()).await;
        let next = next.with_context(|| format!("the host has made no progress for {PATIENCE:?}"))?;
        let message = next.context("the server stopped sending checkpoints")??;
        let position = serde_json::from_slice::<Checkpoint>(&message.payload)?.position;
        let stamp = info(&message)?.published.unix_timestamp_nanos();
        if let Some(lane) = lane_of(&message.subject) {
            if last.get(&lane).is_some_and(|last| position >= *last) {
                open.remove(&lane);
            }
            commits.entry(lane).or_default().push((position, stamp));
        }
    }
    Ok(commits)
}

/// Reads `pelton.<app>.ckpt.<module>.<generation>.<lane>`.
fn lane_of(subject: &str) -> Option<Lane> {
    let mut tokens = subject.split('.').skip(3);
    let module = tokens.next()?.to_owned();
    Some((module, tokens.nth(1)?.parse().ok()?))
}

/// When the inputs from `first` on were stored, by sequence.
async fn stored(client: &Client, first: u64) -> Result<BTreeMap<u64, Stamp>> {
    let from = DeliverPolicy::ByStartSequence { start_sequence: first };
    let (messages, count) = read::messages(client, retail::STREAM, ">", from).await?;
    let stamps = messages.take(count).map(|message| {
        let message = message?;
        let info = info(&message)?;
        Ok((info.stream_sequence, info.published.unix_timestamp_nanos()))
    });
    stamps.try_collect().await
}

fn info(message: &Message) -> Result<Info<'_>> {
    message.info().map_err(|error| anyhow!(error))
}

/// The sorted times from stored to the first commit at or after each input.
fn latencies(
    inputs: &[(u64, Lane)],
    stored: &BTreeMap<u64, Stamp>,
    commits: &BTreeMap<Lane, Vec<(u64, Stamp)>>,
) -> Result<Vec<Duration>> {
    let latency = |(sequence, lane): &(u64, Lane)| {
        let commits = commits.get(lane)?;
        let (_, committed) = commits.get(commits.partition_point(|(position, _)| position < sequence))?;
        let nanos = committed - stored.get(sequence)?;
        Some(Duration::from_nanos(nanos.try_into().ok()?))
    };
    let latencies: Option<Vec<Duration>> = inputs.iter().map(latency).collect();
    let mut latencies = latencies.context("an input has no commit after it")?;
    latencies.sort_unstable();
    Ok(latencies)
}

fn summary(inputs: usize, sorted: Vec<Duration>) -> Option<Latency> {
    let at = |percent: usize| sorted.get(sorted.len() * percent / 100).copied();
    Some(Latency { inputs, median: at(50)?, p99: at(99)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_ends_at_the_first_commit_that_covers_the_input() -> Result<()> {
        let lane = ("flag".to_owned(), 1);
        let inputs = [(7, lane.clone()), (8, lane.clone())];
        let stored = BTreeMap::from([(7, 1_000), (8, 2_000)]);
        let commits = BTreeMap::from([(lane, vec![(6, 1_500), (7, 4_000), (9, 9_000)])]);
        let found = latencies(&inputs, &stored, &commits)?;
        assert_eq!(found, [3_000, 7_000].map(Duration::from_nanos));
        Ok(())
    }

    #[test]
    fn lanes_are_read_from_subjects() {
        assert_eq!(lane_of("pelton.demo.ckpt.by-day.1.3"), Some(("by-day".into(), 3)));
        assert_eq!(lane_of("pelton.demo.ckpt"), None);
    }
}
