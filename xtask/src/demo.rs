//! `cargo xtask demo`: prepares everything, then becomes the demo itself.

use std::{env, os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result};

use crate::{
    build::{self, PLUGINS},
    locate, tools,
};

/// Replaces this process, so that whoever stops it stops the demo.
pub fn run() -> Result<()> {
    tools::install()?;
    if locate::binary("pelton").is_err() {
        println!("The first build takes some minutes.");
    }
    build::wasm(PLUGINS)?;
    build::workspace(&[])?;
    let mut demo = Command::new(locate::binary("pelton-demo")?);
    let options = env::args_os().skip_while(|argument| argument != "demo").skip(1);
    demo.args(options).envs(build::environment()?);
    Err(demo.exec()).context("cannot run the demo")
}
