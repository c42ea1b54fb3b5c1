//! Dead letters: inputs that a module could not process, kept with their cause. Pure.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::effects::{Bounds, Origin, Outgoing};
use crate::event::{Sequence, rfc3339};
use crate::lane::GivenUp;
use crate::policy::{Cause, CauseKind};

/// A dead letter, as JSON in the app stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The module.
    pub module: String,
    /// Its lane.
    pub lane: u16,
    /// The input stream.
    pub stream: String,
    /// Where the input stands there.
    pub sequence: Sequence,
    /// The input's subject.
    pub subject: String,
    /// When the input was stored.
    pub time: String,
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
    /// The digest of the plugin that tried.
    pub plugin: String,
}

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

/// The most characters of a cause: a guest may write a paragraph, no novel.
const CAUSE: usize = 8 << 10;
/// The bytes that a minimal dead letter keeps of a payload.
const CUT: usize = 1 << 10;

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
    outgoing(by, letter)
}

fn letter(by: By<'_>, GivenUp { input, mut cause, attempts, log }: GivenUp, payload: Payload) -> DeadLetter {
    cause.message = cause.message.chars().take(CAUSE).collect();
    DeadLetter {
        module: by.origin.module.to_string(),
        lane: by.lane,
        stream: by.origin.stream.clone(),
        sequence: input.sequence(),
        subject: input.message.subject.clone(),
        time: rfc3339(input.message.stored),
        headers: input.message.headers.clone(),
        payload,
        cause,
        log,
        attempts,
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
    Outgoing { subject: subject.into(), headers: vec![("Content-Type".into(), "application/json".to_owned())], payload }
}

#[cfg(test)]
mod tests;
