//! Checks what a guest returned and turns it into messages for the app stream. Pure; everything is hostile until here.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use crate::cloudevents;
use crate::event::{Event, Sequence};
use crate::subject::{Generation, Name, Subjects};
use crate::traces::{Context, Ratio};

/// What a guest returned for one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// Events to publish.
    pub events: Vec<Emitted>,
    /// Writes to views.
    pub writes: Vec<ViewWrite>,
}

/// An event that a guest wants published.
#[derive(Clone, Debug, PartialEq)]
pub struct Emitted {
    /// The category.
    pub category: String,
    /// The entity; none means the key of the input.
    pub key: Option<String>,
    /// The CloudEvents type.
    pub kind: String,
    /// The CloudEvents subject.
    pub subject: Option<String>,
    /// The media type of `data`.
    pub content_type: String,
    /// CloudEvents extensions.
    pub attributes: Vec<(String, String)>,
    /// The payload.
    pub data: Bytes,
}

/// A write that a guest wants done.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewWrite {
    /// The view.
    pub view: String,
    /// The key.
    pub key: String,
    /// The new value; none removes the key.
    pub value: Option<Bytes>,
}

/// The header that makes a message, and so its batch, hold only for one revision of its subject.
pub const GUARD: &str = "Nats-Expected-Last-Subject-Sequence";

/// Names and values of a message's headers.
pub type Headers = Vec<(Cow<'static, str>, String)>;

/// A message for the app stream. Clones share all of it: a batch is built of what waits for its commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Where to.
    pub subject: Arc<str>,
    /// Names and values.
    pub headers: Arc<Headers>,
    /// The body.
    pub payload: Bytes,
}

impl Outgoing {
    /// Adds a header.
    pub fn push(&mut self, name: &'static str, value: String) {
        Arc::make_mut(&mut self.headers).push((Cow::Borrowed(name), value));
    }

    /// The bytes that the message takes: subject, headers as sent, and payload.
    pub fn size(&self) -> usize {
        self.subject.len() + self.header_size() + self.payload.len()
    }

    /// The bytes of the headers as sent: a first line, then name, colon, space, value and line end each.
    fn header_size(&self) -> usize {
        const FIRST_AND_LAST_LINE: usize = 14;
        FIRST_AND_LAST_LINE + self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>()
    }
}

/// What a module may do, from its config.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// The views it owns.
    pub views: BTreeSet<Name>,
    /// The categories it may emit, and how long the server keeps their events; none is for ever.
    pub emits: BTreeMap<Name, Option<Duration>>,
    /// Whether it has more than one lane, so that its view keys are bound to the event's key.
    pub many_lanes: bool,
}

impl Grants {
    /// The view that a guest names, if the module owns it and the key may be used by this event's lane.
    pub fn view(&self, view: &str, key: &str, event_key: &str) -> Result<&Name, Violation> {
        let granted = self.views.get(view).ok_or_else(|| Violation::View(view.to_owned()))?;
        if key.is_empty() {
            return Err(Violation::EmptyKey);
        }
        let under_key = key.strip_prefix(event_key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if self.many_lanes && !under_key {
            return Err(Violation::ForeignKey { key: key.to_owned(), event_key: event_key.to_owned() });
        }
        Ok(granted)
    }
}

/// The sizes that the server allows, checked before anything is sent: a larger payload or subject would close the
/// connection, larger headers refuse the whole batch.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The server's `max_payload`, for headers and payload of one message.
    pub message: usize,
    /// Messages of one batch; one of them is the checkpoint.
    pub batch_messages: usize,
    /// Bytes of one batch.
    pub batch_bytes: usize,
}

impl Bounds {
    /// The server refuses headers over 64 KB (error 10097).
    const HEADERS: usize = 64 << 10;
    /// The server closes the connection on subjects over 4 KB; ours stay far below.
    const SUBJECT: usize = 1 << 10;
    /// What the commit adds to a message: batch id, sequence, guard, rollup.
    const ADDED: usize = 256;

    /// The bounds with the server's `max_payload`, up to `batch_messages` a batch and 8 MB.
    pub fn new(max_payload: usize, batch_messages: usize) -> Self {
        Self { message: max_payload, batch_messages, batch_bytes: 8 << 20 }
    }

    /// What the replay of a dead letter adds to the effects of its input: its removal, and an entry of the audit.
    const REPLAY: usize = 2;

    /// These bounds, narrowed to what one input of a module may cause: so many effects, of so many bytes.
    pub fn within(self, effects: usize, bytes: usize) -> Self {
        let most = self.batch_messages.saturating_sub(Self::REPLAY).max(1);
        let batch_messages = most.min(effects.saturating_add(1));
        Self { batch_messages, batch_bytes: self.batch_bytes.min(bytes), ..self }
    }

    /// Whether `message` may be sent.
    pub fn check(&self, message: &Outgoing) -> Result<(), Violation> {
        self.check_sizes(message.subject.len(), message.header_size(), message.payload.len())
    }

    fn check_sizes(&self, subject: usize, headers: usize, payload: usize) -> Result<(), Violation> {
        let headers = headers + Self::ADDED;
        if subject > Self::SUBJECT {
            Err(Violation::too_large("subject", subject, Self::SUBJECT))
        } else if headers > Self::HEADERS {
            Err(Violation::too_large("headers", headers, Self::HEADERS))
        } else if headers + payload > self.message {
            Err(Violation::too_large("message", headers + payload, self.message))
        } else {
            Ok(())
        }
    }
}

/// The rule that a guest's effects broke.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Violation {
    #[error("view {0:?} is not among the module's `views`")]
    View(String),
    #[error("category {0:?} is not among the module's `emits`")]
    Category(String),
    #[error("a key is empty")]
    EmptyKey,
    #[error("an emitted event has no type")]
    EmptyKind,
    #[error(
        "view key {key:?} is neither the event's key {event_key:?} nor begins with it and a slash, as a module of \
         several lanes needs"
    )]
    ForeignKey { key: String, event_key: String },
    #[error("attribute {0:?} is not allowed: names are lower-case letters and digits, and not the host's own")]
    Attribute(String),
    #[error("media type {0:?} would pass the data off as a whole event: emit the event itself")]
    Structured(String),
    #[error("{what} of {size} bytes is over the limit of {limit}")]
    TooLarge { what: &'static str, size: usize, limit: usize },
    #[error("{0} messages for one input are over the limit of {1}")]
    TooMany(usize, usize),
    #[error("the event came through {HOPS} modules before this one: {modules} feed each other in a circle")]
    Circle { modules: String },
    #[error("{0:?} is an answer of a later interface version")]
    Unknown(String),
}

impl Violation {
    fn too_large(what: &'static str, size: usize, limit: usize) -> Self {
        Self::TooLarge { what, size, limit }
    }
}

/// The modules that an event may come through, one after the other, before they are taken to go in a circle.
pub const HOPS: usize = 64;
/// The header that counts the modules that an event came through.
const HOPS_HEADER: &str = "Pelton-Hops";
/// The header that names them, each once.
const PATH_HEADER: &str = "Pelton-Path";

/// What an event that `module` emits about `event` says of the modules that it came through.
fn path(event: &Event, module: &Name) -> Result<[(Cow<'static, str>, String); 2], Violation> {
    let attribute = |name: &str| event.attribute(&name.to_ascii_lowercase()).unwrap_or_default();
    let hops = attribute(HOPS_HEADER).parse().unwrap_or(0_usize);
    let mut modules: Vec<&str> =
        attribute(PATH_HEADER).split(',').filter(|name| name.parse::<Name>().is_ok()).collect();
    if !modules.contains(&module.as_str()) {
        modules.push(module.as_str());
    }
    if hops >= HOPS {
        return Err(Violation::Circle { modules: modules.join(", ") });
    }
    Ok([(HOPS_HEADER.into(), (hops + 1).to_string()), (PATH_HEADER.into(), modules.join(","))])
}

/// Where an input came from, as emitted events and their ids name it.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The app's subjects.
    pub subjects: Subjects,
    /// The app.
    pub app: Name,
    /// The module.
    pub module: Name,
    /// The input stream.
    pub stream: String,
    /// When the input stream was created, RFC 3339: a stream made anew gives new ids.
    pub created: String,
    /// The generation of the module's views.
    pub generation: Generation,
    /// What part of the traces is sampled that no producer began, as what is emitted says of them.
    pub ratio: Ratio,
}

impl Origin {
    /// The id of the event at `index` among those that one input causes: UUIDv5, so that a re-run writes the same id.
    pub fn event_id(&self, sequence: Sequence, index: usize) -> Uuid {
        let Self { app, module, stream, created, .. } = self;
        let name = format!("pelton/{app}/{module}/{stream}/{created}/{sequence}/{index}");
        Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
    }
}

/// Effects that passed the check.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// Events as messages.
    pub events: Vec<Outgoing>,
    /// View writes by subject.
    pub writes: Vec<CheckedWrite>,
}

/// A view write by its subject.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedWrite {
    /// The subject of the view key.
    pub subject: Arc<str>,
    /// The new value; none removes the key.
    pub value: Option<Bytes>,
}

impl CheckedWrite {
    /// No fewer bytes than the headers of [`CheckedWrite::message`] and its guard take.
    const HEADERS: usize = 128;

    /// About the bytes that [`CheckedWrite::message`] takes.
    pub fn size(&self) -> usize {
        self.subject.len() + Self::HEADERS + self.value.as_ref().map_or(0, Bytes::len)
    }

    /// The message that does the write. It replaces the key's earlier value; an absent value is the deletion marker of
    /// key-value clients.
    pub fn message(&self) -> Outgoing {
        let mut headers = vec![(Cow::Borrowed("Nats-Rollup"), "sub".to_owned())];
        if self.value.is_none() {
            headers.push((Cow::Borrowed("KV-Operation"), "DEL".to_owned()));
        }
        Outgoing {
            subject: self.subject.clone(),
            headers: headers.into(),
            payload: self.value.clone().unwrap_or_default(),
        }
    }
}

/// Checks the effects of the input at `sequence` against grants and bounds.
pub fn check(
    effects: Effects,
    origin: &Origin,
    grants: &Grants,
    bounds: &Bounds,
    (event, key, sequence): (&Event, &str, Sequence),
) -> Result<Checked, Violation> {
    let count = effects.events.len() + effects.writes.len() + 1;
    if count > bounds.batch_messages {
        return Err(Violation::TooMany(count, bounds.batch_messages));
    }
    let mut checked = Checked::default();
    let mut bytes = 0;
    let traced = if effects.events.is_empty() { Vec::new() } else { trace(event, origin, sequence) };
    for (index, emitted) in effects.events.into_iter().enumerate() {
        let message = event_message(emitted, origin, grants, (event, key, sequence), (index, &traced))?;
        bounds.check(&message)?;
        bytes += message.size();
        checked.events.push(message);
    }
    for ViewWrite { view, key: view_key, value } in effects.writes {
        let view = grants.view(&view, &view_key, key)?;
        let subject = origin.subjects.view_value(view, origin.generation, &view_key).into();
        let write = CheckedWrite { subject, value };
        let value = write.value.as_ref().map_or(0, Bytes::len);
        bounds.check_sizes(write.subject.len(), CheckedWrite::HEADERS, value)?;
        bytes += write.size();
        checked.writes.push(write);
    }
    if bytes > bounds.batch_bytes {
        return Err(Violation::too_large("effects", bytes, bounds.batch_bytes));
    }
    Ok(checked)
}

/// The trace context of what `event` causes: whether or not anything is exported, so that a run writes what another does.
fn trace(event: &Event, origin: &Origin, sequence: Sequence) -> Vec<(String, String)> {
    Context::of(event, origin, sequence).attributes(event)
}

fn event_message(
    emitted: Emitted,
    origin: &Origin,
    grants: &Grants,
    (event, key, sequence): (&Event, &str, Sequence),
    (index, traced): (usize, &[(String, String)]),
) -> Result<Outgoing, Violation> {
    let granted = grants.emits.get_key_value(emitted.category.as_str());
    let (category, kept) = granted.ok_or(Violation::Category(emitted.category))?;
    let entity = emitted.key.as_deref().unwrap_or(key);
    if entity.is_empty() {
        return Err(Violation::EmptyKey);
    }
    if emitted.kind.is_empty() {
        return Err(Violation::EmptyKind);
    }
    if emitted.content_type.trim_start().to_ascii_lowercase().starts_with(cloudevents::STRUCTURED) {
        return Err(Violation::Structured(emitted.content_type));
    }
    if let Some((name, _)) = emitted.attributes.iter().find(|(name, _)| !cloudevents::is_extension(name)) {
        return Err(Violation::Attribute(name.clone()));
    }
    let mut attributes = emitted.attributes;
    attributes.extend_from_slice(traced);
    let caused = Event {
        id: origin.event_id(sequence, index).to_string(),
        source: format!("pelton/{}/{}", origin.app, origin.module),
        kind: emitted.kind,
        subject: emitted.subject,
        time: event.time.clone(),
        content_type: emitted.content_type,
        correlation: event.correlation.clone(),
        causation: Some(event.id.clone()),
        attributes,
        data: emitted.data,
    };
    let mut headers = cloudevents::encode(&caused);
    headers.extend(kept.map(|kept| (Cow::Borrowed("Nats-TTL"), format!("{}s", kept.as_secs().max(1)))));
    headers.push((Cow::Borrowed("Pelton-Input"), format!("{}:{sequence}", origin.stream)));
    headers.extend(path(event, &origin.module)?);
    let subject = origin.subjects.event(category, entity).into();
    Ok(Outgoing { subject, headers: headers.into(), payload: caused.data })
}

#[cfg(test)]
mod tests;
