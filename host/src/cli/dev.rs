//! `pelton dev`: the app at work while it is written. Builds plugins when their sources change and takes them in without
//! a restart; starts a nats-server of its own if none is named.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::output::Format;
use super::{output, report, run};
use crate::config::{self, Config, Nats};
use crate::control;
use crate::control::swap::{self, Answer, Wish};
use crate::dev::server::{self, Server};
use crate::dev::watch::LOOK;
use crate::dev::watched::{Change, Watched};
use crate::dev::{SERVER, build};
use crate::host::{self, Connections, Place, connect};
use crate::source::streams;
use crate::subject::Subjects;
use crate::telemetry::LogFormat;

/// How often it is looked whether there is a server by now.
const AGAIN: Duration = Duration::from_secs(2);

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
    /// How log lines look, which are all that it prints; between them stands what builds say
    #[arg(short, long, default_value = "text")]
    output: Format,
}

impl Dev {
    /// How its log lines look.
    pub fn logs(&self) -> LogFormat {
        self.output.into()
    }

    pub async fn main(self) -> anyhow::Result<()> {
        let shutdown = run::told_to_stop()?;
        let (mut server, mut watched) = (None, Watched::new(&self.config));
        let mut last = String::new();
        while !shutdown.is_cancelled() {
            let Err(error) = self.session(&mut watched, &mut server, &shutdown).await else {
                last.clear();
                continue;
            };
            if matches!(error.downcast_ref(), Some(server::Error::Taken { .. })) {
                return Err(error);
            }
            let for_server = lacks_server(&error);
            let said = report(error);
            if said != last {
                output::error(&said);
                let config = self.config.display();
                let or = if for_server { ", or for a nats-server" } else { "" };
                info!("waiting for a change of {config}, a plugin, or a source beside it{or}");
                last = said;
            }
            tokio::select! {
                () = watched.changed() => last.clear(),
                () = tokio::time::sleep(AGAIN), if for_server => {}
                () = shutdown.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Runs the app as the config says, until that changes or somebody stops it.
    async fn session(
        &self,
        watched: &mut Watched,
        server: &mut Option<Server>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        watched.begin();
        let mut config = config::load(&self.config)?;
        for module in &mut config.modules {
            module.fresh = true;
        }
        watched.follow(&config);
        tokio::select! {
            named = own_server(&mut config, server, watched.folder()) => named?,
            () = shutdown.cancelled() => return Ok(()),
        }
        let connections = connect(&config.nats).await?;
        make_streams(&config, &connections).await?;
        let Some(built) = shutdown.run_until_cancelled(build::run(&build::commands(&config), watched.folder())).await
        else {
            return Ok(());
        };
        watched.built();
        watched.follow(&config);
        built?;

        let stop = shutdown.child_token();
        // What runs beside a host that failed holds its port until it is told.
        let _end = stop.clone().drop_guard();
        let mut host = tokio::spawn(host::run(config.clone(), Place::default(), stop.clone()));
        tokio::select! {
            ended = &mut host => return Ok(ended.context("the host failed")??),
            why = until_it_starts_again(&config, &connections, watched, server) => {
                info!("{why}: the host starts again");
                stop.cancel();
            }
            () = shutdown.cancelled() => {}
        }
        Ok(host.await.context("the host failed")??)
    }
}

/// Whether it goes on by itself once there is a server.
fn lacks_server(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(server::Error::None))
        || matches!(error.downcast_ref(), Some(host::Error::Connect { .. }))
}

/// Has the running host take in what changes, until that is the config, or the server ends. Says which.
async fn until_it_starts_again(
    config: &Config,
    connections: &Connections,
    watched: &mut Watched,
    server: &mut Option<Server>,
) -> &'static str {
    loop {
        tokio::time::sleep(LOOK).await;
        if server.as_mut().is_some_and(Server::has_ended) {
            return "its nats-server has ended";
        }
        match watched.look() {
            None => {}
            Some(Change::Config) => match config::load(&config.file) {
                Ok(_) => return "the config has changed",
                Err(bad) => output::error(&report(bad.into())),
            },
            Some(Change::Sources) => {
                let begun = Instant::now();
                match build::run(&build::commands(config), watched.folder()).await {
                    Ok(()) => info!(took = ?begun.elapsed(), "built"),
                    Err(error) => error!(%error, "what ran before runs on"),
                }
                watched.built();
                reload(config, connections, watched).await;
            }
            Some(Change::Plugins) => reload(config, connections, watched).await,
        }
    }
}

/// Starts a server if nobody named one.
async fn own_server(config: &mut Config, server: &mut Option<Server>, folder: &Path) -> anyhow::Result<()> {
    if config.nats.is_named {
        return Ok(());
    }
    if server.take_if(|server| server.has_ended()).is_some() {
        warn!("the nats-server that was started has ended: another one takes its place");
    }
    let url = match server {
        Some(server) => server.url.clone(),
        None => {
            let started = Server::start(&folder.join(SERVER)).await?;
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
    let mut wanted = config.streams.clone();
    wanted.extend(config.undeclared_streams());
    for difference in streams::compare(&context, &wanted).await? {
        let is_declared = config.streams.iter().any(|stream| stream.name == difference.stream);
        if difference.missing || is_declared {
            info!("{difference}");
            difference.apply(&context).await?;
            info!(stream = difference.stream, "the stream is as it is to be now");
        }
    }
    Ok(())
}

/// Has the running host take changed plugins in.
async fn reload(config: &Config, connections: &Connections, watched: &mut Watched) {
    let subjects = Subjects::new(&config.app);
    for module in watched.plugins_changed() {
        let (begun, wish) = (Instant::now(), Wish { plugin: None, untried: true, who: "pelton dev".to_owned() });
        match swap::swap(&connections.read, &subjects, &module, &wish).await {
            Ok(Answer::Refused { is_passing: true, .. }) => continue,
            // The host has said why.
            Ok(Answer::Refused { .. }) => error!(%module, "the plugin does not load: the old one runs on"),
            Ok(Answer::Same { .. }) => info!(%module, "the plugin is the one that runs already"),
            Ok(_) => info!(%module, took = ?begun.elapsed(), "the plugin runs from the next input on"),
            // It starts, and is asked again.
            Err(control::Error::NoHost(_)) => continue,
            Err(error @ control::Error::Request { .. }) => {
                error!(%module, %error, "the plugin is not taken in; the host is asked again");
                continue;
            }
        }
        watched.taken(&module);
    }
}
