//! What to do about an input that was not processed. Pure.
//!
//! [`decide`] is the policy for one input, [`breaker`] that for a module whose inputs fail in a row.

pub mod breaker;

use std::time::Duration;

use serde::{Deserialize, Serialize};

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
    /// The guest trapped.
    Trap(Trap),
    /// The guest used more of something than the module may, as this says.
    Limit(String),
    /// The guest ran past its deadline.
    Timeout(Duration),
    /// What it returned or asked for breaks a rule.
    Violation(Violation),
    /// The message is no input.
    Undecodable(Undecodable),
    /// The server refuses to store what it leads to, for this reason.
    Refused(String),
    /// So many hosts ended while they ran it.
    Crash(u32),
    /// It could not be run at present, for a reason that is not the guest's doing: NATS does not answer, or all instances
    /// are in use.
    Interrupted(String),
}

impl Failure {
    /// The kind of cause that it is.
    pub fn kind(&self) -> CauseKind {
        match self {
            Self::Retry(_) => CauseKind::Retry,
            Self::Reject(_) => CauseKind::Reject,
            Self::Trap(_) => CauseKind::Trap,
            Self::Limit(_) => CauseKind::Limit,
            Self::Timeout(_) => CauseKind::Timeout,
            Self::Violation(_) => CauseKind::Effects,
            Self::Undecodable(Undecodable::Envelope(_)) => CauseKind::Decode,
            Self::Undecodable(Undecodable::Key(_)) => CauseKind::Key,
            Self::Refused(_) => CauseKind::Size,
            Self::Crash(_) => CauseKind::Crash,
            Self::Interrupted(_) => CauseKind::Interrupted,
        }
    }
}

/// How a guest trapped.
#[derive(Clone, Debug, PartialEq)]
pub struct Trap {
    /// What happened, with the last line that the guest logged.
    pub message: String,
    /// The guest's functions, innermost first.
    pub backtrace: Vec<String>,
}

/// A failure, and what the guest logged last before it.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The failure.
    pub failure: Failure,
    /// The last lines, oldest first.
    pub log: Vec<String>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, log: Vec::new() }
    }
}

/// The kinds of cause that a dead letter names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum CauseKind {
    /// The guest rejected the input.
    Reject,
    /// The guest asked for more attempts than the module has.
    Retry,
    /// The guest trapped.
    Trap,
    /// The guest used more than the module may.
    Limit,
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
    /// Hosts ended while they ran it.
    Crash,
    /// Its key waits behind an earlier input's dead letter.
    Parked,
    /// It could not be run at that time. Only a replay can end so.
    Interrupted,
    /// Messages were removed from the input stream before the module had them.
    Gap,
}

impl CauseKind {
    /// The kind as it is written everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Retry => "retry",
            Self::Trap => "trap",
            Self::Limit => "limit",
            Self::Timeout => "timeout",
            Self::Decode => "decode",
            Self::Key => "key",
            Self::Effects => "effects",
            Self::Size => "size",
            Self::Crash => "crash",
            Self::Parked => "parked",
            Self::Interrupted => "interrupted",
            Self::Gap => "gap",
        }
    }
}

/// Why an input became a dead letter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// The kind.
    pub kind: CauseKind,
    /// A sentence for people.
    pub message: String,
    /// Where a guest trapped: its functions, innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backtrace: Vec<String>,
}

impl Cause {
    /// A cause without a backtrace.
    pub fn new(kind: CauseKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), backtrace: Vec::new() }
    }
}

/// What becomes of an input that is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It is kept as a dead letter, and the lane goes on.
    #[default]
    DeadLetter,
    /// The module stops before it.
    Halt,
    /// It is kept as a dead letter, and later inputs of its key wait behind it.
    ParkKey,
}

/// What becomes of a module whose input stream lost messages before the module had them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnGap {
    /// It stops before the gap.
    #[default]
    Halt,
    /// It goes on behind the gap, which is kept as a dead letter.
    Skip,
}

/// What a module wants done about failures.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How often an input that asks for it is tried.
    pub attempts: u32,
    /// What becomes of one that is given up.
    pub on_failure: OnFailure,
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
    /// Keep the input as a dead letter, and go on.
    DeadLetter(Cause),
    /// Stop the module before this input.
    Halt(Cause),
}

/// The first pause of a backoff.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause of a backoff, and of what a guest may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A trap, a timeout or a broken limit is tried once more, on a fresh instance: that tells chance from cause.
const ATTEMPTS_OF_A_TRAP: u32 = 2;

/// Decides about the input at `sequence`, which failed for the `attempt`th time (from 1).
pub fn decide(failure: &Failure, sequence: Sequence, attempt: u32, rules: Rules) -> Decision {
    let tries = match failure {
        Failure::Interrupted(_) => {
            return Decision::Retry { after: backoff(sequence, attempt.max(3)), counts: false };
        }
        Failure::Retry(_) => rules.attempts,
        Failure::Trap(_) | Failure::Timeout(_) | Failure::Limit(_) => rules.attempts.min(ATTEMPTS_OF_A_TRAP),
        Failure::Reject(_)
        | Failure::Violation(_)
        | Failure::Undecodable(_)
        | Failure::Refused(_)
        | Failure::Crash(_) => 1,
    };
    if attempt < tries {
        let after = match failure {
            Failure::Retry(after) => after.unwrap_or_else(|| backoff(sequence, attempt)).min(LONGEST_PAUSE),
            _ => Duration::ZERO,
        };
        return Decision::Retry { after, counts: true };
    }
    let cause = cause_of(failure, attempt);
    match rules.on_failure {
        OnFailure::DeadLetter | OnFailure::ParkKey => Decision::DeadLetter(cause),
        OnFailure::Halt => Decision::Halt(cause),
    }
}

/// The cause that a failure leaves behind when it was tried so often.
pub fn cause_of(failure: &Failure, attempt: u32) -> Cause {
    let message = match failure {
        Failure::Retry(_) if attempt <= 1 => "the plugin asked for another try".to_owned(),
        Failure::Retry(_) => format!("the plugin asked for another try {attempt} times"),
        Failure::Reject(reason) | Failure::Limit(reason) | Failure::Interrupted(reason) => reason.clone(),
        Failure::Trap(Trap { message, backtrace }) => {
            return Cause { backtrace: backtrace.clone(), ..Cause::new(failure.kind(), message) };
        }
        Failure::Timeout(deadline) => format!("still running after {deadline:?}"),
        Failure::Violation(violation) => violation.to_string(),
        Failure::Undecodable(undecodable) => undecodable.to_string(),
        Failure::Refused(reason) => format!("the server refuses its effects: {reason}"),
        Failure::Crash(hosts) => format!("{hosts} hosts in a row ended while they ran it and nothing else of its lane"),
    };
    Cause::new(failure.kind(), message)
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

    const RULES: Rules = Rules { attempts: 3, on_failure: OnFailure::DeadLetter };

    fn after(failure: &Failure, attempt: u32) -> Decision {
        decide(failure, Sequence(7), attempt, RULES)
    }

    fn trap() -> Failure {
        Failure::Trap(Trap { message: "boom".to_owned(), backtrace: vec!["f".to_owned()] })
    }

    #[test]
    fn a_retry_is_granted_until_the_attempts_are_used_up() {
        let wish = Failure::Retry(Some(Duration::from_secs(2)));
        assert_eq!(after(&wish, 1), Decision::Retry { after: Duration::from_secs(2), counts: true });
        assert!(matches!(after(&wish, 3), Decision::DeadLetter(Cause { kind: CauseKind::Retry, .. })));
    }

    #[test]
    fn a_trap_a_timeout_and_a_broken_limit_are_tried_once_more() {
        for failure in [trap(), Failure::Timeout(Duration::from_secs(1)), Failure::Limit("memory".to_owned())] {
            assert_eq!(after(&failure, 1), Decision::Retry { after: Duration::ZERO, counts: true });
            assert!(matches!(after(&failure, 2), Decision::DeadLetter(_)), "{failure:?}");
            let once = Rules { attempts: 1, ..RULES };
            assert!(matches!(decide(&failure, Sequence(7), 1, once), Decision::DeadLetter(_)), "{failure:?}");
        }
    }

    #[test]
    fn a_trap_leaves_its_backtrace() {
        let expected = Cause { kind: CauseKind::Trap, message: "boom".to_owned(), backtrace: vec!["f".to_owned()] };
        assert_eq!(after(&trap(), 2), Decision::DeadLetter(expected));
    }

    #[test]
    fn a_rejection_is_final_and_an_interruption_never_is() {
        assert!(matches!(after(&Failure::Reject("no".into()), 1), Decision::DeadLetter(_)));
        assert!(matches!(after(&Failure::Interrupted("away".into()), 99), Decision::Retry { counts: false, .. }));
    }

    #[test]
    fn a_module_that_halts_keeps_no_dead_letters() {
        let rules = Rules { on_failure: OnFailure::Halt, ..RULES };
        for (failure, attempt) in [(Failure::Reject("no".into()), 1), (trap(), 2), (Failure::Retry(None), 3)] {
            assert!(matches!(decide(&failure, Sequence(7), attempt, rules), Decision::Halt(_)), "{failure:?}");
        }
        assert!(matches!(decide(&trap(), Sequence(7), 1, rules), Decision::Retry { .. }));
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
