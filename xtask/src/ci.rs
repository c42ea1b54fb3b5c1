//! `cargo xtask ci`: the one gate, cheapest checks first.

use anyhow::Result;

use crate::{
    build::WASM,
    step::{cargo, cargo_in_plugins, step},
    test, tools,
};

const STRICT: [&str; 3] = ["--", "-D", "warnings"];

/// Runs every check; the first that fails ends it.
pub fn run() -> Result<()> {
    tools::install()?;
    step("format", cargo().args(["fmt", "--all", "--check"]))?;
    step(
        "format of the plugins",
        cargo_in_plugins().args(["fmt", "--all", "--check"]),
    )?;

    let lint = ["clippy", "--workspace", "--all-targets"];
    step("lints", cargo().args(lint).args(STRICT))?;
    step(
        "lints of the plugins",
        cargo_in_plugins().args(lint).args(STRICT),
    )?;
    let lint_wasm = ["clippy", "--workspace", "--target", WASM];
    step(
        "lints of the plugins for wasm",
        cargo_in_plugins().args(lint_wasm).args(STRICT),
    )?;

    test::run(&[])
}
