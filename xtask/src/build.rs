//! Builds the workspace and the plugins, and says where they are.

use std::{ffi::OsString, path::PathBuf};

use anyhow::Result;

use crate::{
    locate,
    step::{cargo, cargo_in_plugins, root, step},
};

/// The target that plugins are built for.
pub const WASM: &str = "wasm32-unknown-unknown";

/// Builds all binaries. Always the whole workspace: a part of it would use its dependencies with other features,
/// and so build most of them a second time.
pub fn workspace() -> Result<()> {
    step(
        "build the workspace",
        cargo().args(["build", "--workspace"]),
    )
}

/// Builds the plugins for wasm.
pub fn plugins() -> Result<()> {
    let mut command = cargo_in_plugins();
    command.args([
        "build",
        "--release",
        "--target",
        WASM,
        "--target-dir",
        "target",
    ]);
    step("build the plugins", &mut command)
}

/// What demo, tests and benches are told about the server and the plugins to use.
pub fn environment() -> Result<[(&'static str, OsString); 2]> {
    Ok([
        ("PELTON_NATS_SERVER", locate::nats_server()?.into()),
        ("PELTON_PLUGINS", plugins_folder().into()),
    ])
}

fn plugins_folder() -> PathBuf {
    root().join("plugins/target").join(WASM).join("release")
}
