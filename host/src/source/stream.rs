//! One input stream: opened, recognised by what a checkpoint saw, and looked into by position and by time.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{self, Info, RawMessageErrorKind, RetentionPolicy};
use async_nats::jetstream::{self, ErrorCode, consumer};
use futures::StreamExt;
use time::OffsetDateTime;

use super::gap::Head;
use super::{Error, api, message_of, message_received};
use crate::commit::checkpoint::Checkpoint;
use crate::commit::read::Reader as Stored;
use crate::config::From;
use crate::event::{Mark, Message, Sequence, rfc3339};
use crate::route::Filter;

/// An input stream as found at the start.
#[derive(Clone, Debug)]
pub struct InputStream {
    pub(super) stream: stream::Stream<Info>,
    largest_message: usize,
}

impl InputStream {
    /// Opens the stream called `name`, if it is one that can be read.
    pub async fn open(context: &jetstream::Context, name: &str) -> Result<Self, Error> {
        let stream = context.get_stream(name).await.map_err(|error| match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Error::Missing { stream: name.to_owned() }
            }
            _ => api(name, &error),
        })?;
        let retention = stream.cached_info().config.retention;
        if retention != RetentionPolicy::Limits {
            return Err(Error::Retention { stream: name.to_owned(), retention });
        }
        Ok(Self { stream, largest_message: context.client().server_info().max_payload })
    }

    /// The stream's name.
    pub fn name(&self) -> &str {
        &self.stream.cached_info().config.name
    }

    /// Whether it stores what is published to `subject`.
    pub fn stores(&self, subject: &str) -> bool {
        let subjects = self.stream.cached_info().config.subjects.iter();
        subjects.filter_map(|stored| Filter::try_from(stored.clone()).ok()).any(|stored| stored.matches(subject))
    }

    /// The most bytes of a message that the server takes.
    pub(super) fn largest_message(&self) -> usize {
        self.largest_message
    }

    /// What the server knew of it when it was opened.
    pub fn info(&self) -> &Info {
        self.stream.cached_info()
    }

    /// The time that the server's clock shows.
    pub async fn clock(&self) -> Result<OffsetDateTime, Error> {
        let consumer = self.consumer(DeliverPolicy::New, &[]).await?;
        Ok(consumer.cached_info().created)
    }

    /// Its last position when it was opened.
    pub fn last(&self) -> Sequence {
        Sequence(self.stream.cached_info().state.last_sequence)
    }

    /// When the stream was created, RFC 3339.
    pub fn created(&self) -> String {
        rfc3339(self.stream.cached_info().created)
    }

    /// Checks that the stream is the one that `checkpoint` was taken from.
    pub async fn recognise(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.verify(&checkpoint.created, checkpoint.mark()).await.map(drop)
    }

    /// Whether a head that moved says that messages were lost, by its settings.
    pub(super) fn tells_of_loss(&self) -> bool {
        Head::of(self.info()).tells_of_loss()
    }

    /// Whether newer messages replace older ones of their subject, by its settings.
    pub(super) fn replaces(&self) -> bool {
        Head::of(self.info()).replaces
    }

    /// Where it begins and ends now.
    pub(super) async fn head(&self) -> Result<Head, Error> {
        Ok(Head::of(&Stored::new(self.stream.clone()).fresh_info().await?))
    }

    /// The mark of the message at `end`, if from `at` to there nothing passes `filters`.
    pub(super) async fn nothing_behind(
        &self,
        at: Sequence,
        end: Sequence,
        filters: &[String],
    ) -> Result<Option<Mark>, Error> {
        if end <= at || self.next_behind(at, filters).await?.is_some() {
            return Ok(None);
        }
        Ok(self.message(end).await?.map(|message| message.mark()))
    }

    /// Where the first message behind `at` is that passes `filters` (none: all do), from the leader, which no replica is ahead
    /// of. A consumer does not tell that: it may be on a replica that has not got all yet.
    pub(super) async fn next_behind(&self, at: Sequence, filters: &[String]) -> Result<Option<Sequence>, Error> {
        let all = [">".to_owned()];
        let mut next = None;
        for filter in if filters.is_empty() { &all } else { filters } {
            match self.stream.get_first_raw_message_by_subject(filter, at.next().0).await {
                Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {}
                Err(error) => return Err(api(self.name(), &error)),
                Ok(found) => next = Some(next.map_or(found.sequence, |next: u64| next.min(found.sequence))),
            }
        }
        Ok(next.map(Sequence))
    }

    /// Checks that the stream was created at `created` and holds what `mark` saw. What retention removed since is no
    /// difference. Gives where it begins and ends.
    pub(super) async fn verify(&self, created: &str, mark: Mark) -> Result<Head, Error> {
        let stream = self.name().to_owned();
        let reader = Stored::new(self.stream.clone());
        let info = reader.fresh_info().await?;
        let head = Head::of(&info);
        let (found, last) = (rfc3339(info.created), Sequence(info.state.last_sequence));
        if found != created {
            return Err(Error::Recreated { stream, created: created.to_owned(), found });
        }
        if last < mark.sequence {
            return Err(Error::EndsBelow { stream, last, covered: mark.sequence });
        }
        let Some(expected) = mark.fingerprint else { return Ok(head) };
        let found = reader.at(mark.sequence).await?.map(|message| message_of(message).fingerprint());
        if found.is_some_and(|found| found != expected) {
            return Err(Error::Differs { stream, covered: mark.sequence });
        }
        Ok(head)
    }

    /// The mark that a new module starts behind.
    pub async fn start(&self, from: From) -> Result<Mark, Error> {
        let last = self.last();
        let sequence = match from {
            From::First => Sequence(0),
            From::New => last,
            From::Sequence(Sequence(first)) => Sequence(first.saturating_sub(1)),
            From::Time(start_time) => self.before(start_time).await?.unwrap_or(last),
        };
        Ok(self.near(sequence))
    }

    /// The mark at `sequence`, or as near as the stream as it was opened has one: a start beyond its end would look as if it
    /// was rolled back, and one before its head as if something was lost.
    pub fn near(&self, sequence: Sequence) -> Mark {
        Mark { sequence: sequence.max(Head::of(self.info()).before()).min(self.last()), fingerprint: None }
    }

    /// The message at `sequence`, if the stream still holds it.
    pub async fn message(&self, sequence: Sequence) -> Result<Option<Message>, Error> {
        Ok(Stored::new(self.stream.clone()).at(sequence).await?.map(message_of))
    }

    /// The mark behind which all messages stand that were stored no longer than `window` before the one at `covered`.
    pub async fn history(&self, covered: Sequence, window: Duration) -> Result<Mark, Error> {
        if covered == Sequence(0) {
            return Ok(Mark { sequence: covered, fingerprint: None });
        }
        // A message that retention removed does not tell its time: then everything that is left is read.
        let sequence = match self.message(covered).await? {
            Some(message) => self.before(message.stored - window).await?.unwrap_or(covered),
            None => Sequence(0),
        };
        Ok(Mark { sequence: sequence.min(covered), fingerprint: None })
    }

    /// The position before the first message stored at `start_time` or later.
    async fn before(&self, start_time: OffsetDateTime) -> Result<Option<Sequence>, Error> {
        if let Some(first) = self.first(DeliverPolicy::ByStartTime { start_time }, &[]).await? {
            return Ok(Some(Sequence(first.sequence.0.saturating_sub(1))));
        }
        // Or has the replica that was asked not got it yet?
        let last = self.message(self.head().await?.last).await?;
        match last.filter(|last| last.stored >= start_time) {
            Some(last) => Err(self.is_behind(last.sequence)),
            None => Ok(None),
        }
    }

    /// Why nothing can be said: a consumer did not give the message at `sequence`, which the leader holds.
    pub(super) fn is_behind(&self, sequence: Sequence) -> Error {
        let cause = format!("a server that holds a copy has not got message {sequence} yet; try again");
        api(self.name(), &cause)
    }

    /// The first message behind `position` that passes `filters`.
    pub async fn first_behind(&self, position: Sequence, filters: &[String]) -> Result<Option<Message>, Error> {
        self.first(DeliverPolicy::ByStartSequence { start_sequence: position.next().0 }, filters).await
    }

    /// The first message that `policy` gives.
    async fn first(&self, policy: DeliverPolicy, filters: &[String]) -> Result<Option<Message>, Error> {
        let consumer = self.consumer(policy, filters).await?;
        let first = self.next_of(&consumer).await?;
        let name = &consumer.cached_info().name;
        self.stream.delete_consumer(name).await.map_err(|e| api(self.name(), &e))?;
        Ok(first)
    }

    /// The next message of `consumer`, if there is one already.
    pub(super) async fn next_of(&self, consumer: &consumer::Consumer<pull::Config>) -> Result<Option<Message>, Error> {
        let api = |cause: &dyn std::fmt::Display| api(self.name(), &cause);
        let mut messages = consumer.fetch().max_messages(1).messages().await.map_err(|e| api(&e))?;
        let Some(first) = messages.next().await else { return Ok(None) };
        let received = first.map_err(|e| api(&e))?;
        let info = received.info().map_err(|e| api(&e))?;
        let (sequence, stored) = (Sequence(info.stream_sequence), info.published);
        Ok(Some(message_received(received.message, sequence, stored)))
    }

    /// How many messages `policy` gives.
    pub async fn count(&self, policy: DeliverPolicy, filters: &[String]) -> Result<u64, Error> {
        let consumer = self.consumer(policy, filters).await?;
        let info = consumer.cached_info();
        self.stream.delete_consumer(&info.name).await.map_err(|e| api(self.name(), &e))?;
        Ok(info.num_pending)
    }

    /// A short-lived consumer that acknowledges nothing: the checkpoint is the truth.
    pub(super) async fn consumer(
        &self,
        deliver_policy: DeliverPolicy,
        filters: &[String],
    ) -> Result<consumer::Consumer<pull::Config>, Error> {
        let config = pull::Config {
            description: Some("Pelton reader".to_owned()),
            deliver_policy,
            ack_policy: AckPolicy::None,
            filter_subjects: filters.to_vec(),
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: Duration::from_secs(30),
            ..pull::Config::default()
        };
        self.stream.create_consumer(config).await.map_err(|e| api(self.name(), &e))
    }
}
