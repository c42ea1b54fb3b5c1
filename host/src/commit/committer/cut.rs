//! What to do when the server stored only the first messages of a batch: the lanes whose checkpoints are among them are
//! committed, and of the one that is cut the rest is sent. Nobody could tell its effects from those of a second run.

use super::{Action, Batch, Committer, Flight, Part};
use crate::event::Sequence;

impl Committer {
    /// Whether what waits to be sent is the rest of a batch that was cut.
    pub fn holds_rest(&self) -> bool {
        matches!(&self.flight, Flight::Waiting(batch) if batch.is_rest)
    }

    /// Takes it that of the batch in flight only the first `stored` messages are stored, from `first` on, for this reason.
    pub fn cut(&mut self, first: Sequence, stored: usize, reason: String) -> Vec<Action> {
        let batch = match std::mem::take(&mut self.flight) {
            Flight::Sent(batch) => batch,
            other => {
                self.flight = other;
                return Vec::new();
            }
        };
        let (whole, rest) = batch.cut(first, stored);
        let last = Sequence((first.0 + whole.messages.len() as u64).saturating_sub(1));
        let mut actions = if whole.parts.is_empty() { Vec::new() } else { self.committed(whole, last) };
        if let Some(rest) = rest {
            self.flight = Flight::Waiting(rest);
            actions.push(Action::Resend(reason));
        }
        actions
    }
}

impl Batch {
    /// The parts whose checkpoints are among the first `stored` messages, which stand from `first` on; and the rest of the
    /// part that is cut, if one is. The others are built anew.
    fn cut(mut self, first: Sequence, stored: usize) -> (Self, Option<Self>) {
        let whole = self.parts.iter().take_while(|part| part.checkpoint_at < stored).count();
        let next = self.parts.drain(whole..).next();
        let begins = self.parts.last().map_or(0, |part| part.checkpoint_at + 1);
        let mut rest = self.messages.split_off(begins);
        let Some(part) = next.filter(|_| stored > begins) else { return (self, None) };
        rest.truncate(part.checkpoint_at + 1 - begins);
        rest.drain(..(stored - begins).min(rest.len()));
        let rest = Self { messages: rest, parts: vec![part.behind(first, stored)], unanswered: 0, is_rest: true };
        (self, Some(rest))
    }
}

impl Part {
    /// The part without the first `stored` messages of its batch, which stand from `first` on.
    fn behind(self, first: Sequence, stored: usize) -> Self {
        let (there, missing): (Vec<_>, Vec<_>) = self.revisions.into_iter().partition(|(at, _)| *at < stored);
        there.into_iter().for_each(|(at, revision)| revision.set(Sequence(first.0 + at as u64)));
        let revisions = missing.into_iter().map(|(at, revision)| (at - stored, revision)).collect();
        Self { checkpoint_at: self.checkpoint_at - stored, revisions, ..self }
    }
}
