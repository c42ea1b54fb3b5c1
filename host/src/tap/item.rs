//! What is shown of a message: an input, or what a module caused. Pure.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::data::Data;
use crate::cloudevents;
use crate::commit::checkpoint::Checkpoint;
use crate::commit::format;
use crate::commit::record::Record;
use crate::dlq::DeadLetter;
use crate::event::{Event, Message, Sequence, rfc3339};
use crate::source::{Decoded, Routing};
use crate::subject::{Name, Place, Subjects};

/// Something that was stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// When it was stored, RFC 3339.
    pub time: String,
    /// The module that takes it, or that caused it.
    pub module: Name,
    /// What it is.
    pub what: What,
    /// The stream that holds it.
    pub stream: String,
    /// Where it stands there.
    pub sequence: Sequence,
    /// Its subject.
    pub subject: String,
    /// The module's lane of it, if that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<u16>,
    /// The module's key of an input, the entity of an event, the key of a view's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The CloudEvents type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The CloudEvents id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The id of the event that caused it; of a dead letter, `STREAM:SEQUENCE` of its input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<String>,
    /// Whether it removes what was on its subject: a view's key, or a dead letter that was replayed or discarded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// Why an input is none that the module could see, or why it became a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Its data.
    #[serde(flatten)]
    pub data: Data,
}

/// What an [`Item`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A message that a module takes
    Input,
    /// An event that a module emitted
    Event,
    /// A value that a module wrote to a view, or removed
    View,
    /// An input that a module could not process
    DeadLetter,
    /// The position that a lane has committed
    Commit,
}

impl What {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Input, Self::Event, Self::View, Self::DeadLetter, Self::Commit];

    /// As it is written in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Event => "event",
            Self::View => "view",
            Self::DeadLetter => "dead-letter",
            Self::Commit => "commit",
        }
    }
}

impl Item {
    /// What every message has.
    fn of(stream: &str, module: &Name, what: What, message: &Message) -> Self {
        Self {
            time: rfc3339(message.stored),
            module: module.clone(),
            what,
            stream: stream.to_owned(),
            sequence: message.sequence,
            subject: message.subject.clone(),
            lane: None,
            key: None,
            kind: None,
            id: None,
            causation: None,
            removed: false,
            problem: None,
            data: Data::None {},
        }
    }

    fn with_event(self, event: &Event, largest: usize) -> Self {
        Self {
            kind: Some(event.kind.clone()),
            id: Some(event.id.clone()),
            causation: event.causation.clone(),
            data: Data::of(&event.data, largest),
            ..self
        }
    }
}

/// The items of a message of the stream `stream`: one for each of the modules that take it.
pub fn inputs(stream: &str, message: &Arc<Message>, modules: &[Routing], largest: usize) -> Vec<Item> {
    let decoded = Decoded::new(stream, message.clone());
    let input = |routing: &Routing| {
        let (lane, delivery) = decoded.route(routing)?;
        let item = Item { lane: Some(lane), ..Item::of(stream, &routing.module, What::Input, message) };
        Some(match delivery.input {
            Ok((event, key)) => Item { key: Some(key.to_string()), ..item.with_event(&event, largest) },
            Err(problem) => {
                Item { problem: Some(problem.to_string()), data: Data::of(&message.payload, largest), ..item }
            }
        })
    };
    modules.iter().filter_map(input).collect()
}

/// What a message of the app stream says of one of the modules; none if it says nothing of them.
pub fn effect(subjects: &Subjects, message: &Message, modules: &[Record], largest: usize) -> Option<Item> {
    let stream = subjects.stream();
    let named = |name: &Name| modules.iter().map(|record| &record.module).find(|module| *module == name);
    let is_removed = message.header("KV-Operation").is_some() || message.header("Nats-Marker-Reason").is_some();
    match subjects.place(&message.subject)? {
        Place::Event { key, .. } => {
            let event = cloudevents::decode(&stream, message).ok()?;
            let module = named(&event.source.rsplit('/').next()?.parse().ok()?)?;
            let item = Item::of(&stream, module, What::Event, message);
            Some(Item { key: Some(key), ..item.with_event(&event, largest) })
        }
        Place::View { view, key, .. } => {
            let owner = modules.iter().find(|record| record.views.contains(&view))?;
            let item = Item::of(&stream, &owner.module, What::View, message);
            let data = if is_removed { Data::None {} } else { Data::of(&message.payload, largest) };
            Some(Item { key: Some(key), removed: is_removed, data, ..item })
        }
        Place::DeadLetter { module, lane, sequence } => {
            let item = Item::of(&stream, named(&module)?, What::DeadLetter, message);
            Some(dead_letter(Item { lane: Some(lane), removed: is_removed, ..item }, sequence, message, largest))
        }
        Place::Checkpoint { module, lane, .. } => {
            let item = Item::of(&stream, named(&module)?, What::Commit, message);
            let checkpoint: Checkpoint = format::read(&message.payload).ok()?;
            let data = serde_json::json!({
                "position": checkpoint.position, "covered": checkpoint.covered, "epoch": checkpoint.epoch,
            });
            let causation = Some(format!("{}:{}", checkpoint.stream, checkpoint.position));
            Some(Item { lane: Some(lane), causation, data: Data::Json { data }, ..item })
        }
    }
}

fn dead_letter(item: Item, input: Sequence, message: &Message, largest: usize) -> Item {
    let letter: Option<DeadLetter> = format::read(&message.payload).ok();
    let Some(letter) = letter else { return item };
    let kind = serde_json::to_value(letter.cause.kind).ok();
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
    let header = |name: &str| {
        letter.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    };
    Item {
        key: letter.key.clone(),
        kind: header("ce-type"),
        id: header("ce-id"),
        causation: Some(format!("{}:{input}", letter.stream)),
        problem: Some(format!("{kind}: {}", letter.cause.message)),
        // A cut letter has no whole input to show; an absent one is clearer than a beginning of a beginning.
        data: letter.input(None).map_or(Data::None {}, |input| Data::of(&input.payload, largest)),
        ..item
    }
}
