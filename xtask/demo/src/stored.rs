//! Reads what Pelton stored, as anyone could: views with a plain key-value client, events with a plain consumer.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use async_nats::{
    Client,
    jetstream::{self, Message, consumer::DeliverPolicy, kv::Store},
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    app,
    figures::{Cancellation, Figures, Tally},
    money, read,
};

/// A dead letter, as far as the demo shows it.
#[derive(Debug, Deserialize)]
pub struct DeadLetter {
    pub module: String,
    pub sequence: u64,
    pub cause: Cause,
}

/// Why an input could not be processed.
#[derive(Debug, Deserialize)]
pub struct Cause {
    pub kind: String,
    #[serde(default)]
    pub message: String,
}

/// Reads all figures, and the dead letters.
pub async fn read(client: &Client) -> Result<(Figures, Vec<DeadLetter>)> {
    let bucket = jetstream::new(client.clone()).get_key_value("demo").await?;
    let mut figures = Figures {
        countries: tallies(&bucket, "by-country").await?,
        customers: tallies(&bucket, "by-customer").await?,
        ..Figures::default()
    };
    for (day, value) in read::view(&bucket, "by-day").await? {
        figures.days.insert(day, parse::<Day>(&value)?.cancellations);
    }
    figures.remembered = read::view(&bucket, "cancelled").await?.into_keys().collect();
    for category in app::CATEGORIES {
        for event in all(client, &format!("pelton.demo.events.{category}.>")).await? {
            add(&mut figures, &event)?;
        }
    }
    let mut dead = Vec::new();
    for module in app::MODULES.iter().map(|module| module.name).chain([app::BY_DAY]) {
        for message in all(client, &format!("pelton.demo.dlq.{module}.>")).await? {
            let letter: DeadLetter = parse(&message.payload)?;
            figures.dead.insert((letter.sequence, letter.module.clone()));
            dead.push(letter);
        }
    }
    Ok((figures, dead))
}

#[derive(Deserialize)]
struct Day {
    cancellations: u64,
}

#[derive(Deserialize)]
struct Sums {
    lines: u64,
    units: i64,
    revenue: String,
    first: String,
    last: String,
}

#[derive(Deserialize)]
struct Flagged {
    rule: String,
    invoice: String,
}

#[derive(Deserialize)]
struct Cancelled {
    invoice: String,
    #[serde(flatten)]
    cancellation: Cancellation,
}

fn add(figures: &mut Figures, event: &Message) -> Result<()> {
    let kind = event.headers.as_ref().and_then(|headers| headers.get("ce-type"));
    match kind.map(|kind| kind.as_str()) {
        Some("invoice.cancelled") => {
            let Cancelled { invoice, cancellation } = parse(&event.payload)?;
            figures.cancelled.entry(invoice).or_default().push(cancellation);
        }
        Some("line.flagged") => {
            let Flagged { rule, invoice } = parse(&event.payload)?;
            *figures.flagged.entry((rule, invoice)).or_default() += 1;
        }
        other => bail!("{} holds an event of type {other:?}", event.subject),
    }
    Ok(())
}

async fn tallies(bucket: &Store, name: &str) -> Result<BTreeMap<String, Tally>> {
    let tally = |(key, value): (String, Bytes)| {
        let Sums { lines, units, revenue, first, last } = parse(&value)?;
        Ok((key, Tally { lines, units, revenue_millionths: money::parse(&revenue)?, first, last }))
    };
    read::view(bucket, name).await?.into_iter().map(tally).collect()
}

/// All messages of the app stream under `subject`.
async fn all(client: &Client, subject: &str) -> Result<Vec<Message>> {
    let (messages, count) = read::messages(client, app::STREAM, subject, DeliverPolicy::All).await?;
    Ok(messages.take(count).try_collect().await?)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).with_context(|| format!("cannot read {:?}", String::from_utf8_lossy(bytes)))
}
