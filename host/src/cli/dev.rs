//! `pelton dev`: the app at work while it is written. Builds plugins when their sources change and takes them in without
//! a restart; starts a nats-server of its own if none is named.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{output, report, run};
use crate::config::{self, Config, Nats};
use crate::control::swap::{self, Answer, Wish};
use crate::dev::server::Server;
use crate::dev::watch::{LOOK, Seen};
use crate::dev::{SERVER, build};
use crate::host::{self, Connections, connect};
use crate::source::streams;
use crate::subject::{Name, Subjects};

#[derive(clap::Args)]
#[command(after_help = "\
Modules with build = \"COMMAND\" are built when a file beside the config changes; a plugin that changes, however that came
about, takes its module over at the next input. One that does not load changes nothing. Each event gets an instance of its
own, so that state in a global variable shows at once. Without a NATS server in config or environment one is started, with
its store in .pelton; other commands with the same config find it.

Example, in a project that `pelton new` made:
  pelton dev &
  pelton publish orders.new --data '{\"customer\":\"ada\",\"total\":42}'")]
pub struct Dev {
    /// The config file
    #[arg(short, long, default_value = "pelton.toml", env = "PELTON_CONFIG")]
    config: PathBuf,
}

impl Dev {
    pub async fn main(self) -> anyhow::Result<()> {
        let shutdown = run::told_to_stop()?;
        let mut server = None;
        while !shutdown.is_cancelled() {
            let before = Seen::files([self.config.as_path()]);
            if let Err(error) = self.session(&mut server, &shutdown).await {
                output::error(&report(error));
                info!("waiting for a change of {}, or of a source beside it", self.config.display());
                changed(&before, &self.config, &shutdown).await;
            }
        }
        Ok(())
    }

    /// Runs the app as the config says, until that changes or somebody stops it.
    async fn session(&self, server: &mut Option<Server>, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let mut config = config::load(&self.config)?;
        for module in &mut config.modules {
            module.fresh = true;
        }
        let folder = folder_of(&self.config);
        own_server(&mut config, server, &folder).await?;
        let connections = connect(&config.nats).await?;
        make_streams(&config, &connections).await?;
        let mut watched = Watched::new(&config, &folder);
        tokio::select! {
            built = build::run(&watched.builds, &folder) => built?,
            () = shutdown.cancelled() => return Ok(()),
        }
        watched.acted = watched.now();

        let stop = shutdown.child_token();
        let mut host = tokio::spawn(host::run(config.clone(), stop.clone()));
        loop {
            tokio::select! {
                ended = &mut host => {
                    ended.context("the host failed")??;
                    return Ok(());
                }
                () = tokio::time::sleep(LOOK) => {}
                () = shutdown.cancelled() => return stopped(host).await,
            }
            match watched.look() {
                None => {}
                Some(Change::Config) => match config::load(&self.config) {
                    Ok(_) => {
                        info!("the config has changed: the host starts again");
                        stop.cancel();
                        return stopped(host).await;
                    }
                    Err(bad) => output::error(&report(bad.into())),
                },
                Some(Change::Sources) => {
                    let begun = Instant::now();
                    let built = tokio::select! {
                        built = build::run(&watched.builds, &folder) => built,
                        () = shutdown.cancelled() => return stopped(host).await,
                    };
                    match built {
                        Ok(()) => info!(took = ?begun.elapsed(), "built"),
                        Err(error) => error!(%error, "what ran before runs on"),
                    }
                    watched.built();
                    reload(&config, &connections, watched.plugins_changed()).await;
                }
                Some(Change::Plugins(modules)) => reload(&config, &connections, modules).await,
            }
        }
    }
}

fn folder_of(config: &Path) -> PathBuf {
    let folder = config.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

async fn stopped(host: JoinHandle<Result<(), host::Error>>) -> anyhow::Result<()> {
    Ok(host.await.context("the host failed")??)
}

/// Starts a server if nobody named one.
async fn own_server(config: &mut Config, server: &mut Option<Server>, folder: &Path) -> anyhow::Result<()> {
    if config.nats.is_named {
        return Ok(());
    }
    let url = match server {
        Some(server) => server.url.clone(),
        None => {
            let store = folder.join(SERVER);
            let started = tokio::task::spawn_blocking(move || Server::start(&store)).await.context("nats-server")??;
            info!(url = started.url, store = SERVER, "nats-server started, for as long as this runs");
            server.insert(started).url.clone()
        }
    };
    config.nats = Nats::open(url);
    Ok(())
}

/// Makes the input streams that are missing: as declared, else with the subjects that modules read from them.
async fn make_streams(config: &Config, connections: &Connections) -> anyhow::Result<()> {
    let context = connections.jetstream();
    let declared = config.streams.iter().map(|stream| &stream.name);
    let mut wanted = config.streams.clone();
    wanted.extend(config.undeclared_streams().filter(|stream| !declared.clone().any(|name| *name == stream.name)));
    for difference in streams::compare(&context, &wanted).await? {
        let is_declared = config.streams.iter().any(|stream| stream.name == difference.stream);
        if difference.missing || is_declared {
            info!("{difference}");
            difference.apply(&context).await?;
        }
    }
    Ok(())
}

/// Has the running host take changed plugins in.
async fn reload(config: &Config, connections: &Connections, modules: Vec<Name>) {
    let subjects = Subjects::new(&config.app);
    for module in modules {
        let (begun, wish) = (Instant::now(), Wish { plugin: None, untried: true, who: "pelton dev".to_owned() });
        match swap::swap(&connections.read, &subjects, &module, &wish).await {
            Ok(Answer::Refused { reason }) => error!(%module, reason, "the plugin does not load: the old one runs on"),
            Ok(_) => info!(%module, took = ?begun.elapsed(), "the plugin runs from the next input on"),
            Err(error) => error!(%module, %error, "the plugin is not taken in"),
        }
    }
}

/// Waits until the config, a source or a plugin changes, or somebody stops it all.
async fn changed(config_before: &Seen, config: &Path, shutdown: &CancellationToken) {
    let sources = || Seen::sources(&folder_of(config), &Seen::default());
    let before = sources();
    while *config_before == Seen::files([config]) && before == sources() && !shutdown.is_cancelled() {
        tokio::time::sleep(LOOK).await;
    }
}

/// What is watched, as it was when it was acted upon, and when it was looked at last.
struct Watched {
    config: PathBuf,
    folder: PathBuf,
    builds: std::collections::BTreeSet<String>,
    plugins: Vec<(Name, PathBuf)>,
    acted: Snapshot,
    last: Snapshot,
    /// What changed among the sources while they were built last.
    made: Vec<PathBuf>,
}

#[derive(Clone, Default, PartialEq)]
struct Snapshot {
    config: Seen,
    sources: Seen,
    plugins: Seen,
}

/// What is to be acted upon.
enum Change {
    Config,
    Sources,
    Plugins(Vec<Name>),
}

impl Watched {
    fn new(config: &Config, folder: &Path) -> Self {
        let plugins = config.modules.iter().map(|module| (module.name.clone(), module.plugin.clone())).collect();
        let mut watched = Self {
            config: config.file.clone(),
            folder: folder.to_owned(),
            builds: build::commands(config),
            plugins,
            acted: Snapshot::default(),
            last: Snapshot::default(),
            made: Vec::new(),
        };
        watched.acted = watched.now();
        watched
    }

    fn now(&self) -> Snapshot {
        let config = Seen::files([self.config.as_path()]);
        let plugins = Seen::files(self.plugins.iter().map(|(_, file)| file.as_path()));
        let sources = match self.builds.is_empty() {
            true => Seen::default(),
            false => Seen::sources(&self.folder, &config),
        };
        Snapshot { config, sources, plugins }
    }

    /// What has changed and has been so for one look: nobody is in the middle of writing it.
    fn look(&mut self) -> Option<Change> {
        let now = self.now();
        if now != self.last {
            self.last = now;
            return None;
        }
        if now.config != self.acted.config {
            self.acted.config = now.config;
            return Some(Change::Config);
        }
        if now.sources != self.acted.sources {
            self.acted.sources = now.sources;
            return Some(Change::Sources);
        }
        let modules = self.plugins_changed();
        (!modules.is_empty()).then_some(Change::Plugins(modules))
    }

    /// A build has ended. What it made among the sources is no reason to build again, unless it made more than last time.
    fn built(&mut self) {
        let now = self.now();
        let made: Vec<PathBuf> = self.acted.sources.changed(&now.sources).into_iter().map(Path::to_owned).collect();
        if made == self.made {
            self.acted.sources = now.sources;
        }
        self.made = made;
    }

    /// The modules whose plugins have changed since they were asked for last.
    fn plugins_changed(&mut self) -> Vec<Name> {
        let now = self.now().plugins;
        let changed = self.acted.plugins.changed(&now);
        let modules = self.plugins.iter().filter(|(_, file)| changed.contains(&file.as_path()));
        let modules = modules.map(|(module, _)| module.clone()).collect();
        self.acted.plugins = now;
        modules
    }
}
