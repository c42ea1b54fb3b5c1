//! Random choices that are told and can be made again: moments to crash at, faults to inject.

use std::time::{SystemTime, UNIX_EPOCH};

/// A generator (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator seeded by the clock; the seed goes to the output of the test.
    #[allow(clippy::new_without_default, reason = "it prints, which no default should")]
    #[allow(clippy::print_stderr, reason = "so that a run can be looked into")]
    pub fn new() -> Self {
        let seed = seed();
        eprintln!("seed {seed}");
        Self(seed)
    }

    /// A generator that gives the same numbers for the same seed.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// A seed from the clock.
pub fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64
}
