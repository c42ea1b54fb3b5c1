//! Measures at intervals how far each module is behind its input stream, and shows it to stock tools.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::config::Module;
use crate::query::{Error, Query};
use crate::route::Filter;
use crate::source::progress::consumer_of;
use crate::status::Status;

/// How often. It costs a consumer for each module that is behind.
const INTERVAL: Duration = Duration::from_secs(5);

/// Measures until `shutdown`.
pub async fn measure(query: Arc<Query>, modules: Vec<Module>, status: Status, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut round = async || {
        tick.tick().await;
        for module in &modules {
            if let Err(error) = one(&query, module, &status).await {
                debug!(module = %module.name, %error, "the lag cannot be measured");
            }
        }
    };
    while shutdown.run_until_cancelled(round()).await.is_some() {}
}

/// Measures one module, if it is this host's to do so. Else its figures here are none.
async fn one(query: &Query, module: &Module, status: &Status) -> Result<(), Error> {
    if !status.measures(&module.name) {
        status.measured(&module.name).is_measured_elsewhere();
        return Ok(());
    }
    let covered = match status.position(&module.name) {
        Some((_, covered)) => covered,
        None => query.covered(&module.name).await?,
    };
    let stream = query.stream(&module.input.stream).await?;
    let filters = &module.input.filters;
    let messages = stream.show_progress(&consumer_of(query.app(), &module.name), covered, filters).await?;
    let first = if messages == 0 { None } else { stream.first_behind(covered, &Filter::texts(filters)).await? };
    let age = first.map_or(0.0, |first| (OffsetDateTime::now_utc() - first.stored).as_seconds_f64());
    status.measured(&module.name).behind(messages, age.max(0.0));
    Ok(())
}
