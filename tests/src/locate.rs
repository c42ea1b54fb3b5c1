//! Finds the binaries: `pelton` beside the running test, and a nats-server that is new enough.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// The oldest server with several guards in one atomic batch.
const OLDEST_SERVER: [u64; 3] = [2, 14, 4];

/// A binary of the same build as the running program.
pub fn binary(name: &str) -> Result<PathBuf> {
    let path = profile()?.join(name);
    if !path.exists() {
        bail!("{} is not built: run `cargo xtask test`", path.display());
    }
    Ok(path)
}

/// A nats-server that is new enough: `PELTON_NATS_SERVER`, else the one in [tools], else on PATH.
pub fn nats_server() -> Result<PathBuf> {
    if let Some(path) = env::var_os("PELTON_NATS_SERVER").map(PathBuf::from) {
        let found = version(&path)?;
        if !new_enough(found) {
            bail!("PELTON_NATS_SERVER is version {found:?}, older than {OLDEST_SERVER:?}");
        }
        return Ok(path);
    }
    let installed = tools()?.join("nats-server/bin/nats-server");
    [installed, PathBuf::from("nats-server")]
        .into_iter()
        .find(|path| version(path).is_ok_and(new_enough))
        .context("no nats-server of version 2.14.4 or newer: run `cargo xtask test`, which installs one")
}

/// Where `cargo xtask` installs what it needs.
pub fn tools() -> Result<PathBuf> {
    Ok(target()?.join("tools"))
}

fn target() -> Result<PathBuf> {
    let profile = profile()?;
    let target = profile.parent().context("the build has no target folder")?;
    Ok(target.to_path_buf())
}

/// `target/<profile>`: the running program lies there, or in `deps` below.
fn profile() -> Result<PathBuf> {
    let program = env::current_exe().context("the running program has no path")?;
    program
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps"))
        .map(Path::to_path_buf)
        .context("the running program lies in no folder")
}

fn new_enough(version: [u64; 3]) -> bool {
    version >= OLDEST_SERVER
}

/// Reads `nats-server: v2.15.1`.
fn version(binary: &Path) -> Result<[u64; 3]> {
    let output =
        Command::new(binary).arg("--version").output().with_context(|| format!("{} does not run", binary.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse_version(&text).with_context(|| format!("{} says {text:?}", binary.display()))
}

fn parse_version(text: &str) -> Option<[u64; 3]> {
    let numbers = text.trim().rsplit('v').next()?.split('-').next()?;
    let mut parts = numbers.split('.').map(|part| part.parse().ok());
    Some([parts.next()??, parts.next()??, parts.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        let accepted = |text| parse_version(text).map(new_enough);
        assert_eq!(accepted("nats-server: v2.15.1\n"), Some(true));
        assert_eq!(accepted("nats-server: v2.14.4"), Some(true));
        assert_eq!(accepted("nats-server: v2.16.0-RC.1"), Some(true));
        assert_eq!(accepted("nats-server: v2.9.25"), Some(false));
        assert_eq!(accepted("something else"), None);
    }
}
