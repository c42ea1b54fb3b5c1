//! Reads a stream in order from one position to another, and ends there: for those that read what is stored, once.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use futures::TryStreamExt;

use super::{Error, InputStream, api, message_received};
use crate::event::{Message, Sequence};

/// Messages asked for at once.
const PAGE: usize = 100;
/// How long whoever reads may be busy with a page.
const BUSY: Duration = Duration::from_secs(10 * 60);

/// A part of a stream that is read.
pub struct Range {
    stream: InputStream,
    filters: Vec<String>,
    consumer: Consumer<pull::Config>,
    /// The last message that was read, or where reading began.
    at: Sequence,
    to: Sequence,
    page: VecDeque<Message>,
    /// The number of the consumer's next message.
    expected: u64,
    ended: bool,
}

impl Range {
    /// Begins behind `after`, and ends with the message at `to`, or the last one before it that passes `filters`.
    pub async fn open(stream: InputStream, filters: Vec<String>, after: Sequence, to: Sequence) -> Result<Self, Error> {
        let policy = DeliverPolicy::ByStartSequence { start_sequence: after.next().0 };
        Self::of(stream, filters, policy, after, to).await
    }

    /// The last message on each subject that passes `filters`, in order.
    pub async fn latest(stream: InputStream, filters: Vec<String>) -> Result<Self, Error> {
        let end = Sequence(u64::MAX);
        Self::of(stream, filters, DeliverPolicy::LastPerSubject, end, end).await
    }

    async fn of(
        stream: InputStream,
        filters: Vec<String>,
        deliver_policy: DeliverPolicy,
        at: Sequence,
        to: Sequence,
    ) -> Result<Self, Error> {
        let config = pull::Config {
            description: Some("Pelton reads what is stored".to_owned()),
            deliver_policy,
            ack_policy: AckPolicy::None,
            filter_subjects: filters.clone(),
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: BUSY,
            ..pull::Config::default()
        };
        let consumer = stream.stream.create_consumer(config).await.map_err(|e| api(stream.name(), &e))?;
        Ok(Self { stream, filters, consumer, at, to, page: VecDeque::new(), expected: 1, ended: false })
    }

    /// The next message; none behind the last one.
    pub async fn next(&mut self) -> Result<Option<Message>, Error> {
        if self.page.is_empty() && !self.ended {
            self.turn().await?;
        }
        Ok(self.page.pop_front())
    }

    /// Reads the next page. The last one is empty, or holds a message that is too far.
    async fn turn(&mut self) -> Result<(), Error> {
        let name = self.stream.name().to_owned();
        let api = |cause: &dyn std::fmt::Display| api(&name, &cause);
        let mut messages = self.consumer.fetch().max_messages(PAGE).messages().await.map_err(|e| api(&e))?;
        self.ended = true;
        while let Some(received) = messages.try_next().await.map_err(|e| api(&e))? {
            let info = received.info().map_err(|e| api(&e))?;
            if info.consumer_sequence != self.expected {
                return Err(api(&"a message was lost on its way here; try again"));
            }
            let (sequence, stored) = (Sequence(info.stream_sequence), info.published);
            self.expected += 1;
            self.ended = sequence > self.to;
            if self.ended {
                break;
            }
            self.at = sequence;
            self.page.push_back(message_received(received.message, sequence, stored));
        }
        if self.ended {
            self.check_end().await?;
            let name = &self.consumer.cached_info().name;
            self.stream.stream.delete_consumer(name).await.map_err(|e| api(&e))?;
        }
        Ok(())
    }

    /// Fails if the leader holds more of this part than the consumer gave, whose replica may be behind.
    async fn check_end(&self) -> Result<(), Error> {
        if self.at >= self.to {
            return Ok(());
        }
        match self.stream.next_behind(self.at, &self.filters).await? {
            Some(next) if next <= self.to => Err(self.stream.is_behind(next)),
            _ => Ok(()),
        }
    }
}
