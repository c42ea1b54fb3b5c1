//! Reads what is stored of a module: the audit, its dead letters, its checkpoints.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use sha2::{Digest, Sha256};

use super::Error;
use super::history::Noted;
use super::judge::Letter;
use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::commit::format;
use crate::commit::record::Record;
use crate::dlq::{DeadLetter, Payload};
use crate::event::{Message, Sequence};
use crate::query::Query;
use crate::source::InputStream;
use crate::source::range::Range;

/// What operators did, in order.
pub async fn audit(query: &Query, stream: &InputStream, to: Sequence) -> Result<Vec<Noted>, Error> {
    let mut range = Range::open(stream.clone(), vec![query.subjects().audit()], Sequence(0), to).await?;
    let mut audit = Vec::new();
    while let Some(message) = range.next().await? {
        let entry = serde_json::from_slice(&message.payload).map_err(|error| malformed(stream, &message, &error))?;
        audit.push(Noted { at: message.sequence, entry });
    }
    Ok(audit)
}

/// The dead letters of the module of `record` that stand, without their inputs.
pub async fn letters(
    query: &Query,
    record: &Record,
    stream: &InputStream,
) -> Result<BTreeMap<Sequence, Letter>, Error> {
    let filter = query.subjects().dead_letters(Some(&record.module));
    let mut range = Range::latest(stream.clone(), vec![filter]).await?;
    let mut letters = BTreeMap::new();
    while let Some(message) = range.next().await? {
        // The mark of one that is gone.
        if is_removed(&message) {
            continue;
        }
        let letter: DeadLetter = format::read(&message.payload).map_err(|error| malformed(stream, &message, &error))?;
        let payload = match &letter.payload {
            Payload::Text { data } => hash(data.as_bytes()),
            Payload::Bytes { data_base64 } => hash(&BASE64.decode(data_base64).unwrap_or_default()),
            Payload::Cut { sha256, .. } => sha256.clone(),
        };
        let DeadLetter { sequence, cause, plugin, subject, .. } = letter;
        letters.insert(sequence, Letter { at: message.sequence, cause, plugin, subject, payload });
    }
    Ok(letters)
}

/// The checkpoints of all lanes of the module of `record`.
pub async fn checkpoints(query: &Query, record: &Record) -> Result<Vec<Stored<Checkpoint>>, Error> {
    let mut checkpoints = Vec::new();
    for lane in 0..record.lanes {
        let subject = query.subjects().checkpoint(&record.module, record.generation, lane);
        let stored = query.reader().last_json(&subject).await?;
        checkpoints.push(stored.ok_or_else(|| Error::Never(record.module.to_string()))?);
    }
    Ok(checkpoints)
}

/// Whether a message says that its subject holds nothing.
pub fn is_removed(message: &Message) -> bool {
    message.header("KV-Operation").is_some() || message.header("Nats-Marker-Reason").is_some()
}

fn hash(payload: &[u8]) -> String {
    format!("{:x}", Sha256::digest(payload))
}

fn malformed(stream: &InputStream, message: &Message, cause: &dyn std::fmt::Display) -> Error {
    let (stream, sequence, subject) = (stream.name().to_owned(), message.sequence, message.subject.clone());
    Error::Malformed { stream, sequence, subject, cause: cause.to_string() }
}
