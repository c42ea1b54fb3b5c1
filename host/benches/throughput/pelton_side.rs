//! Pelton's side: the real binary, on a config of the load.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use pelton_tests::{Running, Server, binary, eventually, plugins};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::load::Load;
use crate::measure::{Run, Watch, cpu, last_effect};

/// How long a host may take to start, compiling its plugins.
const STARTING: Duration = Duration::from_secs(30);

/// Runs `load` as `app` to its end.
pub async fn run(server: &Server, load: &Load, app: &str, inputs: u64) -> Result<Run> {
    let lanes = load.modules.len() * usize::from(load.lanes);
    let watch = Watch::start(server, app, lanes, inputs).await?;
    let mut host = Host::start(&load.config(app, &server.url(), &plugins()?))?;
    let begin = host.running_since().await?;
    let before = cpu(host.running.id())?;
    let batches = watch.finished().await.with_context(|| host.log().unwrap_or_default())?;
    let (peak, cpu) = (host.peak()?, cpu(host.running.id())?.saturating_sub(before));
    let status = host.running.terminate().await?;
    ensure!(status.success(), "the host ended with {status}:\n{}", host.log()?);
    let end = last_effect(server, app).await?;
    Ok(Run { inputs, time: end - begin, cpu, batches, peak: Some(peak) })
}

struct Host {
    running: Running,
    folder: TempDir,
}

impl Host {
    fn start(config: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("pelton.toml");
        fs::write(&file, config)?;
        let log = File::create(folder.path().join("log"))?;
        let mut command = Command::new(binary("pelton")?);
        command.args(["run", "-c"]).arg(file).stdout(Stdio::null()).stderr(log);
        Ok(Self { running: Running::spawn(command)?, folder })
    }

    fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.path().join("log"))?)
    }

    /// When it had its plugins compiled and its lanes taken over, and began to read.
    async fn running_since(&mut self) -> Result<OffsetDateTime> {
        eventually("the host to run", STARTING, async || {
            let log = self.log()?;
            ensure!(self.running.ended()?.is_none(), "the host ended:\n{log}");
            let line = log.lines().find(|line| line.contains(" running "));
            let time = line.and_then(|line| line.split_whitespace().next());
            Ok(time.map(|time| OffsetDateTime::parse(time, &Rfc3339)).transpose()?)
        })
        .await
    }

    /// The most memory that it had resident, in bytes, as Linux counts it.
    fn peak(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.running.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1_024)
    }
}
