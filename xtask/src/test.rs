//! `cargo xtask test`: all tests, against a real nats-server and the plugins as built for wasm.

use anyhow::Result;

use crate::{
    browser,
    build::{self, PLUGINS, WASI},
    languages, schema,
    step::{cargo, cargo_in, step},
    tools,
};

/// Builds what the tests run, then tests plugins and workspace; `args` go to the workspace's tests, `environment` also to its
/// build.
pub fn run(args: &[String], environment: &[(&str, &str)]) -> Result<()> {
    tools::install()?;
    tools::target(WASI)?;
    build::wasm(PLUGINS)?;
    build::guests()?;
    languages::build()?;
    schema::install()?;
    browser::install()?;
    step("test the plugins", cargo_in(PLUGINS).args(["test", "--workspace"]))?;
    build::workspace(environment)?;
    let mut tests = cargo();
    tests.args(["test", "--workspace"]).args(args).envs(build::environment()?).envs(environment.iter().copied());
    step("test the workspace", &mut tests)
}
