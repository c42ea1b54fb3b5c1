//! A nats-server with JetStream on a free port, with its store in a folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tempfile::TempDir;

use crate::{locate, process::Running, wait::eventually};

const STARTING: Duration = Duration::from_secs(30);
/// The server's config, in its folder, if it has one.
const CONFIG: &str = "nats-server.conf";
/// What it logs, in its folder.
const LOG: &str = "nats-server.log";
/// While the server is down its port may be taken for a moment, even by a client that tries to reconnect.
const ATTEMPTS: u32 = 5;

/// A running server. Dropped, it is killed, and its temporary folder is removed.
#[derive(Debug)]
pub struct Server {
    running: Running,
    port: u16,
    folder: PathBuf,
    /// What it is told beyond what every server is told.
    arguments: Vec<String>,
    _temporary: Option<TempDir>,
}

impl Server {
    /// Starts a server with a store of its own, which goes when the server goes.
    pub async fn start() -> Result<Self> {
        let temporary = tempfile::tempdir()?;
        let server = Self::start_in(temporary.path()).await?;
        Ok(Self { _temporary: Some(temporary), ..server })
    }

    /// Starts a server on the store in `folder`, which stays.
    pub async fn start_in(folder: &Path) -> Result<Self> {
        Self::start_as(folder, Vec::new()).await
    }

    /// Starts a server with these arguments, on the store in `folder`, which stays.
    pub(crate) async fn start_as(folder: &Path, arguments: Vec<String>) -> Result<Self> {
        let (running, port) = launch(folder, None, &arguments, &[]).await?;
        Ok(Self { running, port, folder: folder.to_path_buf(), arguments, _temporary: None })
    }

    /// Starts a server with this config, in an environment with these variables, on the store in `folder`, which stays.
    pub async fn start_with(folder: &Path, config: &str, environment: &[(&str, &str)]) -> Result<Self> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join(CONFIG), config)?;
        let (running, port) = launch(folder, None, &[], environment).await?;
        Ok(Self { running, port, folder: folder.to_path_buf(), arguments: Vec::new(), _temporary: None })
    }

    /// Has the server take another config, and waits until it has.
    pub async fn reload(&self, config: &str) -> Result<()> {
        let reloaded = || -> Result<usize> {
            Ok(fs::read_to_string(self.folder.join(LOG))?.matches("Reloaded server configuration").count())
        };
        let before = reloaded()?;
        fs::write(self.folder.join(CONFIG), config)?;
        self.running.hang_up()?;
        let taken =
            eventually("the server to take its config", STARTING, async || Ok((reloaded()? > before).then_some(())));
        taken.await.with_context(|| fs::read_to_string(self.folder.join(LOG)).unwrap_or_default())
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address for clients.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The address at which it tells of itself, if its config has it do so.
    pub fn monitoring(&self) -> Result<String> {
        let ports = ports_in(&self.folder)?.context("no ports file")?;
        ports.monitoring.into_iter().next().context("it tells nothing of itself")
    }

    /// Connects a client.
    pub async fn client(&self) -> Result<async_nats::Client> {
        let url = self.url();
        async_nats::connect(&url).await.with_context(|| format!("cannot connect to {url}"))
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// Lets it do nothing, as a machine that hangs would, until [`Server::wake`].
    pub fn freeze(&self) -> Result<()> {
        self.running.freeze()
    }

    /// Lets it go on.
    pub fn wake(&self) -> Result<()> {
        self.running.wake()
    }

    /// Ends the server at once, as a crash would.
    pub fn kill9(&mut self) -> Result<()> {
        self.running.kill9()
    }

    /// Lets the server shut down in order.
    pub async fn stop(&mut self) -> Result<()> {
        self.running.terminate().await?;
        Ok(())
    }

    /// Starts it again on the same port and store, after [Self::kill9] or [Self::stop].
    pub async fn restart(&mut self) -> Result<()> {
        let mut outcome = launch(&self.folder, Some(self.port), &self.arguments, &[]).await;
        for _ in 1..ATTEMPTS {
            if outcome.is_ok() {
                break;
            }
            outcome = launch(&self.folder, Some(self.port), &self.arguments, &[]).await;
        }
        (self.running, self.port) = outcome?;
        Ok(())
    }
}

#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
    #[serde(default)]
    monitoring: Vec<String>,
}

/// Starts the server and waits until it has written which port it listens on.
async fn launch(
    folder: &Path,
    port: Option<u16>,
    arguments: &[String],
    environment: &[(&str, &str)],
) -> Result<(Running, u16)> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for left_by_a_crash in ports_files(folder)? {
        fs::remove_file(left_by_a_crash)?;
    }
    let log = folder.join(LOG);
    let port = port.map_or("-1".into(), |port| port.to_string());
    let mut command = Command::new(locate::nats_server()?);
    command.args(["-a", "127.0.0.1", "-p", &port, "-js"]);
    command.arg("-sd").arg(folder).arg("--ports_file_dir").arg(folder).arg("-l").arg(&log).args(arguments);
    if folder.join(CONFIG).exists() {
        command.arg("-c").arg(folder.join(CONFIG)).envs(environment.iter().copied());
    }
    let mut running = Running::spawn(command)?;
    let port = eventually("the ports file of nats-server", STARTING, async || {
        if let Some(status) = running.ended()? {
            bail!("nats-server ended at once ({status}); its log is {}", log.display());
        }
        port_in(folder)
    })
    .await?;
    Ok((running, port))
}

/// Reads the port, once the file that names it is there and whole.
fn port_in(folder: &Path) -> Result<Option<u16>> {
    let Some(ports) = ports_in(folder)? else { return Ok(None) };
    let port = ports.nats.first().and_then(|url| url.rsplit(':').next());
    Ok(port.and_then(|port| port.parse().ok()))
}

fn ports_in(folder: &Path) -> Result<Option<Ports>> {
    let Some(file) = ports_files(folder)?.pop() else { return Ok(None) };
    Ok(serde_json::from_slice(&fs::read(file)?).ok())
}

/// The server names the file after its process.
fn ports_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let files: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    Ok(files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "ports")).collect())
}
