//! What it costs to enforce the limits of a module. Run by `cargo xtask bench limits`.
//!
//! First wasmtime alone: one guest, the same answer each time, on engines and stores with one limit more each. Then
//! Pelton's own call with all of them, and the checks that the host does by itself. Variants take turns in rounds; shown
//! are the medians, and the difference to wasmtime without any limit.
//!
//! What cannot be told apart: wasmtime checks the stack at each function and counts handles and the bytes of a host call
//! whether a limit is set or not; the limit is only the number that it compares with.
#![allow(clippy::print_stdout, reason = "printing is what a bench does")]

mod bare;
mod own;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Something that is done many times.
type Work<'a> = Box<dyn FnMut() -> Result<()> + 'a>;

const ROUNDS: usize = 21;

/// What the guest `probe` is asked for: four small events.
pub const ORDERS: &str = r#"[{"emit":{"n":4}}]"#;

fn main() -> Result<()> {
    let plugin = pelton_tests::plugins()?.join("probe.wasm");
    let component = bare::component(&std::fs::read(&plugin)?)?;
    let variants = bare::variants(&component)?;

    let mut calls: Vec<(String, Work)> = Vec::new();
    for variant in &variants {
        calls.push((variant.name.to_owned(), variant.call()?));
    }
    calls.push(("Pelton's call: all limits, the event handed over, the log ended".to_owned(), own::call(&plugin)?));
    compare("one call", calls, 1_000)?;

    let mut instances: Vec<(String, Work)> = Vec::new();
    for variant in &variants {
        instances.push((variant.name.to_owned(), Box::new(|| variant.instantiate())));
    }
    instances.push(("Pelton's instance".to_owned(), own::instance(&plugin)?));
    compare("one instance", instances, 200)?;

    compare("checks of the host, each by itself", own::checks()?, 1_000)
}

/// Does all of `works` in turns, and prints how long each took beside the first.
fn compare(title: &str, mut works: Vec<(String, Work)>, times: u32) -> Result<()> {
    let mut taken: Vec<Vec<Duration>> = vec![Vec::new(); works.len()];
    for _ in 0..ROUNDS {
        for ((_, work), taken) in works.iter_mut().zip(&mut taken) {
            let start = Instant::now();
            for _ in 0..times {
                work()?;
            }
            taken.push(start.elapsed() / times);
        }
    }
    println!("\n{title}, {ROUNDS} rounds of {times}");
    let mut first = None;
    for ((name, _), mut taken) in works.iter().zip(taken) {
        taken.sort();
        let median = taken.get(ROUNDS / 2).context("no round")?.as_nanos();
        let first = *first.get_or_insert(median);
        println!("{median:>9} ns  {:+9} ns  {name}", i128::try_from(median)? - i128::try_from(first)?);
    }
    Ok(())
}
