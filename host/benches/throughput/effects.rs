//! What a module of the native side can do with one input.

use bytes::Bytes;
use pelton::cloudevents;
use pelton::effects::{Origin, Outgoing};
use pelton::event::{Event, Sequence};
use pelton::subject::{Generation, encode};
use pelton::traces::Context;

use crate::gather::Gathered;

/// The effects of one input of one module.
pub struct Effects<'a> {
    origin: &'a Origin,
    event: &'a Event,
    sequence: Sequence,
    emitted: usize,
    gathered: &'a mut Gathered,
}

impl<'a> Effects<'a> {
    /// The effects of the input at `sequence`.
    pub fn new(origin: &'a Origin, event: &'a Event, sequence: Sequence, gathered: &'a mut Gathered) -> Self {
        Self { origin, event, sequence, emitted: 0, gathered }
    }

    /// The value of a view key.
    pub fn read(&mut self, view: &str, key: &str) -> Option<Bytes> {
        self.gathered.read(&self.value(view, key))
    }

    /// Writes a view key.
    pub fn write(&mut self, view: &str, key: &str, value: Bytes) {
        self.gathered.write(&self.value(view, key), value);
    }

    /// Writes what `change` makes of the value of a view key.
    pub fn update<E>(
        &mut self,
        view: &str,
        key: &str,
        change: impl FnOnce(Option<Bytes>) -> Result<Bytes, E>,
    ) -> Result<(), E> {
        let subject = self.value(view, key);
        let after = change(self.gathered.read(&subject))?;
        self.gathered.write(&subject, after);
        Ok(())
    }

    /// Emits an event about the entity `key`, with the id and the headers that Pelton gives it.
    pub fn emit(&mut self, category: &str, key: &str, kind: &str, content_type: &str, data: Bytes) {
        let Self { origin, event, sequence, emitted, .. } = self;
        let caused = Event {
            id: origin.event_id(*sequence, *emitted).to_string(),
            source: format!("pelton/{}/{}", origin.app, origin.module),
            kind: kind.to_owned(),
            subject: None,
            time: event.time.clone(),
            content_type: content_type.to_owned(),
            correlation: event.correlation.clone(),
            causation: Some(event.id.clone()),
            attributes: Context::of(event, origin, *sequence).attributes(event),
            data,
        };
        let mut headers = cloudevents::encode(&caused);
        headers.push(("Pelton-Input".into(), format!("{}:{sequence}", origin.stream)));
        let subject = format!("pelton.{}.events.{category}.{}", origin.app, encode(key)).into();
        *emitted += 1;
        self.gathered.emit(Outgoing { subject, headers: headers.into(), payload: caused.data });
    }

    fn value(&self, view: &str, key: &str) -> String {
        format!("$KV.{}.{view}.{}.{}", self.origin.app, Generation::default(), encode(key))
    }
}
