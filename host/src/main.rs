//! The binary `pelton`: parses the command line and does what it says.

use std::process::ExitCode;

use clap::Parser;
use pelton::cli::{self, Cli};

#[tokio::main]
async fn main() -> ExitCode {
    cli::main(Cli::parse()).await
}
