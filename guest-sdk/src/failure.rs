//! Why an input was not processed.

use std::fmt;
use std::time::Duration;

use crate::bindings::pelton::plugin::types;

/// Why an input was not processed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    /// Not now: run the same input again, after this long if given. Later inputs of its lane wait meanwhile.
    Retry(Option<Duration>),
    /// Never: this input cannot be processed, for this reason. It becomes a dead letter.
    Reject(String),
}

impl Failure {
    /// A rejection for that reason. Fits `map_err`, for any error that can be shown.
    pub fn reject(reason: impl fmt::Display) -> Self {
        Self::Reject(reason.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry(None) => write!(f, "retry"),
            Self::Retry(Some(after)) => write!(f, "retry after {after:?}"),
            Self::Reject(reason) => write!(f, "reject: {reason}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Retry(after) => Self::Retry(after.map(milliseconds)),
            Failure::Reject(reason) => Self::Reject(reason),
        }
    }
}

/// Whole milliseconds, rounded up so that a short wait does not become none; longer than 49 days is cut to that.
fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_milliseconds_and_cut_to_what_fits() {
        for (wait, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_micros(1), 1),
            (Duration::from_millis(250), 250),
            (Duration::MAX, u32::MAX),
        ] {
            assert_eq!(milliseconds(wait), expected, "{wait:?}");
        }
    }
}
