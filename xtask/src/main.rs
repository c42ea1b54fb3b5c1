//! `cargo xtask VERB`: what is done with this repository, the same here and in CI.
#![allow(clippy::print_stdout, reason = "printing is what this tool does")]

mod bench;
mod browser;
mod build;
mod ci;
mod demo;
mod deny;
mod fuzz;
mod languages;
#[path = "../../tests/src/locate.rs"]
#[allow(dead_code, reason = "shared with the test support, which is too heavy to be built for this tool")]
mod locate;
#[path = "../demo/src/options.rs"]
#[allow(dead_code, reason = "shared with the demo: refused here before anything is built, read there")]
mod options;
mod schema;
mod sim;
mod soak;
#[path = "../soak/src/options.rs"]
#[allow(dead_code, reason = "shared with the soak: refused here before anything is built, read there")]
mod soak_options;
mod step;
mod test;
mod tools;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// What a verb ends with when it could not do its work.
const FAILED: u8 = 2;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "What is done with this repository")]
enum Verb {
    /// See Pelton at work on real invoice lines, checked against an independent count
    Demo(options::Options),
    /// Run all tests against a real nats-server
    Test {
        /// Passed on to `cargo test --workspace`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Check licences, sources and known faults of dependencies
    Deny,
    /// Run every check that must pass: format, lints, builds, tests
    Ci,
    /// Measure Pelton beside what does the same without it
    Bench {
        /// What to measure
        #[arg(value_enum, default_value = "throughput")]
        which: bench::Bench,
        /// Passed on to the bench
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Fuzz what Pelton reads from others: messages, keys, config files, answers of guests
    Fuzz(fuzz::Options),
    /// Simulate hosts that share lanes while everything fails that can: each seed is one run
    Sim(sim::Options),
    /// Kill, stop and cut off hosts and servers under load, and have the oracle judge what they did
    Soak(soak_options::Options),
    /// Build the plugin `flag` in JavaScript, Python and C
    Languages,
    /// Install a browser for the tests of the web page
    Browser,
    /// Install what is missing: the wasm target and nats-server
    Setup,
}

fn main() -> ExitCode {
    match run(Verb::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            FAILED.into()
        }
    }
}

fn run(verb: Verb) -> Result<()> {
    match verb {
        Verb::Demo(_) => demo::run(),
        Verb::Test { args } => test::run(&args, &[]),
        Verb::Deny => deny::run(),
        Verb::Ci => ci::run(),
        Verb::Bench { which, args } => bench::run(which, &args),
        Verb::Fuzz(options) => fuzz::run(&options),
        Verb::Sim(options) => sim::run(&options),
        Verb::Soak(_) => soak::run(),
        Verb::Languages => languages::build(),
        Verb::Browser => browser::install(),
        Verb::Setup => tools::install(),
    }
}
