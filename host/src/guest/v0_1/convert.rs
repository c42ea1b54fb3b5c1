//! Between the WIT's records and the host's own types.

use std::time::Duration;

use super::bindings::pelton::plugin::types as wit;
use crate::effects::{Effects, Emitted, ViewWrite, Violation};
use crate::guest::Call;
use crate::policy::Failure;

pub fn event(call: Call<'_>) -> wit::Event {
    let Call { event, key, stream, sequence } = call;
    let attribute = |(name, value): &(String, String)| wit::Attribute { name: name.clone(), value: value.clone() };
    wit::Event {
        id: event.id.clone(),
        source: event.source.clone(),
        kind: event.kind.clone(),
        subject: event.subject.clone(),
        key: key.as_ref().to_owned(),
        stream: stream.to_owned(),
        sequence: sequence.to_string(),
        time: event.time.clone(),
        content_type: event.content_type.clone(),
        correlation: event.correlation.clone(),
        causation: event.causation.clone(),
        attributes: event.attributes.iter().map(attribute).collect(),
        data: event.data.to_vec(),
    }
}

pub fn effects(effects: wit::Effects) -> Result<Effects, Failure> {
    let events = effects.events.into_iter().map(emitted).collect();
    Ok(Effects { events, writes: writes(effects.writes)? })
}

fn emitted(emitted: wit::Emitted) -> Emitted {
    Emitted {
        category: emitted.category,
        key: emitted.key,
        kind: emitted.kind,
        subject: emitted.subject,
        content_type: emitted.content_type,
        attributes: emitted.attributes.into_iter().map(|attribute| (attribute.name, attribute.value)).collect(),
        data: emitted.data.into(),
    }
}

pub fn writes(writes: Vec<wit::ViewWrite>) -> Result<Vec<ViewWrite>, Failure> {
    writes.into_iter().map(write).collect()
}

fn write(write: wit::ViewWrite) -> Result<ViewWrite, Failure> {
    let value = match write.change {
        wit::Change::Put(bytes) => Some(bytes.into()),
        wit::Change::Delete => None,
        wit::Change::Other(what) => return Err(Failure::Violation(Violation::Unknown(what))),
    };
    Ok(ViewWrite { view: write.view, key: write.key, value })
}

pub fn failure(failure: wit::Failure) -> Failure {
    match failure {
        wit::Failure::Retry(after) => Failure::Retry(after.map(|ms| Duration::from_millis(ms.into()))),
        wit::Failure::Reject(reason) | wit::Failure::Other(reason) => Failure::Reject(reason),
    }
}
