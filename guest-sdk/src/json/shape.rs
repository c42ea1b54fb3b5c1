//! Asks a type what it wants to be read from.

use std::cell::Cell;

use serde::de::value::Error;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};

/// Whether `T` is a struct with named fields.
pub fn is_struct<T: DeserializeOwned>() -> bool {
    let asked = Cell::new(false);
    // It is refused whatever it asks for: only the question counts.
    T::deserialize(Probe(&asked)).is_err() && asked.get()
}

/// Notes whether it is asked for a struct.
struct Probe<'a>(&'a Cell<bool>);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("nothing to read"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.set(true);
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Order {
        id: u32,
    }

    #[test]
    fn only_structs_with_named_fields_are_structs() {
        assert!(is_struct::<Order>());
        assert!(!is_struct::<(u32, u32)>());
        assert!(!is_struct::<Vec<Order>>());
        assert!(!is_struct::<BTreeMap<String, u32>>());
        assert!(!is_struct::<Option<u32>>());
    }
}
