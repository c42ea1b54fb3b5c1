//! Places where a test makes the host fail, to see that it stands it. Release builds have none.

#[cfg(debug_assertions)]
mod set {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// The place that `PELTON_FAIL` names, how often it is still to be passed, and what happens then.
    struct Set {
        place: String,
        left: AtomicU64,
        fails: Fails,
    }

    /// How the host fails.
    #[derive(Clone, Copy)]
    pub enum Fails {
        /// It panics, which a module or a task may contain.
        Panic,
        /// The process ends at once.
        Abort,
    }

    static SET: OnceLock<Option<Set>> = OnceLock::new();

    fn parse() -> Option<Set> {
        let written = std::env::var("PELTON_FAIL").ok()?;
        let (fails, place) = match written.strip_prefix("abort:") {
            Some(place) => (Fails::Abort, place),
            None => (Fails::Panic, written.as_str()),
        };
        let (place, times) = place.split_once('=')?;
        Some(Set { place: place.to_owned(), left: times.parse::<u64>().ok()?.into(), fails })
    }

    /// How the host is to fail at `place` of `what` this time, if it is.
    pub fn fails(place: &str, what: &str) -> Option<Fails> {
        let set = SET.get_or_init(parse).as_ref()?;
        let named = set.place.strip_prefix(place).and_then(|rest| rest.strip_prefix('/')) == Some(what);
        (named && set.left.fetch_sub(1, Ordering::Relaxed) == 1).then_some(set.fails)
    }
}

/// Panics if `PELTON_FAIL` is `PLACE/WHAT=N`, and this place is reached for the Nth time; with `abort:` before it the process
/// ends as by a crash.
#[cfg(debug_assertions)]
#[allow(clippy::panic, reason = "it is what it is for")]
pub fn reach(place: &str, what: &str) {
    match set::fails(place, what) {
        Some(set::Fails::Panic) => panic!("PELTON_FAIL asks for it at {place} of {what}"),
        Some(set::Fails::Abort) => std::process::abort(),
        None => {}
    }
}

/// Nothing, in release builds.
#[cfg(not(debug_assertions))]
pub fn reach(_: &str, _: &str) {}
