//! Dead letters: inputs that a module could not process, kept with their cause. Pure.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::commit::format::{self, Versioned};
use crate::effects::{Bounds, GUARD, Origin, Outgoing};
use crate::event::{Gap, Message, Sequence, rfc3339};
use crate::lane::GivenUp;
use crate::policy::{Cause, CauseKind};
use crate::source::gap::were_inputs;
use crate::subject::Name;

/// A dead letter, as JSON in the app stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The version of this format; those that did not keep it wrote the first.
    #[serde(default = "format::first")]
    pub format: u32,
    /// The module.
    pub module: String,
    /// Its lane.
    pub lane: u16,
    /// The input stream.
    pub stream: String,
    /// Where the input stands there; the last position of a gap.
    pub sequence: Sequence,
    /// The positions of a gap: what was removed there before the module had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Gap>,
    /// The input's subject; nothing for a gap.
    pub subject: String,
    /// When the input was stored, or a gap was found.
    pub time: String,
    /// The module's key of it, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The input's headers.
    pub headers: Vec<(String, String)>,
    /// The input's payload.
    #[serde(flatten)]
    pub payload: Payload,
    /// Why it is here.
    pub cause: Cause,
    /// What the plugin logged last, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether later inputs of its key wait behind it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parks: bool,
    /// The digest of the plugin that tried.
    pub plugin: String,
}

impl Versioned for DeadLetter {}

/// An input's payload: as text if it is text, and whole if it fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Payload {
    /// UTF-8.
    Text {
        /// The payload.
        data: String,
    },
    /// Anything else.
    Bytes {
        /// The payload in base 64.
        data_base64: String,
    },
    /// The first bytes of a payload that does not fit into a message of the app stream.
    Cut {
        /// The beginning, in base 64.
        data_cut_base64: String,
        /// The bytes of the whole payload.
        size: usize,
        /// The SHA-256 of the whole payload, in hex.
        sha256: String,
    },
}

/// Why the input of a dead letter cannot be had again.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Lost {
    #[error(
        "the dead letter holds only the beginning of its input, and stream {stream} does not hold the input any more"
    )]
    Gone { stream: String },
    #[error("stream {stream} holds another message at {sequence} than the dead letter is of")]
    Differs { stream: String, sequence: Sequence },
    #[error("the dead letter is damaged: {0}")]
    Damaged(String),
    #[error(
        "there is nothing to replay: {gap} of stream {stream} were removed before the module had them. `pelton dlq \
         discard {module} --lane {lane} --sequence {}` removes the dead letter", gap.last
    )]
    Removed { module: String, lane: u16, stream: String, gap: Gap },
}

impl DeadLetter {
    /// The input as it was stored. `original` is what its stream holds at its position, which counts only if the dead
    /// letter holds no more than the beginning.
    pub fn input(&self, original: Option<Message>) -> Result<Message, Lost> {
        if let Some(gap) = self.removed {
            let (module, lane, stream) = (self.module.clone(), self.lane, self.stream.clone());
            return Err(Lost::Removed { module, lane, stream, gap });
        }
        let payload = match &self.payload {
            Payload::Text { data } => data.clone().into(),
            Payload::Bytes { data_base64 } => {
                BASE64.decode(data_base64).map_err(|error| Lost::Damaged(error.to_string()))?.into()
            }
            Payload::Cut { sha256, .. } => {
                let stream = || self.stream.clone();
                let original = original.ok_or_else(|| Lost::Gone { stream: stream() })?;
                if format!("{:x}", Sha256::digest(&original.payload)) != *sha256 {
                    return Err(Lost::Differs { stream: stream(), sequence: self.sequence });
                }
                return Ok(original);
            }
        };
        let stored = OffsetDateTime::parse(&self.time, &Rfc3339).map_err(|error| Lost::Damaged(error.to_string()))?;
        let (sequence, subject, headers) = (self.sequence, self.subject.clone(), self.headers.clone());
        Ok(Message { sequence, stored, subject, headers, payload })
    }

    /// Whether it holds no more than the beginning of its input.
    pub fn is_cut(&self) -> bool {
        matches!(self.payload, Payload::Cut { .. })
    }
}

/// Which dead letters are meant: those that everything which is given takes.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Of this module.
    pub module: Option<Name>,
    /// Of this lane.
    pub lane: Option<u16>,
    /// Of inputs at these positions.
    pub sequences: Vec<Sequence>,
    /// Of this kind of cause.
    pub cause: Option<CauseKind>,
    /// With this in their cause's message.
    pub message: Option<String>,
    /// Of this key.
    pub key: Option<String>,
    /// Of inputs stored at this time or later.
    pub since: Option<OffsetDateTime>,
    /// Of inputs stored before this time.
    pub until: Option<OffsetDateTime>,
}

impl Selection {
    /// Whether it takes all there are.
    pub fn is_all(&self) -> bool {
        let Self { module, lane, sequences, cause, message, key, since, until } = self;
        let any = module.is_some() || lane.is_some() || !sequences.is_empty() || cause.is_some() || message.is_some();
        !(any || key.is_some() || since.is_some() || until.is_some())
    }

    /// Whether it takes `letter`.
    pub fn takes(&self, letter: &DeadLetter) -> bool {
        let Self { module, lane, sequences, cause, message, key, since, until } = self;
        let stored = OffsetDateTime::parse(&letter.time, &Rfc3339).ok();
        module.as_ref().is_none_or(|module| module.as_str() == letter.module)
            && lane.is_none_or(|lane| lane == letter.lane)
            && (sequences.is_empty() || sequences.contains(&letter.sequence))
            && cause.is_none_or(|cause| cause == letter.cause.kind)
            && message.as_ref().is_none_or(|message| letter.cause.message.contains(message))
            && (key.is_none() || *key == letter.key)
            && since.is_none_or(|since| stored.is_some_and(|stored| stored >= since))
            && until.is_none_or(|until| stored.is_some_and(|stored| stored < until))
    }
}

/// How long the mark of a removed dead letter stays, so that its subject does not stay for ever.
const REMOVED: &str = "1h";

/// The message that removes the dead letter on `subject`, if that is still the one at `revision`.
pub fn removal(subject: String, revision: Sequence) -> Outgoing {
    let headers = vec![
        ("Nats-Rollup".into(), "sub".to_owned()),
        (GUARD.into(), revision.to_string()),
        ("KV-Operation".into(), "DEL".to_owned()),
        ("Nats-TTL".into(), REMOVED.to_owned()),
    ];
    Outgoing { subject: subject.into(), headers: headers.into(), payload: Bytes::new() }
}

/// The most characters of a cause: a guest may write a paragraph, no novel.
const CAUSE: usize = 8 << 10;
/// The bytes that a minimal dead letter keeps of a payload, and the characters of a key.
pub const CUT: usize = 1 << 10;

/// Who could not process the input.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// App, module and input stream.
    pub origin: &'a Origin,
    /// The lane.
    pub lane: u16,
    /// The plugin's digest.
    pub plugin: &'a str,
}

/// The message that keeps an input as a dead letter: whole if that fits `bounds`, else cut to its beginning and hash.
pub fn message(by: By<'_>, given_up: GivenUp, bounds: &Bounds) -> Outgoing {
    if given_up.cause.kind == CauseKind::Size {
        return minimal(by, given_up);
    }
    let whole = outgoing(by, letter(by, given_up.clone(), whole(&given_up.input.message.payload)));
    if bounds.check(&whole).is_ok() { whole } else { minimal(by, given_up) }
}

/// The message that keeps what is known of `gap`, which was found at `found`; `certain` if all of it were inputs.
pub fn of_gap(by: By<'_>, gap: Gap, certain: bool, found: OffsetDateTime) -> Outgoing {
    let were = were_inputs(certain);
    let message = format!("{gap} of stream {} {were}, and were removed before the module had them", by.origin.stream);
    let letter = DeadLetter {
        format: DeadLetter::FORMAT,
        module: by.origin.module.to_string(),
        lane: by.lane,
        stream: by.origin.stream.clone(),
        sequence: gap.last,
        removed: Some(gap),
        subject: String::new(),
        time: rfc3339(found),
        key: None,
        headers: Vec::new(),
        payload: Payload::Text { data: String::new() },
        cause: Cause::new(CauseKind::Gap, message),
        log: Vec::new(),
        attempts: 0,
        parks: false,
        plugin: by.plugin.to_owned(),
    };
    outgoing(by, letter)
}

/// The smallest dead letter of an input: no headers, the beginning and hash of its payload.
fn minimal(by: By<'_>, given_up: GivenUp) -> Outgoing {
    let payload = given_up.input.message.payload.clone();
    let cut = Payload::Cut {
        data_cut_base64: BASE64.encode(payload.get(..CUT).unwrap_or(&payload)),
        size: payload.len(),
        sha256: format!("{:x}", Sha256::digest(&payload)),
    };
    let mut letter = letter(by, given_up, cut);
    letter.headers.clear();
    letter.log.clear();
    letter.cause.backtrace.clear();
    letter.cause.message = letter.cause.message.chars().take(CUT).collect();
    letter.subject = letter.subject.chars().take(CUT).collect();
    letter.key = letter.key.map(|key| key.chars().take(CUT).collect());
    outgoing(by, letter)
}

fn letter(by: By<'_>, GivenUp { input, mut cause, attempts, log, parks }: GivenUp, payload: Payload) -> DeadLetter {
    cause.message = cause.message.chars().take(CAUSE).collect();
    DeadLetter {
        format: DeadLetter::FORMAT,
        module: by.origin.module.to_string(),
        lane: by.lane,
        stream: by.origin.stream.clone(),
        sequence: input.sequence(),
        removed: None,
        subject: input.message.subject.clone(),
        time: rfc3339(input.message.stored),
        key: input.input.as_ref().ok().map(|(_, key)| key.as_ref().to_owned()),
        headers: input.message.headers.clone(),
        payload,
        cause,
        log,
        attempts,
        parks,
        plugin: by.plugin.to_owned(),
    }
}

fn whole(payload: &[u8]) -> Payload {
    match std::str::from_utf8(payload) {
        Ok(text) => Payload::Text { data: text.to_owned() },
        Err(_) => Payload::Bytes { data_base64: BASE64.encode(payload) },
    }
}

fn outgoing(by: By<'_>, letter: DeadLetter) -> Outgoing {
    let subject = by.origin.subjects.dead_letter(&by.origin.module, by.lane, letter.sequence.0);
    let payload = serde_json::to_vec(&letter).unwrap_or_default().into();
    Outgoing {
        subject: subject.into(),
        headers: vec![("Content-Type".into(), "application/json".to_owned())].into(),
        payload,
    }
}

#[cfg(test)]
mod tests;
