//! `cargo xtask sim`: runs seeds of the simulation in `host/src/simulation`; one that breaks a guarantee fails it.

use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::step::cargo;

/// The test that runs seeds.
const TEST: &str = "simulation::seeds::whatever_fails_effects_are_stored_once_and_in_order_and_hosts_settle";
/// What its report begins with.
const REPORT: &str = "simulation: ";

/// Which seeds to run.
#[derive(clap::Args)]
pub struct Options {
    /// How many seeds
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Begin no more seeds after so many minutes
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: Option<u64>,
}

/// Runs them on all cores, and prints what they came to.
pub fn run(options: &Options) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--lib", "--", "--exact", TEST, "--nocapture"]);
    command.env("PELTON_SEEDS", options.seeds.to_string()).env("PELTON_SEED", options.seed.to_string());
    command.envs(options.minutes.map(|minutes| ("PELTON_MINUTES", minutes.to_string())));
    // The other crates' tests say that there is nothing to run.
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot run {command:?}"))?;
    let told = String::from_utf8_lossy(&output.stdout);
    let report = told.find(REPORT).and_then(|at| told.get(at..)).unwrap_or_default();
    let lines = report.lines().enumerate().take_while(|(at, line)| *at == 0 || line.starts_with("  "));
    lines.for_each(|(_, line)| println!("{line}"));
    if !output.status.success() {
        bail!("the simulation failed; a seed that breaks a guarantee is named above");
    }
    if report.is_empty() {
        bail!("nothing was simulated: the host has no test {TEST}");
    }
    Ok(())
}
