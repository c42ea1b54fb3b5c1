//! Sends batches, and finds out what became of them. Says what is in the way when it is new, and not at each try.

use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::task::pause;
use crate::commit::batch::{self, Outcome, Publisher};
use crate::commit::hindrance::Hindrance;
use crate::commit::landed::{Landed, landed};
use crate::commit::read::Reader;
use crate::effects::Outgoing;
use crate::event::Sequence;
use crate::failpoint;
use crate::status::Status;

/// How often it is said again why a batch waits.
const AGAIN: Duration = Duration::from_secs(60);

/// What became of a batch that was sent.
#[derive(Debug)]
pub enum Became {
    /// All of it had this outcome.
    Whole(Outcome),
    /// Only its first messages are stored, for this reason.
    Cut(Landed, String),
}

/// Sends the batches of one committer.
pub struct Sender {
    publisher: Publisher,
    reader: Reader,
    status: Status,
    /// Where the stream ended before the batch in hand was sent: at this or behind it.
    end: Sequence,
    /// What was said last of why a batch waits, and when.
    said: Option<(String, Instant)>,
}

impl Sender {
    /// Sends with `publisher`, looks with `reader`, and tells `status` how it goes.
    pub fn new(publisher: Publisher, reader: Reader, status: Status) -> Self {
        let end = Sequence(reader.info().state.last_sequence);
        Self { publisher, reader, status, end, said: None }
    }

    /// The stream is at least so long: batches to come stand behind.
    pub fn knows_of(&mut self, sequence: Sequence) {
        self.end = self.end.max(sequence);
    }

    /// Sends a batch; gives what became of it, with its messages and bytes.
    pub async fn send(&mut self, messages: &[Outgoing]) -> (Became, (usize, usize)) {
        let (size, began) = ((messages.len(), messages.iter().map(Outgoing::size).sum()), Instant::now());
        let id = batch::id();
        let outcome = self.publisher.publish_as(&id, messages).await;
        failpoint::reach("committer", "answer");
        self.status.sent(&outcome, size, began.elapsed());
        self.say(&outcome);
        let became = self.found(outcome, &id, messages).await;
        if let Became::Whole(Outcome::Committed(last)) | Became::Cut(Landed { first: last, .. }, _) = &became {
            self.knows_of(*last);
        }
        (became, size)
    }

    /// What became of a batch, after a look into the stream where the outcome leaves it open.
    async fn found(&self, outcome: Outcome, id: &str, messages: &[Outgoing]) -> Became {
        let reason = match &outcome {
            // Of these nothing was sent, or let through.
            Outcome::Unavailable(Hindrance::Permission | Hindrance::Payload, _) => return Became::Whole(outcome),
            Outcome::Ambiguous(reason) | Outcome::Unavailable(_, reason) => reason.clone(),
            Outcome::Committed(_) | Outcome::GuardRejected | Outcome::Refused(_) => return Became::Whole(outcome),
        };
        match self.landed(id, messages).await {
            Some(landed) if landed.stored < messages.len() => {
                warn!(stored = landed.stored, of = messages.len(), "the server cut a batch: the rest is sent again");
                Became::Cut(landed, reason)
            }
            Some(landed) => Became::Whole(Outcome::Committed(landed.last())),
            None => Became::Whole(outcome),
        }
    }

    /// How much of a batch is stored, however long it takes to be told.
    async fn landed(&self, id: &str, messages: &[Outgoing]) -> Option<Landed> {
        let mut tries = 0;
        loop {
            match landed(&self.reader, messages, id, self.end).await {
                Ok(landed) => return landed,
                Err(error) => warn!(%error, "cannot tell yet what became of a batch"),
            }
            tries += 1;
            tokio::time::sleep(pause(tries)).await;
        }
    }

    fn say(&mut self, outcome: &Outcome) {
        let (why, reason) = match outcome {
            Outcome::Committed(last) => {
                debug!(sequence = last.0, "batch committed");
                if self.said.take().is_some() {
                    info!("batches are stored again");
                }
                return;
            }
            Outcome::GuardRejected => return debug!("a guard of a batch was rejected"),
            Outcome::Refused(reason) => return warn!(reason, "the server refuses a batch"),
            Outcome::Ambiguous(reason) => ("unanswered", reason),
            Outcome::Unavailable(hindrance, reason) => (hindrance.name(), reason),
        };
        let is_new = self.said.as_ref().is_none_or(|(said, when)| said != reason || when.elapsed() > AGAIN);
        if is_new {
            warn!(why, reason, "a batch is not stored; it waits, and is sent again");
            self.said = Some((reason.clone(), Instant::now()));
        } else {
            debug!(why, reason, "a batch is not stored");
        }
    }
}
