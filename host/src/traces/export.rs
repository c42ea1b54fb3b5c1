//! Sends spans to a collector, beside everything else: a bounded queue, batches by size and time. Nobody waits for it. What
//! does not fit, or is not taken after some tries, is dropped and counted.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::collector::{Collector, Refusal};
use super::otlp::{self, Resource};
use super::span::Span;
use crate::config::Export;
use crate::event::Sequence;
use crate::metrics;
use crate::policy::backoff;

/// Inputs whose spans wait: some MiB.
const QUEUE: usize = 2_048;
/// Spans of a batch, but for those of one input.
const BATCH: usize = 512;
/// How long spans wait for others to go with.
const LINGER: Duration = Duration::from_secs(1);
/// How often a batch is tried: for about three seconds, during which the queue takes what comes.
const TRIES: u32 = 6;
/// The longest pause that a collector may ask for.
const LONGEST: Duration = Duration::from_secs(30);
/// How long a host that ends waits for the last spans to be taken.
const LAST: Duration = Duration::from_secs(3);

/// Where spans are handed in. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Spans {
    queue: mpsc::Sender<Vec<Span>>,
    counts: metrics::Spans,
}

impl Spans {
    /// Hands in the spans of one input. If there is no room, they are dropped and counted.
    pub fn send(&self, spans: Vec<Span>) {
        if let Err(TrySendError::Full(spans) | TrySendError::Closed(spans)) = self.queue.try_send(spans) {
            self.counts.dropped.inc_by(spans.len() as u64);
        }
    }
}

/// What exports, at work.
#[derive(Debug)]
pub struct Exporter {
    task: JoinHandle<()>,
    /// Ends all waiting for a collector that is away.
    last: CancellationToken,
}

impl Exporter {
    /// Starts to export as `export` says. It ends when all [`Spans`] are gone.
    ///
    /// # Errors
    /// When the collector cannot be spoken to as the config says.
    pub fn start(export: &Export, counts: &metrics::Spans) -> Result<(Spans, Self), String> {
        let collector = Collector::of(export)?;
        info!(endpoint = %export.endpoint, "exporting traces");
        let (queue, received) = mpsc::channel(QUEUE);
        let (counts, last) = (counts.clone(), CancellationToken::new());
        let resource = Resource::of(&export.resource);
        let work = Work { collector, resource, counts: counts.clone(), last: last.clone(), is_away: false };
        Ok((Spans { queue, counts }, Self { task: tokio::spawn(work.run(received)), last }))
    }

    /// Has it send what waits, and waits until it has; not for long.
    pub async fn finish(mut self) {
        self.last.cancel();
        if tokio::time::timeout(LAST, &mut self.task).await.is_err() {
            self.task.abort();
            warn!("the collector did not take the last spans in time");
        }
    }
}

struct Work {
    collector: Collector,
    resource: Resource,
    counts: metrics::Spans,
    last: CancellationToken,
    /// Whether the last batch was not taken: that is said once.
    is_away: bool,
}

impl Work {
    async fn run(mut self, mut queue: mpsc::Receiver<Vec<Span>>) {
        while let Some(batch) = gather(&mut queue, &self.last).await {
            self.export(&batch).await;
        }
    }

    async fn export(&mut self, batch: &[Span]) {
        let body = Bytes::from(otlp::request(&self.resource, batch).encode_to_vec());
        let all = batch.len() as u64;
        for tries in 1.. {
            match self.collector.send(body.clone()).await {
                Ok(taken) => {
                    let dropped = taken.rejected.min(all);
                    self.back(dropped, &taken.message);
                    self.counts.exported.inc_by(all - dropped);
                    self.counts.dropped.inc_by(dropped);
                    return;
                }
                Err(Refusal::Later(cause, after)) if tries < TRIES && !self.last.is_cancelled() => {
                    self.away(&cause);
                    let pause = after.unwrap_or_else(|| backoff(Sequence(all), tries)).min(LONGEST);
                    self.last.run_until_cancelled(tokio::time::sleep(pause)).await;
                }
                Err(Refusal::Later(cause, _) | Refusal::Never(cause)) => {
                    self.away(&cause);
                    self.counts.dropped.inc_by(all);
                    return;
                }
            }
        }
    }

    /// The collector does not take spans. Said once, until it does again.
    fn away(&mut self, cause: &str) {
        if self.is_away {
            return debug!(cause, "spans are still not exported");
        }
        self.is_away = true;
        warn!(cause, "spans are not exported; those that do not fit the queue meanwhile are dropped and counted");
    }

    fn back(&mut self, rejected: u64, message: &str) {
        if std::mem::take(&mut self.is_away) {
            info!("spans are exported again");
        }
        if rejected > 0 || !message.is_empty() {
            let message: String = message.chars().take(200).collect();
            debug!(rejected, message, "the collector took a batch, but");
        }
    }
}

/// Waits for spans, and then for others to go with them; none when nobody can hand in any more.
async fn gather(queue: &mut mpsc::Receiver<Vec<Span>>, last: &CancellationToken) -> Option<Vec<Span>> {
    let mut batch = queue.recv().await?;
    let linger = last.run_until_cancelled(tokio::time::sleep(LINGER));
    tokio::pin!(linger);
    while batch.len() < BATCH {
        tokio::select! {
            biased;
            more = queue.recv() => match more {
                Some(more) => batch.extend(more),
                None => break,
            },
            _ = &mut linger => break,
        }
    }
    Some(batch)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use prometheus_client::registry::Registry;

    use super::*;
    use crate::traces::context::TraceParent;
    use crate::traces::span::Kind;

    fn span() -> Span {
        let said = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let TraceParent { trace, span, flags } = said.parse().unwrap();
        Span {
            trace,
            id: span,
            parent: None,
            is_parent_remote: false,
            flags,
            state: String::new(),
            name: "call".to_owned(),
            kind: Kind::Internal,
            began: SystemTime::UNIX_EPOCH,
            ended: SystemTime::UNIX_EPOCH,
            attributes: Vec::new(),
            failed: None,
        }
    }

    fn queue(room: usize) -> (Spans, mpsc::Receiver<Vec<Span>>) {
        let (queue, received) = mpsc::channel(room);
        (Spans { queue, counts: metrics::Spans::registered(&mut Registry::default()) }, received)
    }

    #[test]
    fn spans_that_find_no_room_are_dropped_and_counted() {
        let (spans, received) = queue(2);
        for _ in 0..5 {
            spans.send(vec![span(); 3]);
        }
        assert_eq!((spans.counts.dropped.get(), received.len()), (9, 2));
        drop(received);
        spans.send(vec![span()]);
        assert_eq!(spans.counts.dropped.get(), 10);
    }

    #[tokio::test]
    async fn a_batch_is_as_much_as_goes_and_at_the_end_what_there_is() {
        let (spans, mut received) = queue(QUEUE);
        let last = CancellationToken::new();
        (0..4).for_each(|_| spans.send(vec![span(); 200]));
        assert_eq!(gather(&mut received, &last).await.map(|batch| batch.len()), Some(600));
        last.cancel();
        spans.send(vec![span()]);
        assert_eq!(gather(&mut received, &last).await.map(|batch| batch.len()), Some(201));
        drop(spans);
        assert!(gather(&mut received, &last).await.is_none());
    }
}
