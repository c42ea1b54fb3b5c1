//! Reads a stream in order from a position on. When the connection or the consumer is lost, or a message is missing, it
//! begins anew behind the last message that it gave, if the stream is still the same. One that is asked to tells what was
//! removed before it could read it, and how far there is nothing for it: [`look`].

mod look;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::Message as Received;
use async_nats::jetstream::consumer::{Consumer, DeliverPolicy, pull};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use self::look::Doubts;
use super::{Error, InputStream, message_received};
use crate::event::{Gap, Mark, Message, Sequence};
use crate::failpoint;
use crate::policy::backoff;

/// A message, and how many more stand behind it.
#[derive(Debug)]
pub struct Read {
    /// The message.
    pub message: Arc<Message>,
    /// Messages of the same filter that the stream held behind it, when it was sent.
    pub pending: u64,
}

/// Messages asked for at once, which bounds what waits unread.
const CREDIT: usize = 1_000;
/// Bytes asked for at once; never less than two of the largest messages that the server takes.
const CREDIT_BYTES: usize = 4 << 20;
/// The most bytes that are asked for at once, after nothing came: two of the largest messages that any server takes.
const MOST_BYTES: usize = 128 << 20;
/// How long nothing may come though messages are there. A server sends none that is larger than what was asked for, nor says
/// so in a way that the client tells; and one that takes smaller messages by now may hold larger ones.
const STALLED: Duration = Duration::from_secs(3);
/// How often the server says that it is there, while it has nothing to send.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long one request for messages stands.
const EXPIRES: Duration = Duration::from_secs(10);
/// Messages read ahead of whoever takes them.
const AHEAD: usize = 64;
/// How long nothing must have come until a reader looks around.
const IDLE: Duration = Duration::from_secs(1);

/// Starts a task that reads `stream` behind `after`. It ends when the receiver is dropped, or with an error when the
/// stream is not what it was. The first value tells how many messages are there to be read.
pub fn spawn(stream: InputStream, filters: Vec<String>, after: Mark) -> mpsc::Receiver<Result<Item, Error>> {
    start(stream, filters, after, false)
}

/// The same, and the task tells where the reader moved without a message.
pub fn spawn_telling(stream: InputStream, filters: Vec<String>, after: Mark) -> mpsc::Receiver<Result<Item, Error>> {
    start(stream, filters, after, true)
}

fn start(stream: InputStream, filters: Vec<String>, at: Mark, tells: bool) -> mpsc::Receiver<Result<Item, Error>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let created = stream.created();
    let credit = CREDIT_BYTES.max(2 * stream.largest_message());
    let doubts = Doubts::default();
    let reader = Reader { stream, created, filters, credit, at, last: None, tells, doubts, sender, tries: 0 };
    tokio::spawn(reader.run());
    receiver
}

/// What a reader gives.
#[derive(Debug)]
pub enum Item {
    /// A message.
    Message(Read),
    /// A new beginning: so many messages stand behind the last one given.
    Pending(u64),
    /// The reader is further, without a message.
    Moved(Moved),
}

/// How a reader moved without a message.
#[derive(Clone, Copy, Debug)]
pub enum Moved {
    /// Up to here there is nothing for its filters.
    Passed(Mark),
    /// These were removed before it read them.
    Gap(Gap),
}

struct Reader {
    stream: InputStream,
    created: String,
    filters: Vec<String>,
    /// Bytes asked for at once.
    credit: usize,
    at: Mark,
    last: Option<Arc<Message>>,
    /// Whether it tells where it moved without a message.
    tells: bool,
    doubts: Doubts,
    sender: mpsc::Sender<Result<Item, Error>>,
    tries: u32,
}

impl Reader {
    async fn run(mut self) {
        while !self.sender.is_closed() {
            match self.read().await {
                Ok(()) => {}
                Err(error) if error.is_passing() => {
                    self.tries += 1;
                    warn!(stream = self.stream.name(), %error, "reading is interrupted; trying again");
                    tokio::time::sleep(backoff(self.at.sequence, self.tries)).await;
                }
                Err(error) => {
                    self.sender.send(Err(error)).await.ok();
                    return;
                }
            }
        }
    }

    /// Reads until something breaks or nobody listens any more.
    async fn read(&mut self) -> Result<(), Error> {
        if let Some(last) = self.last.take() {
            self.at = Mark { sequence: last.sequence, fingerprint: Some(last.fingerprint()) };
        }
        let head = self.stream.verify(&self.created, self.at).await?;
        if let Some(gap) = head.gap_behind(self.at.sequence) {
            self.lacks(gap).await;
        }
        let start = DeliverPolicy::ByStartSequence { start_sequence: self.at.sequence.next().0 };
        let consumer = self.stream.consumer(start, &self.filters).await?;
        let pending = consumer.cached_info().num_pending;
        let name = consumer.cached_info().name.clone();
        let messages = consumer
            .stream()
            .max_messages_per_batch(CREDIT)
            .max_bytes_per_batch(self.credit)
            .heartbeat(HEARTBEAT)
            .expires(EXPIRES)
            .messages()
            .await
            .map_err(|e| super::api(self.stream.name(), &e))?;
        if self.sender.send(Ok(Item::Pending(pending))).await.is_ok() {
            self.forward(&consumer, messages, pending).await;
        }
        // A consumer that is not used is removed by the server after a while; this only does it sooner.
        self.stream.stream.delete_consumer(&name).await.ok();
        Ok(())
    }

    async fn forward(&mut self, consumer: &Consumer<pull::Config>, mut messages: pull::Stream, mut pending: u64) {
        let (mut expected, mut came) = (1, false);
        let looks = self.tells && self.stream.tells_of_loss();
        let mut idle = tokio::time::interval_at(tokio::time::Instant::now() + IDLE, IDLE);
        idle.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.doubts.clear();
        let mut stalled = tokio::time::Instant::now() + STALLED;
        loop {
            let began = Instant::now();
            let next = tokio::select! {
                biased;
                next = messages.next() => next,
                _ = idle.tick(), if looks => {
                    self.doubts.waited(began.elapsed());
                    if !std::mem::take(&mut came) {
                        self.look(consumer, expected - 1).await;
                    }
                    continue;
                }
                () = self.sender.closed() => return,
                () = tokio::time::sleep_until(stalled), if pending > 0 => return self.ask_for_more(),
            };
            self.doubts.waited(began.elapsed());
            let read = match next {
                Some(Ok(received)) => read_of(received, expected),
                Some(Err(error)) => Err(error.to_string()),
                None => Err("the consumer has ended".to_owned()),
            };
            let read = match read {
                Ok(read) => read,
                Err(cause) => {
                    info!(stream = self.stream.name(), cause, "the reader begins anew");
                    return;
                }
            };
            failpoint::reach("reader", self.stream.name());
            if looks && let Err(error) = self.look_before(read.message.sequence).await {
                info!(stream = self.stream.name(), %error, "the reader begins anew");
                return;
            }
            (expected, came, pending) = (expected + 1, true, read.pending);
            self.doubts.read(read.message.payload.len());
            self.tries = 0;
            self.last = Some(read.message.clone());
            let began = Instant::now();
            if self.sender.send(Ok(Item::Message(read))).await.is_err() {
                return;
            }
            self.doubts.waited(began.elapsed());
            stalled = tokio::time::Instant::now() + STALLED;
        }
    }

    /// The next message may be larger than what was asked for.
    fn ask_for_more(&mut self) {
        self.credit = self.credit.saturating_mul(4).min(MOST_BYTES);
        info!(stream = self.stream.name(), bytes = self.credit, "messages are there and none comes: more is asked for");
    }
}

/// Takes a message over, if it is the one that the consumer sends next.
fn read_of(received: Received, expected: u64) -> Result<Read, String> {
    let info = received.info().map_err(|e| e.to_string())?;
    if info.consumer_sequence != expected {
        return Err(format!("message {expected} of the consumer is missing"));
    }
    let (sequence, stored, pending) = (Sequence(info.stream_sequence), info.published, info.pending);
    let message = message_received(received.message, sequence, stored);
    Ok(Read { message: Arc::new(message), pending })
}

impl Error {
    /// Whether trying again may help.
    fn is_passing(&self) -> bool {
        match self {
            Self::Api { .. } | Self::Missing { .. } | Self::Unreadable(_) => true,
            Self::Retention { .. }
            | Self::Recreated { .. }
            | Self::EndsBelow { .. }
            | Self::Differs { .. }
            | Self::Lacks { .. }
            | Self::Failed { .. } => false,
        }
    }
}
