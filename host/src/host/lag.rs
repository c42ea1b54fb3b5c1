//! Measures at intervals how far each module is behind its input stream.

use std::time::Duration;

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::Connections;
use crate::config::Module;
use crate::source::{Error, InputStream};
use crate::status::Status;

/// How often. It costs a consumer for each module that is behind.
const INTERVAL: Duration = Duration::from_secs(5);

/// Measures until `shutdown`.
pub async fn measure(modules: Vec<Module>, connections: Connections, status: Status, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut round = async || {
        tick.tick().await;
        for module in &modules {
            if let Err(error) = one(module, &connections, &status).await {
                debug!(module = %module.name, %error, "the lag cannot be measured");
            }
        }
    };
    while shutdown.run_until_cancelled(round()).await.is_some() {}
}

async fn one(module: &Module, connections: &Connections, status: &Status) -> Result<(), Error> {
    let Some((_, covered)) = status.position(&module.name) else { return Ok(()) };
    let stream = InputStream::open(&connections.jetstream(), &module.input.stream).await?;
    let behind = stream.behind(covered, &module.input.filters).await?;
    let metrics = status.measured(&module.name);
    metrics.lag.set(i64::try_from(behind.messages).unwrap_or(i64::MAX));
    let age = behind.oldest.map_or(0.0, |stored| (OffsetDateTime::now_utc() - stored).as_seconds_f64());
    metrics.lag_seconds.set(age.max(0.0));
    Ok(())
}
