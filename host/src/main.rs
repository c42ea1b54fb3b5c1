//! The binary `pelton`: parses the command line and does what it says.

use std::process::ExitCode;

use clap::Parser;
use pelton::cli::{self, Cli};

/// Events are made of many small texts; this allocator is the faster one for them on many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    cli::main(Cli::parse()).await
}
