//! Key expressions: where a module's key comes from. Pure.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::pointer::Pointer;
use crate::event::{Event, Message};

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
