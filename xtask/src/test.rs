//! `cargo xtask test`: all tests, against a real nats-server and the plugins as built for wasm.

use anyhow::Result;

use crate::{
    build::{self, PLUGINS, WASI},
    step::{cargo, cargo_in, step},
    tools,
};

/// Builds what the tests run, then tests plugins and workspace; `args` go to the workspace's tests.
pub fn run(args: &[String]) -> Result<()> {
    tools::install()?;
    tools::target(WASI)?;
    build::wasm(PLUGINS)?;
    build::guests()?;
    step("test the plugins", cargo_in(PLUGINS).args(["test", "--workspace"]))?;
    build::workspace()?;
    let mut tests = cargo();
    tests.args(["test", "--workspace"]).args(args).envs(build::environment()?);
    step("test the workspace", &mut tests)
}
