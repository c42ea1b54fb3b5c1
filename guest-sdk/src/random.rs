//! Randomness that is the same whenever the same input runs again: its seed is the event's id.

use crate::host;

/// The next 32 random bits.
pub fn next() -> u32 {
    host::random()
}
