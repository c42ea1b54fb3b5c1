//! `pelton run`: the host.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Common;
use crate::host;
use crate::telemetry::LogFormat;

#[derive(clap::Args)]
pub struct Run {
    #[command(flatten)]
    common: Common,
    /// How log lines look
    #[arg(long, default_value = "text")]
    pub log_format: LogFormat,
}

impl Run {
    pub async fn main(self) -> anyhow::Result<()> {
        let config = self.common.load()?;
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
        host::run(config, shutdown).await?;
        info!("stopped");
        Ok(())
    }
}
