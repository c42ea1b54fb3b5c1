//! Reads what Pelton stored, as anyone could: views with a plain key-value client, events with a plain consumer.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use async_nats::{
    Client,
    jetstream::{
        self,
        consumer::{DeliverPolicy, pull::OrderedConfig},
        kv::Store,
    },
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    app,
    figures::{Cancellation, Figures, Tally},
    money,
};

/// Values asked for at a time.
const AT_ONCE: usize = 64;

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
    for (day, value) in view(&bucket, "by-day").await? {
        figures
            .days
            .insert(day, parse::<Day>(&value)?.cancellations);
    }
    figures.remembered = view(&bucket, "cancelled").await?.into_keys().collect();
    for event in messages(client, "pelton.demo.events.>").await? {
        add(&mut figures, &event)?;
    }
    let mut dead = Vec::new();
    for message in messages(client, "pelton.demo.dlq.>").await? {
        let letter: DeadLetter = parse(&message.payload)?;
        figures
            .dead
            .insert((letter.sequence, letter.module.clone()));
        dead.push(letter);
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

fn add(figures: &mut Figures, event: &async_nats::Message) -> Result<()> {
    let kind = event
        .headers
        .as_ref()
        .and_then(|headers| headers.get("ce-type"));
    match kind.map(|kind| kind.as_str()) {
        Some("invoice.cancelled") => {
            let Cancelled {
                invoice,
                cancellation,
            } = parse(&event.payload)?;
            figures
                .cancelled
                .entry(invoice)
                .or_default()
                .push(cancellation);
        }
        Some("line.flagged") => {
            let Flagged { rule, invoice } = parse(&event.payload)?;
            *figures.flagged.entry((rule, invoice)).or_default() += 1;
        }
        other => anyhow::bail!("{} holds an event of type {other:?}", event.subject),
    }
    Ok(())
}

async fn tallies(bucket: &Store, name: &str) -> Result<BTreeMap<String, Tally>> {
    let tally = |(key, value): (String, Bytes)| {
        let Sums {
            lines,
            units,
            revenue,
            first,
            last,
        } = parse(&value)?;
        Ok((
            key,
            Tally {
                lines,
                units,
                revenue: money::parse(&revenue)?,
                first,
                last,
            },
        ))
    };
    view(bucket, name).await?.into_iter().map(tally).collect()
}

/// All keys and values of a view's live generation.
async fn view(bucket: &Store, name: &str) -> Result<BTreeMap<String, Bytes>> {
    let Some(generation) = bucket.get(name).await? else {
        return Ok(BTreeMap::new());
    };
    let prefix = format!("{name}.{}.", String::from_utf8(generation.to_vec())?);
    let keys: Vec<String> = bucket.keys().await?.try_collect().await?;
    let own = keys.into_iter().filter(|key| key.starts_with(&prefix));
    let values = stream::iter(own).map(async |key| {
        let value = bucket
            .get(&key)
            .await?
            .with_context(|| format!("{key} has no value"))?;
        Ok((decode(&key[prefix.len()..])?, value))
    });
    values.buffer_unordered(AT_ONCE).try_collect().await
}

/// Undoes the encoding of keys: `United=20Kingdom` is `United Kingdom`.
fn decode(encoded: &str) -> Result<String> {
    let mut parts = encoded.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part
            .split_at_checked(2)
            .with_context(|| format!("{encoded:?} is no encoded key"))?;
        bytes.push(u8::from_str_radix(code, 16)?);
        bytes.extend(rest.as_bytes());
    }
    Ok(String::from_utf8(bytes)?)
}

/// All messages of the app stream under `subject`.
async fn messages(client: &Client, subject: &str) -> Result<Vec<async_nats::Message>> {
    let stream = jetstream::new(client.clone())
        .get_stream(app::STREAM)
        .await?;
    let config = OrderedConfig {
        filter_subject: subject.into(),
        deliver_policy: DeliverPolicy::All,
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await?;
    let count = usize::try_from(consumer.cached_info().num_pending)?;
    let messages = consumer.messages().await?.take(count);
    Ok(messages
        .map_ok(|message| message.split().0)
        .try_collect()
        .await?)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .with_context(|| format!("cannot read {:?}", String::from_utf8_lossy(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded() -> Result<()> {
        assert_eq!(decode("United=20Kingdom")?, "United Kingdom");
        assert_eq!(decode("17850=2E0")?, "17850.0");
        assert_eq!(decode("=C3=A9t=C3=A9")?, "été");
        assert!(decode("=2").is_err());
        Ok(())
    }
}
