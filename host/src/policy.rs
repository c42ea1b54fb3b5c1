//! What to do about an input that was not processed. Pure.

use std::time::Duration;

use xxhash_rust::xxh64::xxh64;

use crate::effects::Violation;
use crate::event::{Sequence, Undecodable};

/// Why an input gave no effects.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The guest asks to be run again, after this long if it said so.
    Retry(Option<Duration>),
    /// The guest says that the input can never be processed.
    Reject(String),
    /// The guest trapped, with the message and the wasm backtrace.
    Trap(String),
    /// The guest ran past its deadline.
    Timeout(Duration),
    /// What it returned or asked for breaks a rule.
    Violation(Violation),
    /// The message is no input.
    Undecodable(Undecodable),
    /// A view could not be read, since NATS did not answer. Not the guest's doing.
    Interrupted(String),
}

/// The kinds of cause that a dead letter names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CauseKind {
    /// The guest rejected the input.
    Reject,
    /// The guest asked for more attempts than the module has.
    Retry,
    /// The guest trapped.
    Trap,
    /// The guest ran past its deadline.
    Timeout,
    /// The envelope is broken.
    Decode,
    /// The event has no key.
    Key,
    /// The effects break a rule.
    Effects,
    /// The server refused the effects.
    Size,
}

/// Why an input became a dead letter.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Cause {
    /// The kind.
    pub kind: CauseKind,
    /// A sentence for people.
    pub message: String,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Run the same input again after this long.
    Retry {
        /// How long to wait.
        after: Duration,
        /// Whether this counts as one of the module's attempts.
        counts: bool,
    },
    /// Give the input up.
    DeadLetter(Cause),
}

/// The first pause of a backoff.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause of a backoff, and of what a guest may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A trap, a timeout or a broken rule is tried once more, on a fresh instance: that tells chance from cause.
const ATTEMPTS_OF_A_TRAP: u32 = 2;

/// Decides about the input at `sequence`, which failed for the `attempt`th time (from 1) of at most `attempts`.
pub fn decide(failure: &Failure, sequence: Sequence, attempt: u32, attempts: u32) -> Decision {
    let give_up = |kind, message: String| Decision::DeadLetter(Cause { kind, message });
    let again = |after| Decision::Retry { after, counts: true };
    match failure {
        Failure::Interrupted(_) => Decision::Retry { after: backoff(sequence, attempt.max(3)), counts: false },
        Failure::Retry(after) if attempt < attempts => {
            again(after.unwrap_or_else(|| backoff(sequence, attempt)).min(LONGEST_PAUSE))
        }
        Failure::Retry(_) => give_up(CauseKind::Retry, format!("the plugin asked for another try {attempt} times")),
        Failure::Trap(_) | Failure::Timeout(_) if attempt < attempts.min(ATTEMPTS_OF_A_TRAP) => again(Duration::ZERO),
        Failure::Trap(message) => give_up(CauseKind::Trap, message.clone()),
        Failure::Timeout(deadline) => give_up(CauseKind::Timeout, format!("still running after {deadline:?}")),
        Failure::Reject(reason) => give_up(CauseKind::Reject, reason.clone()),
        Failure::Violation(violation) => give_up(CauseKind::Effects, violation.to_string()),
        Failure::Undecodable(Undecodable::Envelope(error)) => give_up(CauseKind::Decode, error.to_string()),
        Failure::Undecodable(Undecodable::Key(error)) => give_up(CauseKind::Key, error.to_string()),
    }
}

/// The pause before try `attempt + 1`: doubling, and spread by up to half, so that lanes do not retry in step. The
/// spread comes from the position, so that a run can be repeated exactly.
pub fn backoff(sequence: Sequence, attempt: u32) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(1 << attempt.clamp(1, 10).saturating_sub(1)).min(LONGEST_PAUSE);
    let spread = xxh64(&sequence.0.to_le_bytes(), u64::from(attempt)) % 500;
    full.mul_f64(1.0 - spread as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(failure: &Failure, attempt: u32) -> Decision {
        decide(failure, Sequence(7), attempt, 3)
    }

    #[test]
    fn a_retry_is_granted_until_the_attempts_are_used_up() {
        let wish = Failure::Retry(Some(Duration::from_secs(2)));
        assert_eq!(after(&wish, 1), Decision::Retry { after: Duration::from_secs(2), counts: true });
        assert!(matches!(after(&wish, 3), Decision::DeadLetter(Cause { kind: CauseKind::Retry, .. })));
    }

    #[test]
    fn a_trap_is_tried_once_more() {
        let trap = Failure::Trap("boom".into());
        assert_eq!(after(&trap, 1), Decision::Retry { after: Duration::ZERO, counts: true });
        assert!(matches!(after(&trap, 2), Decision::DeadLetter(Cause { kind: CauseKind::Trap, .. })));
    }

    #[test]
    fn a_rejection_is_final_and_an_interruption_never_is() {
        assert!(matches!(after(&Failure::Reject("no".into()), 1), Decision::DeadLetter(_)));
        assert!(matches!(after(&Failure::Interrupted("away".into()), 99), Decision::Retry { counts: false, .. }));
    }

    #[test]
    fn backoff_doubles_within_its_bounds() {
        for attempt in 1..40 {
            let pause = backoff(Sequence(3), attempt);
            assert!(pause >= FIRST_PAUSE / 2 && pause <= LONGEST_PAUSE, "{attempt}: {pause:?}");
        }
        assert!(backoff(Sequence(3), 4) > backoff(Sequence(3), 1));
    }
}
