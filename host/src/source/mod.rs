//! Input streams: opened and recognised, read in order, fanned out to lanes.
//!
//! `stream` is one of them. [`reader`] reads it from a position on, whatever happens to connection and consumer. [`live`] is
//! the one reader that feeds all lanes that keep up; [`catchup`] feeds one that does not. [`range`] reads a part of a stream,
//! once. [`streams`] makes streams as an app declares them, [`copy`] one that can be read of one that cannot.

pub mod catchup;
pub mod copy;
pub mod gap;
pub mod live;
pub mod progress;
pub mod range;
pub mod reader;
mod stream;
pub mod streams;

use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::RetentionPolicy;
use time::OffsetDateTime;

use self::gap::were_inputs;
pub use self::stream::InputStream;
use crate::cloudevents;
use crate::commit::read::Unreadable;
use crate::commit::record::Record;
use crate::config::{Input, Module};
use crate::event::{Delivery, Gap, Message, Sequence};
use crate::route::{Filter, KeyExpr, lane_of};
use crate::subject::Name;

/// Why a module cannot read its input stream. It halts: nothing is skipped or done again without an operator's word.
#[derive(Clone, Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("input stream {stream}: {cause}")]
    Api { stream: String, cause: String },
    #[error(
        "there is no input stream {stream}: make it, or declare it with its subjects as [streams.{stream}] and run with \
         --apply"
    )]
    Missing { stream: String },
    #[error(
        "input stream {stream} has {retention:?} retention, which lets nobody read without acknowledging: `pelton source \
         {stream}` makes a stream with limits retention that copies it; have the module read that one"
    )]
    Retention { stream: String, retention: RetentionPolicy },
    #[error(
        "input stream {stream} was created {found}, but the checkpoint is of one created {created}: it was deleted and \
         made anew. Restore it, or have the module go on in this one with `pelton module reset`"
    )]
    Recreated { stream: String, created: String, found: String },
    #[error(
        "input stream {stream} ends at {last}, but the checkpoint is at {covered}: it was rolled back or restored from \
         an older copy. Restore it, or have the module go on in this one with `pelton module reset`"
    )]
    EndsBelow { stream: String, last: Sequence, covered: Sequence },
    #[error(
        "input stream {stream} holds another message at {covered} than the checkpoint saw there: it was rolled back \
         and written again. Restore it, or have the module go on in this one with `pelton module reset`"
    )]
    Differs { stream: String, covered: Sequence },
    #[error(
        "input stream {stream} lacks {gap}, which {}: they were removed by its limits, by a purge or by deletion before module \
         {module} had them. Have the module go on at the first message that is left with `pelton module reset {module} \
         --to first`, or set on_gap = \"skip\" for it, which keeps such gaps as dead letters",
        were_inputs(*.certain)
    )]
    Lacks { stream: String, module: Name, gap: Gap, certain: bool },
    #[error("a reader of stream {stream} failed: {cause}")]
    Failed { stream: String, cause: String },
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

fn api(stream: &str, cause: &impl std::fmt::Display) -> Error {
    Error::Api { stream: stream.to_owned(), cause: cause.to_string() }
}

/// How one module's inputs are found among a stream's messages.
#[derive(Clone, Debug)]
pub struct Routing {
    /// The module.
    pub module: Name,
    /// What it takes.
    pub input: Input,
    /// Where the key comes from.
    pub key: KeyExpr,
    /// The number of lanes.
    pub lanes: u16,
}

impl Routing {
    /// How the inputs of `module` are found.
    pub fn of(module: &Module) -> Self {
        let Module { name, input, key, lanes, .. } = module;
        Self { module: name.clone(), input: input.clone(), key: key.clone(), lanes: lanes.get() }
    }

    /// How the inputs of the module of `record` are found.
    pub fn of_record(record: &Record) -> Self {
        let Record { module, stream, filters, key, lanes, .. } = record;
        let input = Input { stream: stream.clone(), filters: filters.clone() };
        Self { module: module.clone(), input, key: key.clone(), lanes: *lanes }
    }
}

/// The union of the filters of `inputs`; none, which is the whole stream, if one takes it, or if some overlap, which the
/// server refuses.
pub fn union<'a>(inputs: impl Iterator<Item = &'a Input> + Clone) -> Vec<String> {
    if inputs.clone().any(|input| input.filters.is_empty()) {
        return Vec::new();
    }
    let mut all: Vec<_> = inputs.flat_map(|input| &input.filters).collect();
    all.sort_by_key(|filter| filter.as_str());
    all.dedup();
    let overlap = all.iter().any(|one| all.iter().any(|other| one != other && one.overlaps(other)));
    if overlap { Vec::new() } else { Filter::texts(all) }
}

/// A message with the event in it, decoded once for all modules.
#[derive(Clone, Debug)]
pub struct Decoded {
    message: Arc<Message>,
    event: Result<Arc<crate::event::Event>, cloudevents::Error>,
}

impl Decoded {
    /// Decodes a message of `stream`.
    pub fn new(stream: &str, message: Arc<Message>) -> Self {
        let event = cloudevents::decode(stream, &message).map(Arc::new);
        Self { message, event }
    }

    /// The lane of `routing` that the message is for, and what to hand it; none if the module does not take it. A
    /// message without a key goes to the lane of its subject.
    pub fn route(&self, routing: &Routing) -> Option<(u16, Delivery)> {
        let message = &self.message;
        // The server's mark that the last message of a subject expired is none that anybody sent.
        if !routing.input.takes(&message.subject) || message.header("Nats-Marker-Reason").is_some() {
            return None;
        }
        let keyed = match &self.event {
            Ok(event) => routing.key.key_of(message, event).map(|key| (event.clone(), key)).map_err(Into::into),
            Err(error) => Err(error.clone().into()),
        };
        let delivery = Delivery { message: message.clone(), input: keyed };
        Some((lane_of(delivery.lane_key(), routing.lanes), delivery))
    }
}

/// A message read by its position.
fn message_of(message: StreamMessage) -> Message {
    Message {
        sequence: Sequence(message.sequence),
        stored: message.time,
        subject: message.subject.to_string(),
        headers: headers_of(&message.headers),
        payload: message.payload,
    }
}

/// A message that a consumer gave, with its position and when it was stored.
fn message_received(message: async_nats::Message, sequence: Sequence, stored: OffsetDateTime) -> Message {
    let headers = message.headers.as_ref().map(headers_of).unwrap_or_default();
    Message { sequence, stored, subject: message.subject.to_string(), headers, payload: message.payload }
}

/// Headers ordered by name: the client keeps them in a map whose order differs from run to run.
fn headers_of(headers: &HeaderMap) -> Vec<(String, String)> {
    let each = headers.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    let mut headers: Vec<_> = each.map(|(name, value)| (name.to_string(), value.as_str().to_owned())).collect();
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    headers
}
