//! Chaos against real processes: three hosts on a cluster of three servers, under load, while both are killed, stopped and cut off
//! at random. The oracle says whether every input had its effects once. Run by `cargo xtask soak`.
#![allow(clippy::print_stdout, reason = "printing is what this tool does")]
#![cfg_attr(test, allow(clippy::indexing_slicing, reason = "what is not there fails the test"))]

mod busy;
mod chaos;
mod fleet;
mod folder;
mod follow;
mod history;
mod journal;
mod judge;
mod lag;
mod latency;
mod load;
mod operator;
mod options;
mod plan;
mod records;
mod report;
mod story;
mod verdict;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use folder::Folder;
use options::Options;
use pelton_demo::supervise;

/// What the soak ends with when it could not do its work.
const FAILED: u8 = 2;
/// What a shell reports for a program ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

#[derive(Parser)]
#[command(name = "cargo xtask soak", bin_name = "cargo xtask soak")]
struct Command {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    run(Command::parse().options).await.unwrap_or_else(|error| {
        println!("error: {}", supervise::explain(&error));
        FAILED.into()
    })
}

/// Runs the soak. Whatever way it ends, all processes end with it.
async fn run(options: Options) -> Result<ExitCode> {
    let plugins = pelton_tests::plugins().context("run this as `cargo xtask soak`")?;
    let folder = Folder::new(&plugins)?;
    let outcome = tokio::select! {
        biased;
        outcome = supervise::interrupted() => {
            outcome?;
            println!("\nInterrupted.");
            return Ok(INTERRUPTED.into());
        }
        outcome = story::tell(&options, &folder) => outcome,
    };
    let (good, outcome) = match outcome {
        Ok(report) => {
            println!("{}", report.text());
            (report.violations().is_empty(), Ok(()))
        }
        Err(error) => (false, Err(error)),
    };
    if options.keep || !good {
        println!("\nLogs and records are in {}", folder.keep().display());
    }
    outcome?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
