//! Replays what fuzzing found worth keeping: each input of `fuzz/corpus` goes through its target again.
#![allow(clippy::print_stdout, reason = "a test that fails has named the input")]

#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Runs `target` on its inputs; the one that fails is named last in the output.
fn replay(name: &str, target: fn(&[u8])) -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut inputs = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    inputs.sort();
    ensure!(!inputs.is_empty(), "{} is empty: nothing would be tested", folder.display());
    for input in inputs {
        println!("{}", input.display());
        target(&fs::read(&input)?);
    }
    Ok(())
}

#[test]
fn every_message_is_an_event_or_refused() -> Result<()> {
    replay("envelope", targets::envelope)
}

#[test]
fn every_key_comes_back() -> Result<()> {
    replay("keys", targets::keys)
}

#[test]
fn every_config_is_within_bounds_or_refused_in_its_place() -> Result<()> {
    replay("config", targets::config)
}

#[test]
fn whatever_guests_return_is_safe_or_refused() -> Result<()> {
    replay("results", targets::results)
}
