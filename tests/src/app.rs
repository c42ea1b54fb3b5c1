//! One app at work: a server, a config file, the host and the command line on it, in a folder that goes at the end.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use async_nats::{
    HeaderMap,
    jetstream::{self, kv, stream},
};
use tempfile::TempDir;

use crate::{Cluster, Host, Server, locate, wait::eventually};

/// How long anything may take that is not load.
pub const SOON: Duration = Duration::from_secs(20);
/// How long load may take, on a busy machine.
pub const LONG: Duration = Duration::from_secs(180);

/// An app called `demo` on a server of its own, or on another `S`.
pub struct App<S = Server> {
    /// The server.
    pub server: S,
    /// A client that is no part of Pelton.
    pub client: async_nats::Client,
    url: String,
    folder: TempDir,
}

impl App {
    /// A server, and a config with these modules, in TOML; `plugin = "NAME"` there is a plugin or test guest of that
    /// name.
    pub async fn new(modules: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = Server::start_in(&folder.path().join("store")).await?;
        let (client, url) = (server.client().await?, server.url());
        let app = Self { server, client, url, folder };
        app.configure(modules)?;
        Ok(app)
    }

    /// The same on a server with this config, in which whoever connects without a name may work.
    pub async fn on_server(server: &str, modules: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = Server::start_with(&folder.path().join("store"), server, &[]).await?;
        let (client, url) = (server.client().await?, server.url());
        let app = Self { server, client, url, folder };
        app.configure(modules)?;
        Ok(app)
    }

    /// An app with the stream `IN` on the subjects `in.>`.
    pub async fn with_input(modules: &str) -> Result<Self> {
        let app = Self::new(modules).await?;
        app.stream("IN", "in.>").await?;
        Ok(app)
    }

    /// Where the server keeps a stream: to be copied or put back while the server is stopped.
    pub fn store(&self, stream: &str) -> PathBuf {
        self.folder.path().join("store/jetstream/$G/streams").join(stream)
    }
}

impl App<Cluster> {
    /// The same on a cluster.
    pub async fn on_cluster(modules: &str) -> Result<Self> {
        let (server, folder) = (Cluster::start().await?, tempfile::tempdir()?);
        let (client, url) = (server.client().await?, server.url());
        let app = Self { server, client, url, folder };
        app.configure(modules)?;
        Ok(app)
    }
}

impl<S> App<S> {
    /// Writes another config with these modules.
    pub fn configure(&self, modules: &str) -> Result<()> {
        self.configure_http("listen = \"127.0.0.1:0\"", modules)
    }

    /// The same, with this in the table `http`.
    pub fn configure_http(&self, http: &str, modules: &str) -> Result<()> {
        let head = format!("app = \"demo\"\nnats = {{ url = \"{}\" }}\n", self.url);
        let folder = plugins()?;
        let modules = modules.replace("plugin = \"", &format!("plugin = \"{}/", folder.display()));
        fs::write(self.config(), format!("{head}{modules}\n[http]\n{http}\n"))?;
        Ok(())
    }

    /// The path of the config file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("pelton.toml")
    }

    /// The folder of the config file.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a host whose log goes to `pelton.log`.
    pub fn host(&self) -> Result<Host> {
        self.host_called("pelton")
    }

    /// Starts a host with a log of that name.
    pub fn host_called(&self, name: &str) -> Result<Host> {
        Host::start(&self.config(), &self.folder.path().join(format!("{name}.log")))
    }

    /// Starts a host with a log of that name, and with these arguments.
    pub fn host_told(&self, name: &str, arguments: &[&str]) -> Result<Host> {
        let mut command = self.verb(&["run"])?;
        command.args(arguments);
        Host::of(command, &self.folder.path().join(format!("{name}.log")))
    }

    /// Starts a host that panics at a place, `PLACE/WHAT=N`, as `failpoint.rs` of the host describes.
    pub fn failing_host(&self, place: &str) -> Result<Host> {
        self.host_with(&[("PELTON_FAIL", place)])
    }

    /// Starts a host in an environment with these variables.
    pub fn host_with(&self, environment: &[(&str, &str)]) -> Result<Host> {
        Host::start_with(&self.config(), &self.folder.path().join("pelton.log"), environment)
    }

    /// Runs a verb of the command line on this app's config.
    pub fn pelton(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.verb(arguments)?.output()?)
    }

    /// The same, for verbs that are to succeed: what it prints as JSON.
    pub fn pelton_json(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let output = self.verb(arguments)?.args(["-o", "json"]).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pelton {}: {said}", arguments.join(" "));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// A verb of the command line on this app's config, to be run.
    pub fn verb(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(locate::binary("pelton")?);
        command.args(arguments).arg("-c").arg(self.config()).stdin(std::process::Stdio::null());
        Ok(command)
    }

    /// JetStream, for a client that is no part of Pelton.
    pub fn jetstream(&self) -> jetstream::Context {
        jetstream::new(self.client.clone())
    }

    /// Makes an input stream.
    pub async fn stream(&self, name: &str, subjects: &str) -> Result<stream::Stream> {
        let config = stream::Config { name: name.into(), subjects: vec![subjects.into()], ..stream::Config::default() };
        Ok(self.jetstream().create_stream(config).await?)
    }

    /// Publishes a bare message and waits until it is stored; gives its position.
    pub async fn publish(&self, subject: &str, payload: impl Into<bytes::Bytes>) -> Result<u64> {
        Ok(self.jetstream().publish(subject.to_owned(), payload.into()).await?.await?.sequence)
    }

    /// Publishes a message with headers and waits until it is stored; gives its position.
    pub async fn publish_with(&self, subject: &str, headers: &[(&str, &str)], payload: &str) -> Result<u64> {
        let mut map = HeaderMap::new();
        headers.iter().for_each(|(name, value)| map.append(*name, *value));
        let context = self.jetstream();
        let stored = context.publish_with_headers(subject.to_owned(), map, payload.to_owned().into()).await?;
        Ok(stored.await?.sequence)
    }

    /// The app's bucket, as a stock client sees it.
    pub async fn bucket(&self) -> Result<kv::Store> {
        Ok(self.jetstream().get_key_value("demo").await?)
    }

    /// The value of a view's key in its first generation; none while there is no bucket or no value.
    pub async fn view(&self, view: &str, encoded_key: &str) -> Result<Option<bytes::Bytes>> {
        let Ok(bucket) = self.bucket().await else { return Ok(None) };
        Ok(bucket.get(format!("{view}.1.{encoded_key}")).await?)
    }

    /// Waits until `module` has done every input of its lanes up to `covered`.
    pub async fn covered(&self, module: &str, lanes: u16, covered: u64) -> Result<()> {
        self.covered_within(module, lanes, covered, SOON).await
    }

    /// The same with a deadline.
    pub async fn covered_within(&self, module: &str, lanes: u16, covered: u64, deadline: Duration) -> Result<()> {
        let what = format!("module {module} to cover {covered}");
        let waited = eventually(&what, deadline, async || {
            let checkpoints = crate::stored::checkpoints(self, module, lanes).await.unwrap_or_default();
            let done = checkpoints.len() == usize::from(lanes) && checkpoints.iter().all(|c| c.covered >= covered);
            Ok(done.then_some(()))
        });
        waited.await.with_context(|| self.log_end())
    }

    /// The ends of the logs of all hosts, for messages of failed tests.
    pub fn log_end(&self) -> String {
        let files = fs::read_dir(self.folder.path()).into_iter().flatten().flatten().map(|entry| entry.path());
        let logs = files.filter(|path| path.extension().is_some_and(|kind| kind == "log"));
        let end = |path: PathBuf| {
            let log = fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines.get(lines.len().saturating_sub(25)..).unwrap_or_default().join("\n");
            format!("{}:\n{end}", path.display())
        };
        logs.map(end).collect::<Vec<_>>().join("\n")
    }
}

/// Waits until a line of the host's log holds all of `parts`.
pub async fn logged(host: &Host, parts: &[&str]) -> Result<String> {
    let what = format!("a log line with {parts:?}");
    let found = eventually(&what, SOON, async || {
        Ok(host.log()?.into_iter().find(|line| parts.iter().all(|part| line.contains(part))))
    });
    found.await.with_context(|| host.log().unwrap_or_default().join("\n"))
}

/// The folder of the plugins and test guests, built for wasm.
pub fn plugins() -> Result<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/target/wasm32-unknown-unknown/release");
    let folder = std::env::var_os("PELTON_PLUGINS").map_or(built, PathBuf::from);
    ensure!(folder.join("probe.wasm").exists(), "the plugins are not built: run `cargo xtask test`");
    Ok(folder.canonicalize()?)
}

/// The guest `probe` as a ready-made component, which imports WASI.
pub fn wasi_probe() -> Result<PathBuf> {
    let file = plugins()?.join("../../wasm32-wasip2/release/probe.wasm");
    file.canonicalize().context("the probe is not built for WASI: run `cargo xtask test`")
}
