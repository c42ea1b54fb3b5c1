//! Follows the app stream while it is written, and the inputs, whatever happens to the servers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use async_nats::{
    Client,
    jetstream::{
        self,
        consumer::{DeliverPolicy, pull::OrderedConfig},
    },
};
use futures::StreamExt;
use tokio::time::{sleep, timeout};

use crate::{history::History, journal::Stamp};

/// After so long without a checkpoint another server is asked: lanes without inputs write one each second.
const SILENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(200);

/// Where each module's inputs are: the stream, and the subject in it.
pub const MODULES: [(&str, &str, &str); 6] = [
    ("oracle", "IN", ">"),
    ("fold", "KV_demo", "pelton.demo.events.steps.>"),
    ("by-country", "RETAIL", ">"),
    ("by-customer", "RETAIL", ">"),
    ("flag", "RETAIL", ">"),
    ("by-day", "KV_demo", pelton_demo::app::CANCELLATIONS),
];

/// A history that is being written.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<History>>);

impl Shared {
    /// As far as it is written.
    pub fn look(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the app stream for ever, through one server after the other.
    pub async fn follow(self, clients: Vec<Client>) {
        for client in clients.iter().cycle() {
            // Why it ended does not matter: another server is asked where this one stopped.
            self.follow_on(client).await.ok();
            sleep(PAUSE).await;
        }
    }

    async fn follow_on(&self, client: &Client) -> Result<()> {
        let stream = jetstream::new(client.clone()).get_stream_no_info("KV_demo").await?;
        let config = OrderedConfig {
            filter_subjects: History::SUBJECTS.map(str::to_owned).to_vec(),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.look().last + 1 },
            ..OrderedConfig::default()
        };
        let consumer = timeout(SILENCE, stream.create_consumer(config)).await??;
        let mut messages = timeout(SILENCE, consumer.messages()).await??;
        loop {
            let message = timeout(SILENCE, messages.next()).await?.context("the stream of messages ended")??;
            let info = message.info().map_err(|error| anyhow!(error))?;
            let at: Stamp = info.published.unix_timestamp_nanos();
            self.look().take(info.stream_sequence, at, &message.subject, &message.payload)?;
        }
    }
}

/// The last input of each module, as its stream's leader knows it.
pub async fn last_inputs(client: &Client) -> Result<BTreeMap<&'static str, u64>> {
    let context = jetstream::new(client.clone());
    let mut last = BTreeMap::new();
    for (module, stream, subject) in MODULES {
        last.insert(module, last_on(&context, stream, subject).await?);
    }
    Ok(last)
}

async fn last_on(context: &jetstream::Context, stream: &str, subject: &str) -> Result<u64> {
    let stream = context.get_stream_no_info(stream).await?;
    match stream.get_last_raw_message_by_subject(subject).await {
        Ok(message) => Ok(message.sequence),
        Err(error) if error.kind() == jetstream::stream::LastRawMessageErrorKind::NoMessageFound => Ok(0),
        Err(error) => Err(error.into()),
    }
}
