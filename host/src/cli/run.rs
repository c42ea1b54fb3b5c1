//! `pelton run`: the host.

use anyhow::bail;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Common;
use crate::config::Config;
use crate::host::{self, Place, connect};
use crate::source::streams;
use crate::subject::Name;
use crate::telemetry::LogFormat;

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  pelton run -c shop.toml\n  pelton run --apply -o json")]
pub struct Run {
    #[command(flatten)]
    common: Common,
    /// Make or change input streams that are not as the config declares them, after printing how they differ
    #[arg(long)]
    apply: bool,
    /// A label of this host: modules that name labels in `hosts` run only on hosts with one of them
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<Name>,
    /// Run no module, and only answer readers
    #[arg(long)]
    reads_only: bool,
}

impl Run {
    /// How its log lines look.
    pub fn logs(&self) -> LogFormat {
        self.common.output.into()
    }

    pub async fn main(self) -> anyhow::Result<()> {
        let config = self.common.load()?;
        streams(&config, self.apply).await?;
        let shutdown = told_to_stop()?;
        let place = Place { labels: self.labels.into_iter().collect(), reads_only: self.reads_only };
        host::run(config, place, shutdown).await?;
        info!("stopped");
        Ok(())
    }
}

/// Verifies the input streams that the config declares, or sets them right.
async fn streams(config: &Config, apply: bool) -> anyhow::Result<()> {
    if config.streams.is_empty() {
        return Ok(());
    }
    let connections = connect(&config.nats).await?;
    let context = connections.jetstream();
    let differences = streams::compare(&context, &config.streams).await?;
    for difference in &differences {
        if apply {
            info!("{difference}");
            difference.apply(&context).await?;
            info!(stream = difference.stream, "the stream is as it is to be now");
        }
    }
    if !apply && !differences.is_empty() {
        let found: String = differences.iter().map(|difference| format!("\n  {difference}")).collect();
        bail!("input streams are not as the config declares them; `pelton run --apply` sets this right:{found}");
    }
    Ok(())
}

/// Cancelled when this process is asked to end.
pub fn told_to_stop() -> anyhow::Result<CancellationToken> {
    let shutdown = CancellationToken::new();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = shutdown.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "SIGINT",
        };
        info!(signal = name, "stopping: what is in hand is finished and committed");
        told.cancel();
    });
    Ok(shutdown)
}
