//! What the guests `oracle` and `fold` must have caused, computed from the input alone, against what they did.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use async_nats::jetstream::Context;
use chain::Link;
use pelton_tests::{
    App, SOON, eventually,
    stored::{self, Stored},
};
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;
use xxhash_rust::xxh64::xxh64;

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

/// What an event must say: id, input, type, data.
type Event = (String, String, &'static str, Link);

/// Publishes `count` inputs under `KEYS` keys.
pub async fn publish<S>(app: &App<S>, count: u64) -> Result<()> {
    publish_on(app.jetstream(), count).await
}

/// The same on a connection of its own.
pub async fn publish_on(context: Context, count: u64) -> Result<()> {
    let mut acks = Vec::new();
    for number in 0..count {
        let subject = format!("in.k{}", xxh64(&number.to_le_bytes(), 7) % KEYS);
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
pub async fn verify<S>(app: &App<S>) -> Result<String> {
    let inputs = stored::messages(app, "IN", ">").await?;
    let created = app.jetstream().get_stream("IN").await?.cached_info().created.format(&Rfc3339)?;
    let mut chains = BTreeMap::<String, Link>::new();
    let mut events = BTreeMap::<String, Vec<Event>>::new();
    for input in &inputs {
        let link = follow(&mut chains, input);
        let of_key = events.entry(input.key().to_owned()).or_default();
        let kinds = ["step", "echo"].into_iter().take(if link.sequence.is_multiple_of(2) { 2 } else { 1 });
        for (index, kind) in kinds.enumerate() {
            let id = format!("pelton/demo/oracle/IN/{created}/{}/{index}", input.sequence);
            let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, id.as_bytes()).to_string();
            of_key.push((id, format!("IN:{}", input.sequence), kind, link.clone()));
        }
    }
    same(&view(app, "chain").await?, &chains).context("the view `chain` is no fold of the input")?;

    let emitted = stored::events(app, "steps").await?;
    let mut seen = BTreeMap::<String, Vec<Event>>::new();
    let mut fold = BTreeMap::new();
    for event in &emitted {
        follow(&mut fold, event);
        let kind = if event.header("ce-type") == "echo" { "echo" } else { "step" };
        let link = serde_json::from_slice(&event.payload)?;
        let event_of_key = (event.header("ce-id").into(), event.header("Pelton-Input").into(), kind, link);
        seen.entry(event.key().to_owned()).or_default().push(event_of_key);
    }
    for (key, expected) in &events {
        let found = seen.get(key).map(Vec::as_slice).unwrap_or_default();
        let differs = expected.iter().zip(found).position(|(expected, found)| expected != found);
        let (wanted, there) = (expected.len(), found.len());
        ensure!(differs.is_none() && wanted == there, "key {key}: {there} events of {wanted}, first wrong {differs:?}");
    }
    ensure!(seen.len() == events.len(), "events of unknown keys");
    same(&view(app, "fold").await?, &fold).context("the view `fold` is no fold of the events")?;
    Ok(format!("{} inputs, {} events, each once", inputs.len(), emitted.len()))
}

fn same(found: &BTreeMap<String, Link>, expected: &BTreeMap<String, Link>) -> Result<()> {
    let differ = || expected.iter().filter(|(key, link)| found.get(*key) != Some(link));
    if let Some((key, link)) = differ().next() {
        bail!("{} keys differ, first {key}: {:?} instead of {link:?}", differ().count(), found.get(key));
    }
    ensure!(found.len() == expected.len(), "{} keys instead of {}", found.len(), expected.len());
    Ok(())
}

fn follow(chains: &mut BTreeMap<String, Link>, message: &Stored) -> Link {
    let chain = chains.entry(message.key().to_owned()).or_default();
    *chain = chain.next(message.sequence, &message.payload);
    chain.clone()
}

/// All values of a view.
pub async fn view<S>(app: &App<S>, view: &str) -> Result<BTreeMap<String, Link>> {
    let values = stored::messages(app, "KV_demo", &format!("$KV.demo.{view}.1.>")).await?;
    values.iter().map(|value| Ok((value.key().to_owned(), serde_json::from_slice(&value.payload)?))).collect()
}

/// Waits until both modules have done all that is there.
pub async fn finished<S>(app: &App<S>) -> Result<()> {
    let last = app.jetstream().get_stream("IN").await?.cached_info().state.last_sequence;
    app.covered_within("oracle", LANES, last, pelton_tests::LONG).await?;
    folded(app).await
}

/// Waits until the module `fold` has done all that `oracle` has emitted.
pub async fn folded<S>(app: &App<S>) -> Result<()> {
    let last = stored::latest(app, "KV_demo", "pelton.demo.events.steps.>").await?;
    let last = last.last().map_or(0, |event| event.sequence);
    app.covered_within("fold", FOLD_LANES, last, pelton_tests::LONG).await
}

/// Checks that no lane's checkpoint is ahead of its effects, nor, since all of a batch is stored at once, behind them.
pub async fn positions_fit_effects(app: &App) -> Result<()> {
    let before = stored::checkpoints(app, "oracle", LANES).await?;
    let chains = view(app, "chain").await?;
    let events = stored::latest(app, "KV_demo", "pelton.demo.events.steps.>").await?;
    let after = stored::checkpoints(app, "oracle", LANES).await?;
    for lane in 0..LANES {
        let of_lane = |key: &str| xxh64(key.as_bytes(), 0) % u64::from(LANES) == u64::from(lane);
        let viewed = chains.iter().filter(|(key, _)| of_lane(key)).map(|(_, link)| link.sequence).max();
        let emitted = events.iter().rev().find(|event| of_lane(event.key()));
        let emitted = emitted.and_then(|event| event.header("Pelton-Input").strip_prefix("IN:")?.parse().ok());
        let lane = usize::from(lane);
        let (Some(before), Some(after)) = (before.get(lane), after.get(lane)) else { continue };
        let (viewed, emitted) = (viewed.unwrap_or(0), emitted.unwrap_or(0_u64));
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
