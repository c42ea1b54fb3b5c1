//! Inputs at steady rates, for the oracle and of the real data, whatever happens to the servers. What a stream holds in the end
//! is the truth of what was input, not what was sent here.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use async_nats::{
    Client,
    jetstream::{self, Context, message::PublishMessage, stream},
};
use chain::later;
use pelton_demo::retail;
use pelton_tests::oracle;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{fleet::NODES, journal::Journal, verdict::items};

/// Inputs for the oracle a second, and lines.
const ORACLE: u64 = 80;
const RETAIL: u64 = 30;
/// Publishes that wait for their answer at a time.
const IN_FLIGHT: usize = 200;
/// How long a server may take to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How long it is let be after an answer that is none.
const AGAIN: Duration = Duration::from_millis(50);
/// Every so many inputs one asks to be a dead letter first, and every so many for ever.
const LATER: u64 = 40;
const NEVER: u64 = 1_500;
const FOR_EVER: u64 = 1_000_000_000;

/// Makes the streams.
pub async fn streams(client: &Client) -> Result<()> {
    let context = jetstream::new(client.clone());
    for (name, subjects) in [("IN", "in.>"), (retail::STREAM, "retail.>")] {
        let config = stream::Config {
            name: name.into(),
            subjects: vec![subjects.into()],
            num_replicas: NODES,
            ..stream::Config::default()
        };
        context.create_stream(config).await?;
    }
    Ok(())
}

fn contexts(clients: &[Client]) -> Vec<Context> {
    let context = |client: &Client| {
        let mut context = jetstream::new(client.clone());
        context.set_timeout(ANSWER);
        context
    };
    clients.iter().map(context).collect()
}

/// Publishes inputs for the oracle until it is told to stop.
pub async fn oracle(clients: Vec<Client>, stop: watch::Receiver<bool>, journal: Arc<Journal>) -> Result<()> {
    let contexts = Arc::new(contexts(&clients));
    let mut pace = paced(ORACLE);
    let (mut sent, mut flying) = (BTreeMap::<String, u64>::new(), JoinSet::new());
    for number in 0.. {
        pace.tick().await;
        if *stop.borrow() {
            break;
        }
        let key = oracle::key(number);
        let of_key = sent.entry(key.clone()).or_default();
        let payload = match number {
            number if number % NEVER == NEVER - 1 => later(FOR_EVER, &format!("payload {number}")),
            // No other of its key that comes before it makes it good: none does until it is replayed.
            number if number % LATER == LATER - 1 => later(*of_key + 5, &format!("payload {number}")),
            number => format!("payload {number}"),
        };
        *of_key += 1;
        while flying.len() >= IN_FLIGHT {
            flying.join_next().await;
        }
        let (contexts, journal) = (contexts.clone(), journal.clone());
        flying.spawn(async move { publish(&contexts, number, &format!("in.{key}"), &payload, &journal).await });
    }
    while flying.join_next().await.is_some() {}
    Ok(())
}

/// Sends an input until a server says that it is stored, as a careful producer does that knows of no message ids: it may be
/// there more than once then.
async fn publish(contexts: &[Context], number: u64, subject: &str, payload: &str, journal: &Journal) {
    let first = usize::try_from(number).unwrap_or_default() % contexts.len().max(1);
    for context in contexts.iter().cycle().skip(first) {
        let stored = async {
            let answer = context.publish(subject.to_owned(), payload.to_owned().into()).await?;
            anyhow::Ok(answer.await?)
        };
        if matches!(timeout(2 * ANSWER, stored).await, Ok(Ok(_))) {
            return;
        }
        journal.count("publishes without a clear answer", 1);
        // A server that is cut off from the others says so at once.
        sleep(AGAIN).await;
    }
}

/// Publishes lines until it is told to stop, and begins again behind the last one. The stream holds each once, in order.
pub async fn lines(clients: Vec<Client>, stop: watch::Receiver<bool>) -> Result<()> {
    let items = items()?;
    let mut pace = paced(RETAIL);
    let (mut stored, contexts) = (0, contexts(&clients));
    let mut turn = contexts.iter().cycle();
    let mut context = turn.next().context("no server")?;
    loop {
        pace.tick().await;
        if *stop.borrow() {
            return Ok(());
        }
        let index = usize::try_from(stored)? % items.len();
        let message = retail::message(items.get(index).context("no lines")?)?.expected_last_sequence(stored);
        match timeout(2 * ANSWER, store(context, message)).await {
            Ok(Ok(sequence)) => stored = sequence,
            // It may be there or not. If it comes late, it is refused: another is behind it by then.
            _ => {
                context = turn.next().context("no server")?;
                if let Ok(Ok(last)) = timeout(2 * ANSWER, last(context)).await {
                    stored = last;
                }
            }
        }
    }
}

async fn store(context: &Context, message: PublishMessage) -> Result<u64> {
    Ok(context.send_publish("retail.lines", message).await?.await?.sequence)
}

async fn last(context: &Context) -> Result<u64> {
    Ok(context.get_stream(retail::STREAM).await?.cached_info().state.last_sequence)
}

fn paced(a_second: u64) -> tokio::time::Interval {
    let mut pace = interval(Duration::from_micros(1_000_000 / a_second));
    // What could not be sent in time is not made up for: the machine may be busy.
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}
