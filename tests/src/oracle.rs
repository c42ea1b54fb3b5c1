//! The oracle: inputs of which each leaves its mark, and whether what stands in the streams is what they must have caused.

pub mod judge;
pub mod positions;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, anyhow, ensure};
use async_nats::jetstream::Context;
use chain::Link;
use time::format_description::well_known::Rfc3339;
use xxhash_rust::xxh64::xxh64;

use self::judge::{Found, Seen, judge};
use self::positions::lane_of;
use crate::{
    App, LONG, SOON, eventually,
    stored::{self, Streams},
};

/// Lanes of the module `oracle`.
pub const LANES: u16 = 16;
/// Lanes of the module `fold`.
pub const FOLD_LANES: u16 = 2;
/// Keys of the load.
const KEYS: u64 = 40;

/// A handler on the stream `IN`, and a projector on what it emits.
pub const MODULES: &str = r#"
[modules.oracle]
plugin = "oracle.wasm"
input = { stream = "IN" }
key = { token = 2 }
lanes = 16
views = ["chain"]
emits = ["steps"]
[modules.fold]
plugin = "fold.wasm"
input = { events = "steps" }
key = { token = 5 }
lanes = 2
views = ["fold"]
"#;

/// The key of the input that is published as the `number`th.
pub fn key(number: u64) -> String {
    format!("k{}", xxh64(&number.to_le_bytes(), 7) % KEYS)
}

/// Publishes `count` inputs under `KEYS` keys.
pub async fn publish<S>(app: &App<S>, count: u64) -> Result<()> {
    publish_on(app.jetstream(), count).await
}

/// The same on a connection of its own.
pub async fn publish_on(context: Context, count: u64) -> Result<()> {
    let mut acks = Vec::new();
    for number in 0..count {
        let subject = format!("in.{}", key(number));
        acks.push(context.publish(subject, format!("payload {number}").into()).await?);
        if acks.len() == 500 || number + 1 == count {
            for ack in acks.drain(..) {
                ack.await?;
            }
        }
    }
    Ok(())
}

/// Checks that views and events are those of a fold over all inputs: each event once, in order, with its id.
pub async fn verify<S>(app: &App<S>) -> Result<Seen> {
    judge(&found(app).await?).map_err(|wrong| anyhow!(told(&wrong)))
}

/// What the streams hold, as a stock client reads them.
pub async fn found(app: &impl Streams) -> Result<Found> {
    let mut letters = BTreeSet::new();
    for module in ["oracle", "fold"] {
        let of_module = stored::dead_letters(app, module).await?;
        letters.extend(of_module.into_keys().map(|input| (module.to_owned(), input)));
    }
    Ok(Found {
        inputs: stored::messages(app, "IN", ">").await?,
        created: app.jetstream().get_stream("IN").await?.cached_info().created.format(&Rfc3339)?,
        events: stored::events(app, "steps").await?,
        chain: view(app, "chain").await?,
        fold: view(app, "fold").await?,
        letters,
    })
}

/// Violations in one text: the first ones, and how many there are.
pub fn told(wrong: &[String]) -> String {
    let first = wrong.iter().take(5).map(String::as_str).collect::<Vec<_>>().join("\n  ");
    format!("{} violations:\n  {first}", wrong.len())
}

/// All values of a view.
pub async fn view(app: &impl Streams, view: &str) -> Result<BTreeMap<String, Link>> {
    let values = stored::messages(app, "KV_demo", &format!("$KV.demo.{view}.1.>")).await?;
    values.iter().map(|value| Ok((value.key().to_owned(), serde_json::from_slice(&value.payload)?))).collect()
}

/// Waits until both modules have done all that is there.
pub async fn finished<S>(app: &App<S>) -> Result<()> {
    let last = app.jetstream().get_stream("IN").await?.cached_info().state.last_sequence;
    app.covered_within("oracle", LANES, last, LONG).await?;
    folded(app).await
}

/// Waits until the module `fold` has done all that `oracle` has emitted.
pub async fn folded<S>(app: &App<S>) -> Result<()> {
    let last = stored::latest(app, "KV_demo", "pelton.demo.events.steps.>").await?;
    let last = last.last().map_or(0, |event| event.sequence);
    app.covered_within("fold", FOLD_LANES, last, LONG).await
}

/// Checks that no lane's checkpoint is ahead of its effects, nor, since all of a batch is stored at once, behind them.
pub async fn positions_fit_effects<S>(app: &App<S>) -> Result<()> {
    let before = stored::checkpoints(app, "oracle", LANES).await?;
    let chains = view(app, "chain").await?;
    let events = stored::latest(app, "KV_demo", "pelton.demo.events.steps.>").await?;
    let after = stored::checkpoints(app, "oracle", LANES).await?;
    for ((lane, before), after) in (0..).zip(&before).zip(&after) {
        let of_lane = |key: &str| lane_of(key, LANES) == lane;
        let viewed = chains.iter().filter(|(key, _)| of_lane(key)).map(|(_, link)| link.sequence).max();
        let emitted = events.iter().rev().find(|event| of_lane(event.key())).and_then(judge::input_of);
        let (viewed, emitted) = (viewed.unwrap_or(0), emitted.unwrap_or(0));
        let fits = before.position <= viewed && viewed <= emitted && viewed <= after.position;
        ensure!(fits, "lane {lane}: {} <= {viewed} <= {emitted}, {}", before.position, after.position);
        ensure!(before.position <= before.covered, "lane {lane} claims less than it did: {before:?}");
    }
    Ok(())
}

/// The last position of the app stream; 0 before it is there.
pub async fn progress<S>(app: &App<S>) -> u64 {
    let stream = app.jetstream().get_stream("KV_demo").await;
    stream.map_or(0, |stream| stream.cached_info().state.last_sequence)
}

/// Waits until the app stream has come to `position`.
pub async fn reached<S>(app: &App<S>, position: u64) -> Result<()> {
    let what = format!("the app stream to come to {position}");
    let waited = eventually(&what, SOON, async || Ok((progress(app).await >= position).then_some(())));
    waited.await.with_context(|| app.log_end())
}
