//! Answers as text, so that they can be compared line by line.

use crate::bindings::pelton::plugin::types::Change;
use crate::{Effects, Emitted, Failure, Write};

/// What a plugin answered to an event of that key: events first, then writes, each as a headline and its content.
pub fn lines(answer: &Result<Effects, Failure>, key: &str) -> Vec<String> {
    match answer {
        Ok(effects) => {
            let events = effects.events.iter().flat_map(|event| emitted(event, key));
            events.chain(effects.writes.iter().flat_map(write)).collect()
        }
        Err(failure) => vec![failure.to_string()],
    }
}

fn emitted(Emitted(event): &Emitted, key: &str) -> Vec<String> {
    let key = event.key.as_deref().unwrap_or(key);
    let mut lines = vec![format!("emit {}/{key} {}", event.category, event.kind)];
    if let Some(subject) = &event.subject {
        lines.push(format!("  subject: {subject}"));
    }
    for attribute in &event.attributes {
        lines.push(format!("  {}: {}", attribute.name, attribute.value));
    }
    if event.content_type != "application/json" {
        lines.push(format!("  content type: {}", event.content_type));
    }
    lines.extend(content(&event.data));
    lines
}

fn write(Write(write): &Write) -> Vec<String> {
    let place = format!("{}/{}", write.view, write.key);
    match &write.change {
        Change::Put(value) => [vec![format!("put {place}")], content(value)].concat(),
        Change::Delete => vec![format!("delete {place}")],
        Change::Other(what) => vec![format!("{what} {place}")],
    }
}

/// JSON prettily and with its names sorted, anything else as text.
fn content(data: &[u8]) -> Vec<String> {
    let json = serde_json::from_slice::<serde_json::Value>(data);
    let text = match json {
        Ok(value) => format!("{value:#}"),
        Err(_) => data.escape_ascii().to_string(),
    };
    text.lines().map(|line| format!("  {line}")).collect()
}
