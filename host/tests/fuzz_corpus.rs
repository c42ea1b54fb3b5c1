//! Replays what fuzzing found worth keeping: each input of `fuzz/corpus` goes through its target again.

#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

use std::fs;
use std::path::Path;

/// Runs `target` on its inputs; a failing one is named last in the output.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty: nothing would be tested", folder.display());
    for input in inputs {
        println!("{}", input.display());
        target(&fs::read(&input).unwrap());
    }
}

#[test]
fn every_message_is_an_event_or_refused() {
    replay("envelope", targets::envelope);
}

#[test]
fn every_key_comes_back() {
    replay("keys", targets::keys);
}

#[test]
fn every_config_is_within_bounds_or_refused_in_its_place() {
    replay("config", targets::config);
}

#[test]
fn whatever_guests_return_is_safe_or_refused() {
    replay("results", targets::results);
}
