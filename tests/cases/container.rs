//! The container file, as far as that can be told without a container engine: what it copies is enough for cargo, and its
//! health check tells what the host does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use pelton_tests::{App, SOON, eventually};

use crate::probe;

const FILE: &str = include_str!("../../docs/container/Containerfile");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What the file copies from the repository into the build, folder by folder and file by file.
fn copied() -> Vec<&'static str> {
    let build = FILE.lines().take_while(|line| !line.starts_with("RUN "));
    let copies = build.filter_map(|line| line.strip_prefix("COPY "));
    copies.flat_map(|copy| copy.split(' ').filter(|path| *path != "./")).collect()
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_file() {
        fs::copy(from, to).with_context(|| from.display().to_string())?;
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        // As its ignore file says.
        if !["target", "node_modules", "__pycache__", ".pelton"].iter().any(|left_out| name == *left_out) {
            copy(&path, &to.join(name))?;
        }
    }
    Ok(())
}

#[test]
fn what_the_container_file_copies_is_what_cargo_needs_to_build_the_host() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let copied = copied();
    ensure!(copied.contains(&"host") && copied.contains(&"Cargo.lock"), "{copied:?}");
    for path in &copied {
        copy(&root().join(path), &folder.path().join(path))?;
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--offline", "--format-version", "1", "--manifest-path"]);
    let output = cargo.arg(folder.path().join("host/Cargo.toml")).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Whether `alive` finds the host well.
fn is_well(path: &str, port: &str) -> Result<bool> {
    let mut alive = Command::new("bash");
    alive.arg(root().join("docs/container/alive")).args([path, port]).stderr(Stdio::null());
    Ok(alive.status().context("bash does not run")?.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_check_of_the_container_tells_whether_the_host_lives_and_runs() -> Result<()> {
    let app = App::with_input(&probe::module("on_failure = \"halt\"")).await?;
    let mut host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", "[]").await?).await?;
    let port = host.http().await?.address().port().to_string();
    eventually("the host to be ready", SOON, async || Ok(is_well("/readyz", &port)?.then_some(()))).await?;
    assert!(is_well("/livez", &port)?);
    app.pelton_json(&["module", "pause", "probe"])?;
    assert!(is_well("/livez", &port)?);
    assert!(!is_well("/nothing", &port)?);
    host.terminate().await?;
    assert!(!is_well("/livez", &port)?);
    Ok(())
}
