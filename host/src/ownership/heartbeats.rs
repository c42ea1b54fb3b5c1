//! Tells the other hosts that this one lives, and hears of them: keys with a time to live in the hosts' bucket.

use std::fmt;
use std::time::{Duration, Instant};

use async_nats::client::RequestErrorKind;
use async_nats::jetstream::{self, kv};
use async_nats::{Client, HeaderMap, Request, Subscriber};
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::{Heartbeat, HostId, Rhythm};
use crate::event::{Mark, Message, Sequence};
use crate::host::Connections;
use crate::source::reader::{self, Item};
use crate::source::{self, InputStream};
use crate::subject::Subjects;

/// How long a host may take to say that it is there.
const ASKED: Duration = Duration::from_secs(1);
/// What is heard and not yet taken in.
const HEARD: usize = 64;
/// Keys of heartbeats, in the bucket.
const KEYS: &str = "hosts.";

/// Why this host cannot tell the others that it lives, or hear of them.
#[derive(Debug, thiserror::Error)]
#[error("the hosts' bucket {bucket}: {cause}")]
pub struct Error {
    /// The bucket.
    pub bucket: String,
    /// What went wrong with it.
    pub cause: String,
}

/// What is heard of other hosts.
#[derive(Debug)]
pub enum Heard {
    /// One lives.
    Beat(Heartbeat),
    /// One has ended, or was silent for too long.
    Gone(HostId),
    /// This host could not tell for so long that it lives that the others took it to be dead, and tells it again. What it
    /// knows of them is as old.
    Back,
}

/// Heartbeats in both directions.
pub struct Heartbeats {
    told: watch::Sender<Heartbeat>,
    heard: mpsc::Receiver<Heard>,
    last: watch::Receiver<Instant>,
    rhythm: Rhythm,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Heartbeats {
    /// Tells that this host lives, as `own` says, and gives the others that do.
    pub async fn join(
        connections: &Connections,
        subjects: &Subjects,
        rhythm: Rhythm,
        own: Heartbeat,
    ) -> Result<(Self, Vec<Heartbeat>), Error> {
        let (client, context, name) = (&connections.read, connections.jetstream(), subjects.hosts_bucket());
        let failed = |cause: &dyn fmt::Display| Error { bucket: name.clone(), cause: cause.to_string() };
        let store = context.get_key_value(&name).await.map_err(|error| failed(&error))?;
        let me = own.host;
        let questions = client.subscribe(subjects.host(&me.to_string())).await.map_err(|error| failed(&error))?;
        let bucket = Bucket { store, context, api: connections.api_prefix().to_owned(), rhythm };
        let begun = Instant::now();
        bucket.put(&own).await.map_err(|error| failed(&error))?;
        let mut reading = bucket.read().await.map_err(|error| failed(&error))?;
        let (mut alive, mut left) = (Vec::new(), None);
        while left != Some(0) {
            let item = reading.recv().await.ok_or_else(|| failed(&"its reader ended"))?;
            match item.map_err(|error| failed(&error))? {
                Item::Pending(pending) => left = Some(pending),
                Item::Moved(_) => {}
                Item::Message(read) => {
                    left = Some(read.pending);
                    match heard(&read.message) {
                        Some(Heard::Beat(beat)) => alive.push(beat),
                        Some(Heard::Gone(host)) => alive.retain(|beat: &Heartbeat| beat.host != host),
                        Some(Heard::Back) | None => {}
                    }
                }
            }
        }
        alive.retain(|beat| beat.host != me);
        let alive = answering(client, subjects, alive).await;
        let (told, telling) = watch::channel(own);
        let (sender, heard) = mpsc::channel(HEARD);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(answer(client.clone(), questions, stop.clone()));
        let (lasts, last) = watch::channel(begun);
        tasks.spawn(beat(bucket.clone(), telling, sender.clone(), lasts, stop.clone()));
        tasks.spawn(hear(bucket, reading, sender, stop.clone()));
        Ok((Self { told, heard, last, rhythm, stop, tasks }, alive))
    }

    /// Tells this from now on, at once if it is new.
    pub fn tell(&self, own: Heartbeat) {
        self.told.send_if_modified(|told| {
            let new = *told != own;
            *told = own;
            new
        });
    }

    /// What is heard next.
    pub async fn next(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }

    /// Tells that this host has ended.
    pub async fn leave(self) {
        let Self { heard, stop, tasks, .. } = self;
        // Nobody hears any more.
        drop(heard);
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }

    /// What else was heard already.
    pub fn try_next(&mut self) -> Option<Heard> {
        self.heard.try_recv().ok()
    }

    /// Whether the others were told in time that this host lives.
    pub fn is_told(&self) -> bool {
        self.last.borrow().elapsed() < self.rhythm.ttl
    }
}

/// The bucket of heartbeats.
#[derive(Clone)]
struct Bucket {
    store: kv::Store,
    context: jetstream::Context,
    api: String,
    rhythm: Rhythm,
}

type Reading = mpsc::Receiver<Result<Item, source::Error>>;

impl Bucket {
    async fn put(&self, beat: &Heartbeat) -> Result<(), String> {
        let payload = serde_json::to_vec(beat).map_err(|error| error.to_string())?;
        self.write(beat.host, HeaderMap::new(), payload.into()).await
    }

    async fn delete(&self, host: HostId) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        headers.insert("KV-Operation", "DEL");
        self.write(host, headers, Bytes::new()).await
    }

    /// Writes a key that the server forgets after its time: the client's own `put` knows no such time.
    async fn write(&self, host: HostId, mut headers: HeaderMap, payload: Bytes) -> Result<(), String> {
        let Self { store, context, api, rhythm } = self;
        headers.insert("Nats-TTL", format!("{}s", rhythm.ttl.as_millis().div_ceil(1_000).max(1)));
        let api = if store.use_jetstream_prefix { format!("{api}.") } else { String::new() };
        let subject = format!("{api}{}{KEYS}{host}", store.put_prefix.as_ref().unwrap_or(&store.prefix));
        let stored =
            context.publish_with_headers(subject, headers, payload).await.map_err(|error| error.to_string())?;
        stored.await.map(drop).map_err(|error| error.to_string())
    }

    /// All heartbeats that there are, and those to come.
    async fn read(&self) -> Result<Reading, source::Error> {
        let stream = InputStream::open(&self.context, &self.store.stream_name).await?;
        let begin = Mark { sequence: Sequence(0), fingerprint: None };
        Ok(reader::spawn(stream, vec![format!("{}{KEYS}*", self.store.prefix)], begin))
    }
}

/// Whether a host is there, or may be: false only if nobody is at the other end.
pub async fn is_there(client: &Client, subjects: &Subjects, host: HostId) -> bool {
    let request = Request::new().timeout(Some(ASKED));
    let answer = client.send_request(subjects.host(&host.to_string()), request).await;
    !answer.is_err_and(|error| error.kind() == RequestErrorKind::NoResponders)
}

/// Those of `alive` that do not have nobody at the other end: one that was killed has lost its connection, and its last
/// heartbeat need not be waited out. One that does not answer in time may be busy.
async fn answering(client: &Client, subjects: &Subjects, alive: Vec<Heartbeat>) -> Vec<Heartbeat> {
    let each = alive.into_iter().map(async |beat| {
        let is_there = is_there(client, subjects, beat.host).await;
        if !is_there {
            info!(host = beat.name, "a host has ended without a word");
        }
        is_there.then_some(beat)
    });
    futures::future::join_all(each).await.into_iter().flatten().collect()
}

/// Says that this host is there to whoever asks.
async fn answer(client: Client, mut questions: Subscriber, stop: CancellationToken) {
    while let Some(Some(question)) = stop.run_until_cancelled(questions.next()).await {
        let Some(reply) = question.reply else { continue };
        if let Err(error) = client.publish(reply, Bytes::new()).await {
            debug!(%error, "another host could not be answered");
        }
    }
}

/// Tells at intervals that this host lives, and at once when there is news of it; at the end, that it has ended.
async fn beat(
    bucket: Bucket,
    mut telling: watch::Receiver<Heartbeat>,
    heard: mpsc::Sender<Heard>,
    last: watch::Sender<Instant>,
    stop: CancellationToken,
) {
    let mut tick = tokio::time::interval(bucket.rhythm.every());
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            changed = telling.changed() => if changed.is_err() { break },
            () = stop.cancelled() => break,
        }
        // It counts from when the server takes it, which is no sooner than this.
        let (own, now) = (telling.borrow_and_update().clone(), Instant::now());
        let stored = bucket.put(&own).await;
        let was_missed = last.borrow().elapsed() > bucket.rhythm.ttl;
        match stored {
            // While this is not taken in it is said again: the next heartbeat must not wait for it.
            Ok(()) if was_missed && heard.try_send(Heard::Back).is_err() => {}
            Ok(()) => drop(last.send_replace(now)),
            Err(error) => warn!(error, "the other hosts could not be told that this one lives"),
        }
    }
    let own = telling.borrow().host;
    if let Err(error) = bucket.delete(own).await {
        warn!(
            error,
            "the other hosts could not be told that this one ends: they take over when its heartbeat has expired"
        );
    }
}

/// Hands on what is heard. When reading fails it begins anew.
async fn hear(bucket: Bucket, mut reading: Reading, heard: mpsc::Sender<Heard>, stop: CancellationToken) {
    let all = async {
        loop {
            match reading.recv().await {
                Some(Ok(Item::Message(read))) => {
                    if let Some(said) = self::heard(&read.message)
                        && heard.send(said).await.is_err()
                    {
                        return;
                    }
                    continue;
                }
                Some(Ok(Item::Pending(_) | Item::Moved(_))) => continue,
                Some(Err(error)) => warn!(%error, "other hosts are not heard"),
                None => warn!("other hosts are not heard: the reader ended"),
            }
            loop {
                tokio::time::sleep(bucket.rhythm.every()).await;
                match bucket.read().await {
                    Ok(anew) => break reading = anew,
                    Err(error) => warn!(%error, "other hosts are not heard"),
                }
            }
        }
    };
    stop.run_until_cancelled(all).await;
}

/// What a message of the bucket says; none if this version does not understand it.
fn heard(message: &Message) -> Option<Heard> {
    let host = message.subject.rsplit('.').next()?;
    let host = serde_json::from_value(host.into()).ok()?;
    let is_gone = message.headers.iter().any(|(name, _)| name == "KV-Operation" || name == "Nats-Marker-Reason");
    if is_gone {
        return Some(Heard::Gone(host));
    }
    match Heartbeat::read(&message.payload) {
        Ok(beat) => Some(Heard::Beat(beat)),
        Err(error) => {
            debug!(%host, %error, "the heartbeat of another host cannot be read");
            None
        }
    }
}
