//! JSON pointers into payloads, followed without building the payload in memory. Pure.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

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
