//! `cargo xtask test`: all tests, against a real nats-server and the plugins as built for wasm.

use anyhow::Result;

use crate::{
    build,
    step::{cargo, cargo_in_plugins, step},
    tools,
};

/// Builds what the tests run, then tests plugins and workspace; `args` go to the workspace's tests.
pub fn run(args: &[String]) -> Result<()> {
    tools::install()?;
    build::plugins()?;
    step("test the plugins", cargo_in_plugins().arg("test"))?;
    build::workspace()?;
    let mut tests = cargo();
    tests
        .args(["test", "--workspace"])
        .args(args)
        .envs(build::environment()?);
    step("test the workspace", &mut tests)
}
