//! What of other people's code is part of Pelton: locked versions, licences, sources, bans and known faults.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::Result;

use crate::{
    build::{GUESTS, PLUGINS},
    locate,
    step::{cargo, cargo_in, root, step},
    tools::succeeds,
};

const VERSION: &str = "0.20.2";

/// Checks all three workspaces by `deny.toml`.
pub fn run() -> Result<()> {
    let program = install()?;
    for folder in [".", PLUGINS, GUESTS] {
        let mut locked = cargo_in(folder);
        locked.args(["metadata", "--locked", "--format-version", "1"]).stdout(Stdio::null());
        step(&format!("locked versions of {folder}"), &mut locked)?;
        let deny = || {
            let mut command = Command::new(&program);
            command.arg("--manifest-path").arg(root().join(folder).join("Cargo.toml"));
            command.args(["--log-level", "error", "--config"]).arg(root().join("deny.toml"));
            command
        };
        step(
            &format!("licences, bans and sources of {folder}"),
            deny().args(["check", "bans", "licenses", "sources"]),
        )?;
        if succeeds(deny().args(["fetch", "db"])) {
            step(&format!("known faults of {folder}"), deny().args(["check", "--disable-fetch", "advisories"]))?;
        } else {
            println!("── known faults of {folder} are not checked: the RustSec database cannot be reached from here");
        }
    }
    Ok(())
}

/// Builds cargo-deny, if it is not there yet: no registry has its binaries.
fn install() -> Result<PathBuf> {
    let folder = locate::tools()?.join(format!("cargo-deny-{VERSION}"));
    let program = folder.join("bin/cargo-deny");
    if !program.exists() {
        let mut install = cargo();
        // Unoptimised: it is built longer than it runs.
        install.args(["install", "cargo-deny", "--debug", "--locked", "--no-default-features", "--version", VERSION]);
        step("install cargo-deny", install.arg("--root").arg(&folder))?;
    }
    Ok(program)
}
