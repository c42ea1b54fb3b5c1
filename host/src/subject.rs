//! The subjects of an app stream, and the reversible encoding of keys into subject tokens. Pure.

mod place;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::place::Place;

/// The generation that a module's views, state and checkpoints are of: one build of its views. A module begins with the
/// first, which is the default; a reset that begins its views anew begins the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(u32);

impl Generation {
    /// The generation behind this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Default for Generation {
    fn default() -> Self {
        Self(1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Generation {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// The name of an app, module, view or category: 1 to 64 of `a-z`, `0-9` and `-`, beginning with a letter.
///
/// Such a name is a subject token as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(std::sync::Arc<str>);

/// Why a text is no [`Name`].
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a name: use 1 to 64 of a-z, 0-9 and -, beginning with a letter")]
pub struct BadName(String);

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase());
        let all_fit = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if starts_well && all_fit && text.len() <= 64 { Ok(Self(text.into())) } else { Err(BadName(text)) }
    }
}

impl std::str::FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::try_from(text.to_owned())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Encodes a key into one subject token: bytes outside `A-Z a-z 0-9 - _ /` become `=XX`, in upper-case hex.
pub fn encode(key: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut token = String::with_capacity(key.len() + 8);
    for byte in key.bytes() {
        if is_plain(byte) {
            token.push(char::from(byte));
        } else {
            token.push('=');
            for digit in [byte >> 4, byte & 15] {
                token.push(char::from(HEX.get(usize::from(digit)).copied().unwrap_or(b'0')));
            }
        }
    }
    token
}

/// Decodes what [`encode`] made; none if `token` is no such encoding.
pub fn decode(token: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'=' {
            let decoded = upper_hex(rest.next()?)? << 4 | upper_hex(rest.next()?)?;
            if is_plain(decoded) {
                return None;
            }
            bytes.push(decoded);
        } else if is_plain(byte) {
            bytes.push(byte);
        } else {
            return None;
        }
    }
    String::from_utf8(bytes).ok()
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/')
}

fn upper_hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// All subjects of one app, spelt in one place.
#[derive(Clone, Debug)]
pub struct Subjects {
    app: Name,
}

impl Subjects {
    /// The subjects of `app`.
    pub fn new(app: &Name) -> Self {
        Self { app: app.clone() }
    }

    /// The app stream: an ordinary key-value bucket for every stock client.
    pub fn stream(&self) -> String {
        format!("KV_{}", self.app)
    }

    /// The key-value bucket of the hosts' heartbeats and of the witness.
    pub fn hosts_bucket(&self) -> String {
        format!("{}-hosts", self.app)
    }

    /// Every subject that the app stream stores.
    pub fn all(&self) -> [String; 2] {
        [format!("$KV.{}.>", self.app), format!("pelton.{}.>", self.app)]
    }

    /// A subject of each kind that is stored, which nothing is ever written to, to ask for permissions with.
    pub fn samples(&self) -> [String; 2] {
        [format!("$KV.{}.may-publish", self.app), format!("pelton.{}.may-publish", self.app)]
    }

    /// The number of the live generation of `view`.
    pub fn live_generation(&self, view: &Name) -> String {
        format!("$KV.{}.{view}", self.app)
    }

    /// All values of one generation of `view`, as a filter.
    pub fn view_values(&self, view: &Name, generation: Generation) -> String {
        format!("$KV.{}.{view}.{generation}.>", self.app)
    }

    /// The value of `key` in one generation of `view`.
    pub fn view_value(&self, view: &Name, generation: Generation, key: &str) -> String {
        format!("$KV.{}.{view}.{generation}.{}", self.app, encode(key))
    }

    /// All values of all generations of `view`, as a filter.
    pub fn view_generations(&self, view: &Name) -> String {
        format!("$KV.{}.{view}.*.>", self.app)
    }

    /// All emitted events, as a filter.
    pub fn all_events(&self) -> String {
        format!("pelton.{}.events.>", self.app)
    }

    /// Events of `category` about the entity `key`.
    pub fn event(&self, category: &Name, key: &str) -> String {
        format!("pelton.{}.events.{category}.{}", self.app, encode(key))
    }

    /// All events of `category`, as a filter.
    pub fn events(&self, category: &Name) -> String {
        format!("pelton.{}.events.{category}.>", self.app)
    }

    /// The events of `category`, or of any, about the entity `key`, or about any; as a filter.
    pub fn events_of(&self, category: Option<&Name>, key: Option<&str>) -> String {
        let category = category.map_or("*", Name::as_str);
        format!("pelton.{}.events.{category}.{}", self.app, key.map_or("*".to_owned(), encode))
    }

    /// The category and the key that the subject of an event says.
    pub fn event_on(&self, subject: &str) -> Option<(String, String)> {
        let rest = subject.strip_prefix(&format!("pelton.{}.events.", self.app))?;
        let (category, key) = rest.split_once('.')?;
        Some((category.to_owned(), decode(key)?))
    }

    /// Where a running host answers questions of clients. No stream stores it.
    pub fn queries(&self) -> String {
        format!("pelton-query.{}", self.app)
    }

    /// Where all hosts are asked how they fare.
    pub fn status(&self) -> String {
        format!("{}.status", self.queries())
    }

    /// The checkpoint of one lane.
    pub fn checkpoint(&self, module: &Name, generation: Generation, lane: u16) -> String {
        format!("pelton.{}.ckpt.{module}.{generation}.{lane}", self.app)
    }

    /// All checkpoints of `module`, as a filter.
    pub fn checkpoints(&self, module: &Name) -> String {
        format!("pelton.{}.ckpt.{module}.>", self.app)
    }

    /// What operators did.
    pub fn audit(&self) -> String {
        format!("pelton.{}.audit", self.app)
    }

    /// Where a running host is asked to replay dead letters of one lane. No stream stores it.
    pub fn replay(&self, module: &Name, lane: u16) -> String {
        format!("pelton-control.{}.replay.{module}.{lane}", self.app)
    }

    /// Where a running host is asked to run another plugin in `module`. No stream stores it.
    pub fn swap(&self, module: &str) -> String {
        format!("pelton-control.{}.swap.{module}", self.app)
    }

    /// Where a running host says that it is there. No stream stores it.
    pub fn host(&self, host: &str) -> String {
        format!("pelton-control.{}.host.{host}", self.app)
    }

    /// The record of `module`.
    pub fn module(&self, module: &Name) -> String {
        format!("pelton.{}.module.{module}", self.app)
    }

    /// All module records, as a filter.
    pub fn modules(&self) -> String {
        format!("pelton.{}.module.*", self.app)
    }

    /// The dead letter of one input.
    pub fn dead_letter(&self, module: &Name, lane: u16, sequence: u64) -> String {
        format!("pelton.{}.dlq.{module}.{lane}.{sequence}", self.app)
    }

    /// All dead letters, or those of one module, as a filter.
    pub fn dead_letters(&self, module: Option<&Name>) -> String {
        match module {
            Some(module) => format!("pelton.{}.dlq.{module}.>", self.app),
            None => format!("pelton.{}.dlq.>", self.app),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The test vectors of the reference (docs/reference.md), for clients in any language.
    const VECTORS: [(&str, &str); 9] = [
        ("United Kingdom", "United=20Kingdom"),
        ("17850.0", "17850=2E0"),
        ("a/b-c_d", "a/b-c_d"),
        ("=", "=3D"),
        ("*", "=2A"),
        (">", "=3E"),
        ("café", "caf=C3=A9"),
        ("\u{0}\n", "=00=0A"),
        ("日本", "=E6=97=A5=E6=9C=AC"),
    ];

    #[test]
    fn keys_encode_as_the_vectors_say_and_back() {
        for (key, token) in VECTORS {
            assert_eq!(encode(key), token);
            assert_eq!(decode(token).as_deref(), Some(key));
        }
    }

    #[test]
    fn what_encode_never_makes_does_not_decode() {
        for token in ["a b", "=2", "=2e", "=41", "=FF", "a.b", "="] {
            assert_eq!(decode(token), None, "{token}");
        }
    }

    #[test]
    fn names_are_plain_tokens() {
        for good in ["a", "by-country", "v2"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        let long = "a".repeat(65);
        for bad in ["", "-a", "2b", "A", "a.b", "a b", "a*", long.as_str()] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_key_comes_back_and_makes_one_token(key in ".*") {
            let token = encode(&key);
            prop_assert_eq!(decode(&token), Some(key));
            prop_assert!(token.bytes().all(|b| is_plain(b) || b == b'='));
        }
    }
}
