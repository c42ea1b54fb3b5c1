//! JSON pointers into payloads, followed without building the payload in memory. Pure.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::key::KeyError;

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
    /// The key that stands there in `data`; `missing` if nothing or null does.
    pub fn key_in(&self, data: &[u8], missing: Option<&str>) -> Result<String, KeyError> {
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

impl Found {
    /// Reads what stands where the path ends. A whole number keeps its digits, however many there are; any other takes its
    /// shortest form, so that `1.50` and `1.5` are one key.
    fn of(raw: &RawValue) -> serde_json::Result<Self> {
        let text = raw.get();
        let is_whole = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        Ok(match text.bytes().next() {
            Some(b'{' | b'[') => Self::Compound,
            Some(b'n') => Self::Nothing,
            Some(b'"') => Self::Scalar(serde_json::from_str(text)?),
            Some(b't' | b'f') => Self::Scalar(text.to_owned()),
            _ if is_whole => Self::Scalar(text.to_owned()),
            _ => Self::Scalar(serde_json::from_str::<f64>(text)?.to_string()),
        })
    }
}

/// Walks a JSON text along `path` without building it in memory: most of a payload is only skipped.
struct Walk<'p> {
    path: &'p [String],
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        if self.path.is_empty() {
            Found::of(<&RawValue>::deserialize(deserializer)?).map_err(D::Error::custom)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

/// Visits what stands on the way: only objects and lists lead further.
impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_str<E>(self, _: &str) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut found = Found::Nothing;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match self.path.split_first() {
                Some((wanted, rest)) if name == *wanted => found = map.next_value_seed(Walk { path: rest })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Found, A::Error> {
        let Some((wanted, rest)) = self.path.split_first() else { return Ok(Found::Nothing) };
        let wanted = index(wanted);
        let mut found = Found::Nothing;
        for at in 0.. {
            if Some(at) == wanted {
                let Some(here) = seq.next_element_seed(Walk { path: rest })? else { break };
                found = here;
            } else if seq.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

/// The index that `token` names: digits without a leading zero.
fn index(token: &str) -> Option<usize> {
    let is_index = token == "0" || (!token.starts_with(['0', '+']));
    if is_index { token.parse().ok() } else { None }
}
