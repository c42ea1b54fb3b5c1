//! The `pelton` binary at work on a config file, with its log in a file.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{Http, locate, process::Running, wait::eventually};

/// A running `pelton run`. Dropped, it is killed.
#[derive(Debug)]
pub struct Host {
    running: Running,
    log: PathBuf,
    /// How much of the log is older than this host.
    older: usize,
}

impl Host {
    /// Starts `pelton run -c config`, and appends what it logs to the file `log`.
    pub fn start(config: &Path, log: &Path) -> Result<Self> {
        Self::start_with(config, log, &[])
    }

    /// Starts a host in an environment with these variables.
    pub fn start_with(config: &Path, log: &Path, environment: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(locate::binary("pelton")?);
        command.arg("run").arg("-c").arg(config).envs(environment.iter().copied());
        Self::of(command, log)
    }

    /// Starts the host that `command` is.
    pub fn of(mut command: Command, log: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let older = usize::try_from(file.metadata()?.len())?;
        command.stdout(Stdio::null()).stderr(file);
        Ok(Self { running: Running::spawn(command)?, log: log.to_path_buf(), older })
    }

    /// The lines logged so far.
    pub fn log(&self) -> Result<Vec<String>> {
        let bytes = fs::read(&self.log)?;
        Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
    }

    /// A client of the HTTP server that the host logs to have.
    pub async fn http(&self) -> Result<Http> {
        let address = eventually("the host to serve HTTP", Duration::from_secs(20), async || {
            let log = fs::read(&self.log)?;
            let log = String::from_utf8_lossy(log.get(self.older..).unwrap_or_default()).into_owned();
            let line = log.lines().find(|line| line.contains("serving HTTP")).map(str::to_owned);
            Ok(line.and_then(|line| line.split_once("address=")?.1.split_whitespace().next()?.parse().ok()))
        });
        Ok(Http::at(address.await?))
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// The exit status if the host has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.running.ended()
    }

    /// Waits for the host to end by itself.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.running.wait(deadline).await
    }

    /// Asks it to finish what is in hand (SIGTERM).
    pub fn ask_to_end(&mut self) -> Result<()> {
        self.running.ask_to_end()
    }

    /// The same, and waits until it has.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.running.terminate().await
    }

    /// Lets it do nothing, as a machine that hangs would, until [`Host::wake`].
    pub fn freeze(&self) -> Result<()> {
        self.running.freeze()
    }

    /// Lets it go on.
    pub fn wake(&self) -> Result<()> {
        self.running.wake()
    }

    /// Ends it at once, as a crash would.
    pub fn kill9(&mut self) -> Result<()> {
        self.running.kill9()
    }
}
