//! A chain of hashes over the inputs of a key: whoever knows the inputs and their order can say what must come out.

use serde::{Deserialize, Serialize};

/// What the payload of an input begins with that is not to be done before its key has so many others: `later 12 …`.
const LATER: &str = "later ";

/// Where the chain of a key stands.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Link {
    /// Inputs so far.
    pub count: u64,
    /// The position of the last one.
    pub sequence: u64,
    /// The hash over all of them.
    pub hash: u64,
}

impl Link {
    /// The link after the input at `sequence`.
    #[must_use]
    pub fn next(&self, sequence: u64, payload: &[u8]) -> Self {
        let hash = fnv1a(fnv1a(self.hash, &sequence.to_le_bytes()), payload);
        Self { count: self.count + 1, sequence, hash }
    }
}

/// A payload that is rejected until its key has done `count` others.
#[must_use]
pub fn later(count: u64, rest: &str) -> String {
    format!("{LATER}{count} {rest}")
}

/// How many inputs its key must have done before one with this payload is accepted.
#[must_use]
pub fn needs(payload: &[u8]) -> u64 {
    let count = payload.strip_prefix(LATER.as_bytes()).and_then(|rest| rest.split(|byte| *byte == b' ').next());
    let count = count.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    count.unwrap_or(0)
}

fn fnv1a(begin: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(begin ^ 0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_inputs_that_say_so_wait_for_others() {
        assert_eq!(needs(later(12, "payload 3").as_bytes()), 12);
        assert_eq!(needs(b"payload 12"), 0);
        assert_eq!(needs(b"later x"), 0);
    }
}
