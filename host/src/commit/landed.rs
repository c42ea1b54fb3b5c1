//! Finds out how much of a batch is stored. A server that comes to the limit of its storage stores a batch message by
//! message until one does not fit: then the first ones are there, though the batch was refused.

use async_nats::jetstream::message::StreamMessage;

use crate::commit::read::{Reader, Unreadable};
use crate::effects::Outgoing;
use crate::event::Sequence;

/// The first messages of a batch, which are stored one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landed {
    /// Where the first one is.
    pub first: Sequence,
    /// How many there are.
    pub stored: usize,
}

impl Landed {
    /// Where the last one is.
    pub fn last(self) -> Sequence {
        Sequence(self.first.0 + (self.stored as u64).saturating_sub(1))
    }
}

/// How much is stored of the batch `id` of `messages`, which was sent when the stream ended at `end`; none if nothing is.
pub async fn landed(
    reader: &Reader,
    messages: &[Outgoing],
    id: &str,
    end: Sequence,
) -> Result<Option<Landed>, Unreadable> {
    let Some(message) = messages.first() else { return Ok(None) };
    let mut from = end.next();
    let first = loop {
        match reader.next_on(&message.subject, from).await? {
            Some(found) if is_of(&found, id) => break Sequence(found.sequence),
            Some(other) => from = Sequence(other.sequence).next(),
            None => return Ok(None),
        }
    };
    // Those up to `stored` are there, those from `missing` on are not.
    let (mut stored, mut missing) = (1, messages.len() + 1);
    while missing - stored > 1 {
        let middle = stored + (missing - stored) / 2;
        let at = Sequence(first.0 + middle as u64 - 1);
        match reader.at(at).await?.is_some_and(|found| is_of(&found, id)) {
            true => stored = middle,
            false => missing = middle,
        }
    }
    Ok(Some(Landed { first, stored }))
}

fn is_of(message: &StreamMessage, batch: &str) -> bool {
    message.headers.get("Nats-Batch-Id").is_some_and(|id| id.as_str() == batch)
}
