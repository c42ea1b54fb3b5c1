//! A view of the module, as a typed map from keys to values.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::pelton::plugin::types::Change;
use crate::{Failure, Write, host, json};

/// One of the module's views, whose values are `T` as JSON. Best a constant:
///
/// ```
/// use pelton_sdk::View;
///
/// const COUNTS: View<u64> = View::new("counts");
/// ```
///
/// With more than one lane, a key must equal the event's key or begin with it and `/`.
#[derive(Debug)]
pub struct View<T> {
    name: &'static str,
    value: PhantomData<fn(T) -> T>,
}

impl<T> View<T> {
    /// The view of that name, which the module must own.
    pub const fn new(name: &'static str) -> Self {
        let value = PhantomData;
        Self { name, value }
    }

    /// The bytes under `key`, or none.
    pub fn get_raw(&self, key: &str) -> Option<Vec<u8>> {
        host::view(self.name, key)
    }

    /// The write that puts these bytes under `key`.
    pub fn put_raw(&self, key: &str, value: Vec<u8>) -> Write {
        Write::new(self.name, key, Change::Put(value))
    }

    /// The write that removes `key`.
    pub fn delete(&self, key: &str) -> Write {
        Write::new(self.name, key, Change::Delete)
    }

    fn describe(&self, key: &str) -> String {
        format!("view {}, key {key}", self.name)
    }
}

impl<T: DeserializeOwned> View<T> {
    /// The value under `key`, or none. Sees the lane's own earlier writes, also those not yet committed, but none of
    /// the current call. A value that does not parse is a rejection.
    pub fn get(&self, key: &str) -> Result<Option<T>, Failure> {
        let bytes = self.get_raw(key);
        bytes.map(|bytes| json::read(|| self.describe(key), &bytes)).transpose()
    }
}

impl<T: Serialize> View<T> {
    /// The write that puts `value` under `key`.
    pub fn put(&self, key: &str, value: &T) -> Result<Write, Failure> {
        let bytes = json::write(|| self.describe(key), value)?;
        Ok(self.put_raw(key, bytes))
    }
}
