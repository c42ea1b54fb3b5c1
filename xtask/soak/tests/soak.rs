//! Whatever way a soak ends, it leaves nothing running.

use std::{fs, process::Command, process::Stdio, time::Duration};

use anyhow::Result;
use pelton_tests::{Running, eventually, plugins};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(90);
/// Servers of a soak.
const NODES: usize = 3;

/// A soak with a folder of its own, which all its processes name.
struct Soak {
    temporary: TempDir,
    running: Running,
}

impl Soak {
    /// Starts one, and waits until its servers and a host run.
    async fn start() -> Result<Self> {
        let temporary = tempfile::tempdir()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_pelton-soak"));
        command.env("TMPDIR", temporary.path()).env("PELTON_PLUGINS", plugins()?).stdout(Stdio::null());
        let soak = Self { running: Running::spawn(command)?, temporary };
        eventually("servers and a host", DEADLINE, async || Ok((soak.processes()? > NODES).then_some(()))).await?;
        Ok(soak)
    }

    /// How many processes name its folder.
    fn processes(&self) -> Result<usize> {
        let folder = self.temporary.path().display().to_string();
        let named = fs::read_dir("/proc")?.flatten().filter(|process| {
            let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&arguments).contains(&folder)
        });
        Ok(named.count())
    }

    async fn leaves_nothing_running(&self) -> Result<()> {
        eventually("the end of all processes", DEADLINE, async || Ok((self.processes()? == 0).then_some(()))).await
    }
}

#[tokio::test]
async fn an_interrupted_soak_leaves_neither_processes_nor_files() -> Result<()> {
    let mut soak = Soak::start().await?;
    assert_eq!(soak.running.terminate().await?.code(), Some(130));
    soak.leaves_nothing_running().await?;
    assert_eq!(fs::read_dir(soak.temporary.path())?.count(), 0);
    Ok(())
}

#[tokio::test]
async fn a_killed_soak_leaves_no_process() -> Result<()> {
    let mut soak = Soak::start().await?;
    soak.running.kill9()?;
    soak.leaves_nothing_running().await
}
