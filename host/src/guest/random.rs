//! Randomness that an input brings with it: SplitMix64 seeded by the event's id, so that a re-run draws the same.

use xxhash_rust::xxh64::xxh64;

/// A seeded generator.
#[derive(Clone, Debug, Default)]
pub struct Seeded(u64);

impl Seeded {
    /// The generator of the event with this id.
    pub fn of(id: &str) -> Self {
        Self(xxh64(id.as_bytes(), 0x9E37))
    }

    /// The next 64 bits (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
