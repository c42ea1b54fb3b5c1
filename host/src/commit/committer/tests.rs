//! The committer as a state machine: steps and outcomes in, batches and actions out.

use bytes::Bytes;
use time::OffsetDateTime;

use super::outcome::{UNANSWERED_AT_MOST, UNANSWERED_IN_ALL};
use super::*;
use crate::commit::batch::Outcome;
use crate::commit::hindrance::Hindrance;
use crate::commit::{Covers, Write};
use crate::effects::{CheckedWrite, GUARD};
use crate::event::{Delivery, Mark, Message};

mod batches;
mod cut;
mod outcomes;
mod replays;

const ROOMY: Bounds = Bounds { message: 1 << 20, batch_messages: 1_000, batch_bytes: 8 << 20 };

fn id(lane: u16) -> LaneId {
    LaneId { module: "m".parse().unwrap(), lane }
}

fn delivery(sequence: u64) -> Arc<Delivery> {
    let message = Message {
        sequence: Sequence(sequence),
        stored: OffsetDateTime::UNIX_EPOCH,
        subject: "s".to_owned(),
        headers: Vec::new(),
        payload: Bytes::new(),
    };
    let input = Err(crate::route::KeyError::Empty.into());
    Arc::new(Delivery { message: Arc::new(message), input })
}

fn outgoing(subject: String) -> Outgoing {
    Outgoing { subject: subject.into(), headers: Arc::default(), payload: Bytes::new() }
}

/// The step of the input at `sequence` without effects.
fn idle(sequence: u64) -> Done {
    Done::nothing(Covers::Input(delivery(sequence)))
}

/// The step of the input at `sequence`, which emits one event.
fn step(sequence: u64) -> Done {
    Done { events: vec![outgoing(format!("pelton.shop.events.e.{sequence}"))], ..idle(sequence) }
}

/// The step of the input at `sequence`, which does `writes`.
fn writing(sequence: u64, writes: Vec<Write>) -> Done {
    Done { writes, ..idle(sequence) }
}

fn write(key: &str, value: &str, revision: &Revision, guarded: bool) -> Write {
    let value = Some(Bytes::copy_from_slice(value.as_bytes()));
    let write = CheckedWrite { subject: format!("$KV.shop.v.1.{key}").into(), value };
    Write { write, revision: revision.clone(), guarded }
}

fn checkpoint(epoch: u64, covered: u64) -> Checkpoint {
    let mark = Mark { sequence: Sequence(covered), fingerprint: None };
    let owner = Some(crate::ownership::HostId::from_u128(1));
    Checkpoint { epoch, owner, starts: false, ..Checkpoint::start("ORDERS", "2026-01-01T00:00:00Z", mark) }
}

/// A committer with lanes 0, 1, …, whose checkpoints stand at 10, 11, … in epoch 1.
fn committer(lanes: u16, bounds: Bounds) -> Committer {
    let mut committer = Committer::new(Subjects::new(&"shop".parse().unwrap()), bounds);
    for lane in 0..lanes {
        let revision = Sequence(10 + u64::from(lane));
        committer.attach(id(lane), Generation::default(), Stored { value: checkpoint(1, 0), revision });
    }
    committer
}

/// Messages as text: subject, `@` and guard, and then a checkpoint's position or a value.
fn shown(messages: &[Outgoing]) -> Vec<String> {
    let show = |message: &Outgoing| {
        let guard = message.headers.iter().find(|(name, _)| name == GUARD);
        let guard = guard.map(|(_, guard)| format!("@{guard}")).unwrap_or_default();
        let value = match serde_json::from_slice::<Checkpoint>(&message.payload) {
            Ok(checkpoint) => checkpoint.covered.to_string(),
            Err(_) => String::from_utf8(message.payload.to_vec()).unwrap(),
        };
        let subject = message.subject.trim_start_matches("pelton.shop.").trim_start_matches("$KV.shop.");
        format!("{subject}{guard} {value}").trim_end().to_owned()
    };
    messages.iter().map(show).collect()
}

/// The next batch as text.
fn next(committer: &mut Committer) -> Vec<String> {
    shown(committer.next_batch().unwrap_or_default())
}

/// The checkpoint of a lane in the batch in flight.
fn sent(committer: &Committer, lane: u16) -> Checkpoint {
    let subject = format!("pelton.shop.ckpt.m.1.{lane}");
    let message = committer.in_flight().unwrap().iter().find(|message| *message.subject == *subject).unwrap();
    serde_json::from_slice(&message.payload).unwrap()
}

fn committed(lane: u16, covered: u64) -> Action {
    Action::Committed { lane: id(lane), covered: Sequence(covered), replays: 0, suspects: false }
}

fn reset(lane: u16, incarnation: u32, covered: u64) -> Action {
    Action::Reset { lane: id(lane), incarnation, covered: Sequence(covered), condemned: None, refused: None }
}

fn ambiguous() -> Outcome {
    Outcome::Ambiguous("no answer".to_owned())
}

fn refused() -> Outcome {
    Outcome::Refused("bad header".to_owned())
}

/// Sends what is waiting until nothing is, with `answer` as the server, which is shown the batch; the checkpoints that
/// are asked for are still where they were. Gives the batches and the actions.
fn drain(committer: &mut Committer, answer: impl Fn(&[String]) -> Outcome) -> (Vec<Vec<String>>, Vec<Action>) {
    let (mut batches, mut actions) = (Vec::new(), Vec::new());
    loop {
        let batch = next(committer);
        if batch.is_empty() {
            return (batches, actions);
        }
        let mut told = committer.resolve(answer(&batch));
        batches.push(batch);
        if let [Action::Check(lane)] = told.as_slice() {
            let stored = Stored { value: checkpoint(1, 0), revision: Sequence(10 + u64::from(lane.lane)) };
            told.extend(committer.checked(Some(stored)));
        }
        actions.extend(told);
        assert!(batches.len() < 100, "{batches:?}");
    }
}

/// Whether a message of the batch begins so.
fn has(batch: &[String], beginning: &str) -> bool {
    batch.iter().any(|message| message.starts_with(beginning))
}

/// Leaves the batch in flight without an answer, and its checkpoint where it was, until the committer gives up sending
/// it unchanged. Gives how often it was sent, and what is to be done.
fn unanswered(committer: &mut Committer) -> (u32, Vec<Action>) {
    for sent in 1..100 {
        let actions = committer.resolve(ambiguous());
        let [Action::Check(lane)] = actions.as_slice() else { panic!("{actions:?}") };
        let stored = Stored { value: checkpoint(1, 0), revision: Sequence(10 + u64::from(lane.lane)) };
        let actions = committer.checked(Some(stored));
        if !matches!(actions.as_slice(), [Action::Resend(_)]) {
            return (sent, actions);
        }
        committer.resend();
    }
    panic!("the same batch for ever");
}
