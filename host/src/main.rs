//! The binary `pelton`: parses the command line and does what it says.

use std::process::ExitCode;

use pelton::cli;

/// Events are made of many small texts; this allocator is the faster one for them on many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::parse() {
        Ok(cli) => cli::main(cli).await,
        Err(code) => code,
    }
}
