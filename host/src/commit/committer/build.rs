//! What a batch is built of: as many steps of a lane as there is room for, and its checkpoint behind them. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Batch, Lane, Part};
use crate::commit::checkpoint::Checkpoint;
use crate::commit::{Covers, Done, LaneId, Write};
use crate::effects::{GUARD, Outgoing};
use crate::event::Sequence;

/// Room in a batch, or what was used of it.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    pub messages: usize,
    pub bytes: usize,
}

impl Room {
    pub fn share(self, among: usize) -> Self {
        Self { messages: self.messages / among.max(1), bytes: self.bytes / among.max(1) }
    }

    fn more(self, cost: Self) -> Self {
        Self { messages: self.messages + cost.messages, bytes: self.bytes + cost.bytes }
    }

    pub fn less(self, used: Self) -> Self {
        Self { messages: self.messages.saturating_sub(used.messages), bytes: self.bytes.saturating_sub(used.bytes) }
    }

    fn holds(self, used: Self) -> bool {
        used.messages <= self.messages && used.bytes <= self.bytes
    }
}

/// Room that a checkpoint takes: its subject, JSON and headers, with some to spare.
const CHECKPOINT_BYTES: usize = 1 << 10;

impl Lane {
    /// Whether it has anything to commit.
    pub fn has_work(&self) -> bool {
        self.releasing || !self.steps.is_empty()
    }

    /// Adds to `batch` as many steps as fit `share`, or one if it fits `room`, and the checkpoint behind them.
    pub fn add_to(&self, batch: &mut Batch, id: &LaneId, share: Room, room: Room) -> Room {
        let mut used = Room { messages: 1, bytes: CHECKPOINT_BYTES };
        let mut writes: Vec<Write> = Vec::new();
        let mut latest: HashMap<&Arc<str>, usize> = HashMap::new();
        let mut steps: usize = 0;
        for step in self.steps.iter().take(self.at_most) {
            let with = used.more(step.cost(|subject| !latest.contains_key(subject)));
            let alone = steps == 0 && (room.holds(with) || batch.parts.is_empty());
            if !share.holds(with) && !alone {
                break;
            }
            used = with;
            steps += 1;
            batch.messages.extend(step.events.iter().chain(&step.own).cloned());
            for write in &step.writes {
                match latest.get(&write.write.subject).and_then(|at| writes.get_mut(*at)) {
                    Some(earlier) => earlier.coalesce(write),
                    None => {
                        latest.insert(&write.write.subject, writes.len());
                        writes.push(write.clone());
                    }
                }
            }
        }
        let releases = self.releasing && steps == self.steps.len();
        if steps == 0 && !(releases && (room.holds(used) || batch.parts.is_empty())) {
            return Room { messages: 0, bytes: 0 };
        }
        let checkpoint = self.after(steps);
        let checkpoint = if releases { checkpoint.released() } else { checkpoint };
        let first_write = batch.messages.len();
        batch.messages.extend(writes.iter().map(Write::message));
        let revisions = writes.into_iter().enumerate().map(|(at, write)| (first_write + at, write.revision)).collect();
        batch.messages.push(checkpoint_message(&self.subject, &checkpoint, self.guard));
        let checkpoint_at = batch.messages.len() - 1;
        let again = self.steps.iter().take(steps).filter(|step| matches!(step.covers, Covers::Again));
        let replays = again.count();
        let suspects = checkpoint.suspect.is_some_and(|suspect| suspect.runs);
        let lane = id.clone();
        batch.parts.push(Part { lane, checkpoint, checkpoint_at, steps, replays, suspects, releases, revisions });
        used
    }

    /// The checkpoint behind the first `steps` steps: where it was, if they are all replays.
    fn after(&self, steps: usize) -> Checkpoint {
        let covers = || self.steps.iter().take(steps).rev().map(|step| &step.covers);
        let position = covers().find_map(|covers| match covers {
            Covers::Input(input) => Some(input.sequence()),
            Covers::Read(_) | Covers::Again | Covers::Suspects(_) => None,
        });
        let mark = covers().find_map(|covers| match covers {
            Covers::Input(input) => Some(input.mark()),
            Covers::Read(mark) => Some(*mark),
            Covers::Again | Covers::Suspects(_) => None,
        });
        let before = Checkpoint { incarnation: self.incarnation, ..self.checkpoint.clone() };
        let checkpoint = mark.map_or_else(|| before.clone(), |mark| before.advanced(position, mark));
        // By a replay the lane got on, too.
        let replays = covers().any(|covers| matches!(covers, Covers::Again));
        let checkpoint = if replays { Checkpoint { takeovers: 0, ..checkpoint } } else { checkpoint };
        match covers().find(|covers| !matches!(covers, Covers::Again)) {
            Some(Covers::Suspects(suspect)) => checkpoint.suspecting(*suspect),
            _ => checkpoint,
        }
    }
}

impl Done {
    /// What the step adds to a batch, where `is_new` tells the view keys that the batch does not write yet.
    fn cost(&self, is_new: impl Fn(&Arc<str>) -> bool) -> Room {
        let messages = self.events.iter().chain(&self.own).map(Outgoing::size);
        let writes = self.writes.iter().filter(|write| is_new(&write.write.subject)).count();
        Room {
            messages: self.events.len() + self.own.len() + writes,
            bytes: messages.sum::<usize>() + self.writes.iter().map(|write| write.write.size()).sum::<usize>(),
        }
    }
}

impl Write {
    /// A later write to the same key takes this one's place; what either read guards both.
    fn coalesce(&mut self, later: &Self) {
        self.write.value.clone_from(&later.write.value);
        self.guarded |= later.guarded;
    }

    fn message(&self) -> Outgoing {
        let mut message = self.write.message();
        if let Some(revision) = self.revision.get().filter(|_| self.guarded) {
            message.push(GUARD, revision.to_string());
        }
        message
    }
}

/// The message that writes `checkpoint` if the last one is still at `guard`.
pub fn checkpoint_message(subject: &Arc<str>, checkpoint: &Checkpoint, guard: Sequence) -> Outgoing {
    replacing(subject, serde_json::to_vec(checkpoint).unwrap_or_default(), guard)
}

/// A message that replaces the last one on its subject, if that is still at `guard`.
pub fn replacing(subject: &Arc<str>, payload: Vec<u8>, guard: Sequence) -> Outgoing {
    let headers = vec![("Nats-Rollup".into(), "sub".to_owned()), (GUARD.into(), guard.to_string())];
    Outgoing { subject: subject.clone(), headers: headers.into(), payload: payload.into() }
}
