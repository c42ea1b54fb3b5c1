//! What a run came to, measured from outside and by the same means for both sides.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use async_nats::{Subscriber, jetstream};
use bytes::Bytes;
use futures::StreamExt;
use pelton::commit::checkpoint::Checkpoint;
use pelton_tests::Server;
use time::OffsetDateTime;
use tokio::task::JoinHandle;

/// A side that shows no progress for so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// One of the two that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Functions.
    Native,
    /// Guests.
    Pelton,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Native, Self::Pelton];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Pelton => "pelton",
        }
    }
}

/// One run of one side.
pub struct Run {
    /// How many inputs it took.
    pub inputs: u64,
    /// From the beginning of reading to the last effect.
    pub time: time::Duration,
    /// The time that its process was on a processor meanwhile.
    pub cpu: Duration,
    /// What it committed.
    pub batches: Batches,
    /// The most memory that the host had resident, in bytes.
    pub peak: Option<u64>,
}

impl Run {
    /// Inputs a second.
    pub fn rate(&self) -> f64 {
        self.inputs as f64 / self.time.as_seconds_f64()
    }

    /// Microseconds of processor time for an input.
    pub fn cost(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.inputs as f64
    }
}

/// Batches with effects.
#[derive(Clone, Copy, Default)]
pub struct Batches {
    /// How many.
    pub count: u64,
    /// Their messages, checkpoints included.
    pub messages: u64,
}

/// Listens to the checkpoints as they are published. The last message of a batch is one, and says how many there are.
pub struct Watch(JoinHandle<Result<Batches>>);

impl Watch {
    /// Listens from now on until each of `lanes` lanes covers `last`.
    pub async fn start(server: &Server, app: &str, lanes: usize, last: u64) -> Result<Self> {
        let client = server.client().await?;
        let published = client.subscribe(format!("pelton.{app}.ckpt.>")).await?;
        client.flush().await?;
        Ok(Self(tokio::spawn(watch(published, lanes, last))))
    }

    /// What was committed, when all is covered.
    pub async fn finished(self) -> Result<Batches> {
        self.0.await?
    }
}

async fn watch(mut published: Subscriber, lanes: usize, last: u64) -> Result<Batches> {
    let (mut batches, mut covered, mut checkpoints) = (Batches::default(), BTreeMap::new(), 0);
    while covered.len() < lanes || covered.values().any(|covered| *covered < last) {
        let message = tokio::time::timeout(PATIENCE, published.next()).await.context("no progress")?;
        let message = message.context("the subscription has ended")?;
        let checkpoint: Checkpoint = serde_json::from_slice(&message.payload)?;
        checkpoints += 1;
        let headers = message.headers.unwrap_or_default();
        if headers.get("Nats-Batch-Commit").is_some() {
            let messages = headers.get("Nats-Batch-Sequence").context("a batch without sequence")?;
            let messages: u64 = messages.as_str().parse()?;
            // Neither those that begin an ownership nor those by which idle lanes advance.
            if messages > checkpoints && checkpoint.covered.0 > 0 {
                batches.count += 1;
                batches.messages += messages;
            }
            checkpoints = 0;
        }
        covered.insert(message.subject, checkpoint.covered.0);
    }
    Ok(batches)
}

/// The time that a process has been on a processor, as Linux counts it: in ticks of 10 ms, in user mode and in its own.
pub fn cpu(process: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in parentheses, may hold spaces.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(Duration::from_millis(10 * ticks))
}

/// When the server stored the last event or view write of `app`.
pub async fn last_effect(server: &Server, app: &str) -> Result<OffsetDateTime> {
    let stream = jetstream::new(server.client().await?).get_stream_no_info(format!("KV_{app}")).await?;
    let mut last = None;
    for filter in [format!("$KV.{app}.>"), format!("pelton.{app}.events.>")] {
        last = last.max(last_on(&stream, &filter).await?);
    }
    last.context("no effects")
}

async fn last_on<T>(stream: &Stream<T>, filter: &str) -> Result<Option<OffsetDateTime>> {
    match stream.get_last_raw_message_by_subject(filter).await {
        Ok(message) => Ok(Some(message.time)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a run left behind.
pub struct Left {
    /// All values of views, by their subjects without the app.
    pub views: BTreeMap<String, Bytes>,
    /// How many events were emitted.
    pub events: u64,
}

/// Reads what `app` left behind.
pub async fn left(context: &jetstream::Context, app: &str) -> Result<Left> {
    let stream = context.get_stream(format!("KV_{app}")).await?;
    let (_, events) = consumer(&stream, format!("pelton.{app}.events.>"), DeliverPolicy::All).await?;
    let (values, count) = consumer(&stream, format!("$KV.{app}.*.1.>"), DeliverPolicy::LastPerSubject).await?;
    let mut views = BTreeMap::new();
    let mut messages = values.messages().await?;
    for _ in 0..count {
        let message = messages.next().await.context("the consumer has ended")?.map_err(|error| anyhow!(error))?;
        let key = message.subject.strip_prefix(&format!("$KV.{app}.")).unwrap_or_default().to_owned();
        views.insert(key, message.payload.clone());
    }
    Ok(Left { views, events })
}

/// A consumer, and how many messages it has to give.
async fn consumer(
    stream: &Stream,
    filter_subject: String,
    deliver_policy: DeliverPolicy,
) -> Result<(jetstream::consumer::Consumer<pull::Config>, u64)> {
    let config =
        pull::Config { filter_subject, deliver_policy, ack_policy: AckPolicy::None, ..pull::Config::default() };
    let consumer = stream.create_consumer(config).await?;
    let count = consumer.cached_info().num_pending;
    Ok((consumer, count))
}
