//! A chain of hashes over the inputs of a key: whoever knows the inputs and their order can say what must come out.

use serde::{Deserialize, Serialize};

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

fn fnv1a(begin: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(begin ^ 0xcbf2_9ce4_8422_2325, step)
}
