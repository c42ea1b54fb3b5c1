//! `cargo xtask soak`: prepares everything, then becomes the soak itself.

use std::{env, os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result};

use crate::{
    build::{self, GUESTS, PLUGINS},
    locate,
    step::step,
    tools,
};

/// How long it runs as a part of all checks, in minutes.
const IN_CI: &str = "2";

/// Replaces this process, so that whoever stops it stops the soak.
pub fn run() -> Result<()> {
    tools::install()?;
    build::wasm(PLUGINS)?;
    build::wasm(GUESTS)?;
    build::workspace(&[])?;
    let options = env::args_os().skip_while(|argument| argument != "soak").skip(1);
    Err(soak()?.args(options).exec()).context("cannot run the soak")
}

/// Runs a short one on what is built already.
pub fn briefly() -> Result<()> {
    step("soak", soak()?.args(["--minutes", IN_CI]))
}

fn soak() -> Result<Command> {
    let mut soak = Command::new(locate::binary("pelton-soak")?);
    soak.envs(build::environment()?);
    Ok(soak)
}
