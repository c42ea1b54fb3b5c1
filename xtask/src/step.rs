//! Runs a command as a step: says what runs, how long it took, and which step failed.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, bail};

/// Runs `command` with its output as it comes.
pub fn step(title: &str, command: &mut Command) -> Result<()> {
    println!("── {title}");
    let start = Instant::now();
    let status = command.status().with_context(|| format!("{title}: cannot run {command:?}"))?;
    if !status.success() {
        bail!("{title} failed ({status})");
    }
    println!("── {title}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Cargo in the main workspace.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // What `cargo run` tells about this tool's own package makes build scripts that look at it run again.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Cargo in one of the workspaces for wasm, which build into one folder.
pub fn cargo_in(folder: &str) -> Command {
    let mut command = cargo();
    command.current_dir(root().join(folder)).env("CARGO_TARGET_DIR", wasm_target());
    command
}

/// Cargo's target folder of the workspaces for wasm.
pub fn wasm_target() -> PathBuf {
    root().join("plugins/target")
}

/// The root of the repository.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}
