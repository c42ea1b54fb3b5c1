//! Measures at intervals how far each module is behind its input stream, and shows it to stock tools.

use std::time::Duration;

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::Connections;
use crate::config::Module;
use crate::route::Filter;
use crate::source::progress::consumer_of;
use crate::source::{Error, InputStream};
use crate::status::Status;
use crate::subject::Name;

/// How often. It costs a consumer for each module that is behind.
const INTERVAL: Duration = Duration::from_secs(5);

/// Measures until `shutdown`.
pub async fn measure(
    app: Name,
    modules: Vec<Module>,
    connections: Connections,
    status: Status,
    shutdown: CancellationToken,
) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut round = async || {
        tick.tick().await;
        for module in &modules {
            if let Err(error) = one(&app, module, &connections, &status).await {
                debug!(module = %module.name, %error, "the lag cannot be measured");
            }
        }
    };
    while shutdown.run_until_cancelled(round()).await.is_some() {}
}

async fn one(app: &Name, module: &Module, connections: &Connections, status: &Status) -> Result<(), Error> {
    let Some((_, covered)) = status.position(&module.name) else { return Ok(()) };
    let stream = InputStream::open(&connections.jetstream(), &module.input.stream).await?;
    let filters = &module.input.filters;
    let messages = stream.show_progress(&consumer_of(app, &module.name), covered, filters).await?;
    let first = if messages == 0 { None } else { stream.first_behind(covered, &Filter::texts(filters)).await? };
    let age = first.map_or(0.0, |first| (OffsetDateTime::now_utc() - first.stored).as_seconds_f64());
    status.measured(&module.name).behind(messages, age.max(0.0));
    Ok(())
}
