//! What a handler answers: events to publish and view writes. Data, nothing else.

use serde::Serialize;

use crate::bindings::pelton::plugin::types;
use crate::event::Attribute;
use crate::{Failure, json};

/// What a handler answers. The host commits all of it, once, or nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Effects {
    pub(crate) events: Vec<Emitted>,
    pub(crate) writes: Vec<Write>,
}

impl Effects {
    /// No effects.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event to publish. Events are published in the order of these calls.
    pub fn emit(&mut self, event: Emitted) {
        self.events.push(event);
    }

    /// Adds a view write. The last one to a key wins.
    pub fn write(&mut self, write: Write) {
        self.writes.push(write);
    }
}

/// An event to publish. Its id, source, time, correlation and causation are the host's to set.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "an event is published only if the effects hold it"]
pub struct Emitted(pub(crate) types::Emitted);

impl Emitted {
    /// An event of the CloudEvents type `kind` with `data` as JSON, in `category`, one of those that the module may
    /// emit. Its key is the input's, unless [`key`](Self::key) sets another.
    pub fn json<T: Serialize + ?Sized>(category: &str, kind: &str, data: &T) -> Result<Self, Failure> {
        let data = json::write(|| format!("data of {kind}"), data)?;
        Ok(Self::raw(category, kind, "application/json", data))
    }

    /// As [`json`](Self::json), but with bytes of any media type.
    pub fn raw(category: &str, kind: &str, content_type: &str, data: Vec<u8>) -> Self {
        Self(types::Emitted {
            category: category.into(),
            key: None,
            kind: kind.into(),
            subject: None,
            content_type: content_type.into(),
            attributes: Vec::new(),
            data,
        })
    }

    /// Sets the entity that the event is about.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.key = Some(key.into());
        self
    }

    /// Sets the CloudEvents subject.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.0.subject = Some(subject.into());
        self
    }

    /// Adds a CloudEvents extension. Names are lower-case letters and digits.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.0.attributes.push(Attribute { name, value });
        self
    }
}

/// One write to one key of one of the module's views; a [`View`](crate::View) makes it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a view changes only if the write is returned"]
pub struct Write(pub(crate) types::ViewWrite);

impl Write {
    pub(crate) fn new(view: &str, key: &str, change: types::Change) -> Self {
        Self(types::ViewWrite { view: view.into(), key: key.into(), change, attributes: Vec::new() })
    }
}

impl From<Effects> for types::Effects {
    fn from(effects: Effects) -> Self {
        Self {
            events: effects.events.into_iter().map(|event| event.0).collect(),
            writes: effects.writes.into_iter().map(|write| write.0).collect(),
            attributes: Vec::new(),
        }
    }
}
