//! `cargo xtask bench`: Pelton beside a native pipeline that does the same work, and its limits beside none.

use anyhow::Result;

use crate::{
    build::{self, GUESTS, PLUGINS},
    step::{cargo, step},
    tools,
};

/// What is measured.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Bench {
    /// Inputs a second, beside a native pipeline that does the same work
    Throughput,
    /// What it costs to enforce limits, beside wasmtime without any
    Limits,
    /// What heartbeats and checkpoints cost the server
    Ownership,
}

/// Builds, optimised as `cargo install` does it, then runs the bench with `args`.
pub fn run(which: Bench, args: &[String]) -> Result<()> {
    let name = match which {
        Bench::Throughput => "throughput",
        Bench::Limits => "limits",
        Bench::Ownership => "ownership",
    };
    tools::install()?;
    build::wasm(PLUGINS)?;
    build::wasm(GUESTS)?;
    let mut bench = cargo();
    bench.args(["bench", "--workspace", "--bench", name, "--"]).args(args).envs(build::environment()?);
    step("bench", &mut bench)
}
