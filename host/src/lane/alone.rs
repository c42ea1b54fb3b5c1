//! Has one lane of the host at a time run inputs that may end it: if it does end, it is known which one did.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// A lane's turn among those of a host that want to run alone.
pub struct Alone {
    turns: Arc<Semaphore>,
    turn: Turn,
}

enum Turn {
    Unwanted,
    Awaited(Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>),
    Held(#[allow(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit),
}

impl Alone {
    /// A lane that wants no turn yet, among those that share `turns`, which has one.
    pub fn new(turns: Arc<Semaphore>) -> Self {
        Self { turns, turn: Turn::Unwanted }
    }

    /// Waits for a turn, or gives it up.
    pub fn want(&mut self, wanted: bool) {
        match (&self.turn, wanted) {
            (_, false) => self.turn = Turn::Unwanted,
            (Turn::Unwanted, true) => self.turn = Turn::Awaited(Box::pin(self.turns.clone().acquire_owned())),
            (Turn::Awaited(_) | Turn::Held(_), true) => {}
        }
    }

    /// Whether it is the lane's turn.
    pub fn is_held(&self) -> bool {
        matches!(self.turn, Turn::Held(_))
    }

    /// Waits until it is the lane's turn that waits for it; for ever if it does not.
    pub async fn comes(&mut self) {
        let Turn::Awaited(turn) = &mut self.turn else { return std::future::pending().await };
        match turn.await {
            Ok(permit) => self.turn = Turn::Held(permit),
            // Nobody closes it.
            Err(_) => self.turn = Turn::Unwanted,
        }
    }
}
