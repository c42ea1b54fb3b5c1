//! What stands in streams, read back by means that are no part of Pelton.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use async_nats::{
    HeaderMap,
    jetstream::{
        self,
        consumer::{AckPolicy, DeliverPolicy, pull},
        stream::LastRawMessageErrorKind,
    },
};
use futures::StreamExt;
use serde::Deserialize;

use crate::App;

/// Whoever can reach the streams.
pub trait Streams {
    /// JetStream, for a client that is no part of Pelton.
    fn jetstream(&self) -> jetstream::Context;
}

impl<S> Streams for App<S> {
    fn jetstream(&self) -> jetstream::Context {
        self.jetstream()
    }
}

impl Streams for jetstream::Context {
    fn jetstream(&self) -> jetstream::Context {
        self.clone()
    }
}

/// A message of a stream.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Its position.
    pub sequence: u64,
    /// When it was stored, in nanoseconds since 1970 by the server's clock.
    pub at: i128,
    /// Its subject.
    pub subject: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its payload.
    pub payload: bytes::Bytes,
}

impl Stored {
    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.as_str())
    }

    /// The last token of the subject: the encoded key of an event.
    pub fn key(&self) -> &str {
        self.subject.rsplit('.').next().unwrap_or_default()
    }

    /// The payload as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.payload).with_context(|| format!("no JSON on {}", self.subject))
    }
}

/// A lane's checkpoint, as the reference describes it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[allow(missing_docs, reason = "as in DESIGN: fields of the stored JSON")]
pub struct Checkpoint {
    pub format: u32,
    pub epoch: u64,
    pub position: u64,
    pub covered: u64,
    pub hash: Option<String>,
    pub stream: String,
    pub created: String,
    pub takeovers: u32,
    pub owner: Option<String>,
}

/// All messages of `stream` on `filter`, in order.
pub async fn messages(app: &impl Streams, stream: &str, filter: &str) -> Result<Vec<Stored>> {
    read(app, stream, filter, DeliverPolicy::All).await
}

/// The last message on each subject of `stream` that passes `filter`, in order.
pub async fn latest(app: &impl Streams, stream: &str, filter: &str) -> Result<Vec<Stored>> {
    read(app, stream, filter, DeliverPolicy::LastPerSubject).await
}

async fn read(app: &impl Streams, stream: &str, filter: &str, deliver_policy: DeliverPolicy) -> Result<Vec<Stored>> {
    let stream = app.jetstream().get_stream(stream).await?;
    let config = pull::Config {
        deliver_policy,
        ack_policy: AckPolicy::None,
        filter_subject: filter.to_owned(),
        memory_storage: true,
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await?;
    let mut left = consumer.cached_info().num_pending;
    let mut all = Vec::new();
    while left > 0 {
        let mut batch = consumer.fetch().max_messages(1_000).messages().await?;
        while let Some(message) = batch.next().await {
            let message = message.map_err(|error| anyhow::anyhow!(error))?;
            let info = message.info().map_err(|error| anyhow::anyhow!(error))?;
            left = info.pending;
            all.push(Stored {
                sequence: info.stream_sequence,
                at: info.published.unix_timestamp_nanos(),
                subject: message.subject.to_string(),
                headers: message.headers.clone().unwrap_or_default(),
                payload: message.payload.clone(),
            });
        }
    }
    Ok(all)
}

/// The events of a category, in order.
pub async fn events(app: &impl Streams, category: &str) -> Result<Vec<Stored>> {
    messages(app, "KV_demo", &format!("pelton.demo.events.{category}.>")).await
}

/// What operators did, in order.
pub async fn audit(app: &impl Streams) -> Result<Vec<serde_json::Value>> {
    messages(app, "KV_demo", "pelton.demo.audit").await?.iter().map(Stored::json).collect()
}

/// The dead letters of a module that are there, by position in its input.
pub async fn dead_letters(app: &impl Streams, module: &str) -> Result<BTreeMap<u64, serde_json::Value>> {
    let letters = messages(app, "KV_demo", &format!("pelton.demo.dlq.{module}.>")).await?;
    let there = letters.iter().filter(|letter| letter.header("KV-Operation").is_empty());
    there.map(|letter| Ok((letter.key().parse()?, letter.json()?))).collect()
}

/// The last message of the app stream on `subject`, from the leader.
pub async fn last(app: &impl Streams, subject: &str) -> Result<Option<Stored>> {
    let stream = app.jetstream().get_stream_no_info("KV_demo").await?;
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(Some(Stored {
            sequence: message.sequence,
            at: message.time.unix_timestamp_nanos(),
            subject: message.subject.to_string(),
            headers: message.headers,
            payload: message.payload,
        })),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The checkpoints of a module's lanes, in their order.
pub async fn checkpoints(app: &impl Streams, module: &str, lanes: u16) -> Result<Vec<Checkpoint>> {
    let mut checkpoints = Vec::new();
    for lane in 0..lanes {
        if let Some(stored) = last(app, &format!("pelton.demo.ckpt.{module}.1.{lane}")).await? {
            checkpoints.push(serde_json::from_slice(&stored.payload)?);
        }
    }
    Ok(checkpoints)
}
