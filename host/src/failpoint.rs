//! Places where a test makes the host panic, to see that it stands it. Release builds have none.

#[cfg(debug_assertions)]
mod set {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// The place that `PELTON_FAIL` names, and how often it is still to be passed.
    struct Set {
        place: String,
        left: AtomicU64,
    }

    static SET: OnceLock<Option<Set>> = OnceLock::new();

    fn parse() -> Option<Set> {
        let written = std::env::var("PELTON_FAIL").ok()?;
        let (place, times) = written.split_once('=')?;
        Some(Set { place: place.to_owned(), left: times.parse::<u64>().ok()?.into() })
    }

    /// Whether the host is to fail at `place` of `what` this time.
    pub fn fails(place: &str, what: &str) -> bool {
        let Some(set) = SET.get_or_init(parse) else { return false };
        let named = set.place.strip_prefix(place).and_then(|rest| rest.strip_prefix('/')) == Some(what);
        named && set.left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

/// Panics if `PELTON_FAIL` is `PLACE/WHAT=N`, and this place is reached for the Nth time.
#[cfg(debug_assertions)]
#[allow(clippy::panic, reason = "it is what it is for")]
pub fn reach(place: &str, what: &str) {
    if set::fails(place, what) {
        panic!("PELTON_FAIL asks for it at {place} of {what}");
    }
}

/// Nothing, in release builds.
#[cfg(not(debug_assertions))]
pub fn reach(_: &str, _: &str) {}
