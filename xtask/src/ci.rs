//! `cargo xtask ci`: the one gate, cheapest checks first.

use anyhow::Result;

use crate::{
    build::{GUESTS, PLUGINS, WASM},
    deny, languages, soak,
    step::{cargo, cargo_in, step},
    test, tools,
};

const FORMAT: [&str; 3] = ["fmt", "--all", "--check"];
const LINT: [&str; 3] = ["clippy", "--workspace", "--all-targets"];
/// Cargo lints what it builds. Run by itself, clippy would go through every dependency once more, which takes longer than
/// all of the tests.
const LINTED: [(&str, &str); 2] =
    [("RUSTC_WORKSPACE_WRAPPER", "clippy-driver"), ("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__")];
const LINT_WASM: [&str; 4] = ["clippy", "--workspace", "--target", WASM];
const STRICT: [&str; 3] = ["--", "-D", "warnings"];

/// Runs every check; the first that fails ends it.
pub fn run() -> Result<()> {
    tools::install()?;
    step("format", cargo().args(FORMAT))?;
    for folder in [PLUGINS, GUESTS] {
        step(&format!("format of {folder}"), cargo_in(folder).args(FORMAT))?;
    }
    deny::run()?;
    step("build with lints", cargo().args(["build", "--workspace", "--all-targets"]).envs(LINTED))?;
    step("lints of plugins", cargo_in(PLUGINS).args(LINT).args(STRICT))?;
    for folder in [PLUGINS, GUESTS] {
        step(&format!("lints of {folder} for wasm"), cargo_in(folder).args(LINT_WASM).args(STRICT))?;
    }
    let [wrapper, lints] = LINTED;
    test::run(&[], &[languages::ALL, wrapper, lints])?;
    soak::briefly()
}
