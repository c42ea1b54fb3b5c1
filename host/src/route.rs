//! Which modules an input is for, by which key, in which lane. Pure.

use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh64::xxh64;

use crate::event::{Event, Message};

/// The version of [`lane_of`], kept in module records: another hash would put keys on other lanes.
pub const HASH_VERSION: u32 = 1;

/// The lane of `key`: XXH64 with seed 0 over its bytes, modulo the number of lanes.
pub fn lane_of(key: &str, lanes: u16) -> u16 {
    u16::try_from(xxh64(key.as_bytes(), 0) % u64::from(lanes.max(1))).unwrap_or(0)
}

/// A subject filter with the wildcards of NATS: `*` stands for one token, a last `>` for one or more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Filter(String);

impl TryFrom<String> for Filter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let count = text.split('.').count();
        let fits = |(at, token): (usize, &str)| {
            let wildcard_misplaced = token == ">" && at + 1 != count;
            !token.is_empty() && !token.contains(|c: char| c.is_whitespace() || c.is_control()) && !wildcard_misplaced
        };
        if text.split('.').enumerate().all(fits) {
            Ok(Self(text))
        } else {
            Err(format!("{text:?} is no subject filter: tokens between dots, `*` for one, a last `>` for the rest"))
        }
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.0
    }
}

impl Filter {
    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether some subject passes both filters.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
                (Some(one), Some(two)) if one == two || one == "*" || two == "*" => {}
                _ => return false,
            }
        }
    }

    /// Whether `subject` passes.
    pub fn matches(&self, subject: &str) -> bool {
        let mut tokens = subject.split('.');
        for pattern in self.0.split('.') {
            match (pattern, tokens.next()) {
                (_, None) => return false,
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (literal, Some(token)) if literal == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }
}

/// Where a module's key comes from. In a config file: `"subject"`, `{ token = 2 }`, `{ header = "tenant" }`,
/// `{ json = "/customer" }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "KeyForm", into = "KeyForm")]
pub enum KeyExpr {
    /// The whole subject.
    #[default]
    Subject,
    /// One token of the subject, from 1.
    Token(u16),
    /// A header of the message.
    Header(String),
    /// A JSON pointer (RFC 6901) into the event's data.
    Json {
        /// The pointer.
        pointer: Pointer,
        /// The key of events whose value there is absent or null; without it, such an event is a dead letter.
        missing: Option<String>,
    },
}

/// How a [`KeyExpr`] is written.
#[derive(Default, Serialize)]
struct KeyForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Pointer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

impl<'de> Deserialize<'de> for KeyForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = KeyForm;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#""subject", { token = 2 }, { header = "tenant" } or { json = "/customer" }"#)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<KeyForm, E> {
                if text == "subject" {
                    Ok(KeyForm::default())
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<KeyForm, A::Error> {
                const FIELDS: &[&str] = &["token", "header", "json", "missing"];
                let mut form = KeyForm::default();
                while let Some(field) = map.next_key::<String>()? {
                    match field.as_str() {
                        "token" => form.token = Some(map.next_value()?),
                        "header" => form.header = Some(map.next_value()?),
                        "json" => form.json = Some(map.next_value()?),
                        "missing" => form.missing = Some(map.next_value()?),
                        other => return Err(serde::de::Error::unknown_field(other, FIELDS)),
                    }
                }
                Ok(form)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

impl TryFrom<KeyForm> for KeyExpr {
    type Error = &'static str;

    fn try_from(form: KeyForm) -> Result<Self, Self::Error> {
        match form {
            KeyForm { token: None, header: None, json: None, missing: None } => Ok(Self::Subject),
            KeyForm { token: Some(0), .. } => Err("tokens of a subject count from 1"),
            KeyForm { token: Some(token), header: None, json: None, missing: None } => Ok(Self::Token(token)),
            KeyForm { token: None, header: Some(header), json: None, missing: None } => Ok(Self::Header(header)),
            KeyForm { token: None, header: None, json: Some(pointer), missing } => Ok(Self::Json { pointer, missing }),
            _ => Err("a key comes from one place: token, header, or json (with or without missing)"),
        }
    }
}

impl From<KeyExpr> for KeyForm {
    fn from(key: KeyExpr) -> Self {
        match key {
            KeyExpr::Subject => Self::default(),
            KeyExpr::Token(token) => Self { token: Some(token), ..Self::default() },
            KeyExpr::Header(header) => Self { header: Some(header), ..Self::default() },
            KeyExpr::Json { pointer, missing } => Self { json: Some(pointer), missing, ..Self::default() },
        }
    }
}

/// Why an event has no key.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// The subject is shorter than the key expression expects.
    #[error("subject {subject:?} has no token {token} to take the key from")]
    Token {
        /// The subject.
        subject: String,
        /// The wanted token.
        token: u16,
    },
    /// The header is absent.
    #[error("header {0:?}, which the key comes from, is missing")]
    Header(String),
    /// The payload is no JSON.
    #[error("payload is not JSON, which the key comes from: {0}")]
    NotJson(String),
    /// Nothing, null or an object stands there.
    #[error("payload has no text, number or boolean at {0:?}, which the key comes from")]
    Pointer(String),
    /// A key of no characters.
    #[error("the key is empty")]
    Empty,
}

impl KeyExpr {
    /// The key of `event`, which `message` carried.
    pub fn key_of(&self, message: &Message, event: &Event) -> Result<Arc<str>, KeyError> {
        let key: Arc<str> = match self {
            Self::Subject => message.subject.as_str().into(),
            Self::Token(at) => self.token(&message.subject, *at)?.into(),
            Self::Header(name) => message.header(name).ok_or_else(|| KeyError::Header(name.clone()))?.into(),
            Self::Json { pointer, missing } => pointer.key_in(&event.data, missing.as_deref())?.into(),
        };
        if key.is_empty() { Err(KeyError::Empty) } else { Ok(key) }
    }

    fn token<'s>(&self, subject: &'s str, at: u16) -> Result<&'s str, KeyError> {
        let index = usize::from(at).checked_sub(1);
        let token = index.and_then(|index| subject.split('.').nth(index));
        token.ok_or_else(|| KeyError::Token { subject: subject.to_owned(), token: at })
    }
}

/// A JSON pointer (RFC 6901) such as `/customer/id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pointer {
    text: String,
    path: Vec<String>,
}

impl TryFrom<String> for Pointer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let Some(path) = text.strip_prefix('/') else {
            return Err(format!("{text:?} is no JSON pointer: it begins with a slash, like \"/customer/id\""));
        };
        let path = path.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
        Ok(Self { text, path })
    }
}

impl From<Pointer> for String {
    fn from(pointer: Pointer) -> Self {
        pointer.text
    }
}

impl Pointer {
    fn key_in(&self, data: &[u8], missing: Option<&str>) -> Result<String, KeyError> {
        let mut json = serde_json::Deserializer::from_slice(data);
        let not_json = |error: serde_json::Error| KeyError::NotJson(error.to_string());
        let found = Walk { path: &self.path }.deserialize(&mut json).map_err(not_json)?;
        json.end().map_err(not_json)?;
        match (found, missing) {
            (Found::Scalar(key), _) => Ok(key),
            (Found::Nothing, Some(missing)) => Ok(missing.to_owned()),
            (Found::Nothing | Found::Compound, _) => Err(KeyError::Pointer(self.text.clone())),
        }
    }
}

/// What stands at a pointer.
enum Found {
    Nothing,
    Scalar(String),
    Compound,
}

/// Walks a JSON text along `path` without building it in memory: most of a payload is only skipped.
struct Walk<'p> {
    path: &'p [String],
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Walk<'_> {
    /// A scalar is found only where the path ends.
    fn scalar(self, value: impl fmt::Display) -> Found {
        if self.path.is_empty() { Found::Scalar(value.to_string()) } else { Found::Nothing }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Found, E> {
        Ok(self.scalar(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Found, E> {
        Ok(self.scalar(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Found, E> {
        Ok(self.scalar(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Found, E> {
        Ok(self.scalar(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Found, E> {
        Ok(self.scalar(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let Some((wanted, rest)) = self.path.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Found::Compound);
        };
        let mut found = Found::Nothing;
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if name == *wanted {
                found = map.next_value_seed(Walk { path: rest })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Found, A::Error> {
        let Some((wanted, rest)) = self.path.split_first() else {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Found::Compound);
        };
        let wanted = wanted.parse::<usize>().ok();
        let mut found = Found::Nothing;
        let mut at = 0;
        loop {
            let next = if Some(at) == wanted {
                seq.next_element_seed(Walk { path: rest })?
            } else {
                seq.next_element::<IgnoredAny>()?.map(|_| Found::Nothing)
            };
            match next {
                Some(here) if Some(at) == wanted => found = here,
                Some(_) => {}
                None => return Ok(found),
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests;
