//! Builds the workspace and what runs as wasm, and says where it is.

use std::ffi::OsString;

use anyhow::Result;

use crate::{
    locate,
    step::{cargo, cargo_in, step, wasm_target},
};

/// The target that plugins are built for.
pub const WASM: &str = "wasm32-unknown-unknown";
/// The target of ready-made components, which import WASI. Only a test needs one.
pub const WASI: &str = "wasm32-wasip2";
/// The workspace of the example plugins.
pub const PLUGINS: &str = "plugins";
/// The workspace of the guests that only tests run.
pub const GUESTS: &str = "tests/guests";

/// Builds all binaries. Always the whole workspace: a part of it would use its dependencies with other features,
/// and so build most of them a second time.
pub fn workspace(environment: &[(&str, &str)]) -> Result<()> {
    step("build the workspace", cargo().args(["build", "--workspace"]).envs(environment.iter().copied()))
}

/// Builds one of the two workspaces for wasm.
pub fn wasm(folder: &str) -> Result<()> {
    let mut command = cargo_in(folder);
    command.args(["build", "--workspace", "--release", "--target", WASM]);
    step(&format!("build {folder} for wasm"), &mut command)
}

/// Builds what only tests run: all guests for wasm, and one of them as a ready-made component too.
pub fn guests() -> Result<()> {
    wasm(GUESTS)?;
    let mut command = cargo_in(GUESTS);
    command.args(["build", "--package", "probe", "--release", "--target", WASI]);
    step("build a guest with WASI", &mut command)
}

/// What demo, tests and benches are told about the server and the plugins to use.
pub fn environment() -> Result<[(&'static str, OsString); 2]> {
    let plugins = wasm_target().join(WASM).join("release");
    Ok([("PELTON_NATS_SERVER", locate::nats_server()?.into()), ("PELTON_PLUGINS", plugins.into())])
}
