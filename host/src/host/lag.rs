//! Measures at intervals how far each module is behind its input stream, and shows it to stock tools.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::config::Module;
use crate::event::Sequence;
use crate::query::{Error, Query};
use crate::route::Filter;
use crate::source::progress::consumer_of;
use crate::status::{Phase, Status};
use crate::subject::Name;

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

async fn one(query: &Query, module: &Module, status: &Status) -> Result<(), Error> {
    let Some(covered) = covered(query, &module.name, status).await? else { return Ok(()) };
    let stream = query.stream(&module.input.stream).await?;
    let filters = &module.input.filters;
    let messages = stream.show_progress(&consumer_of(query.app(), &module.name), covered, filters).await?;
    let first = if messages == 0 { None } else { stream.first_behind(covered, &Filter::texts(filters)).await? };
    let age = first.map_or(0.0, |first| (OffsetDateTime::now_utc() - first.stored).as_seconds_f64());
    status.measured(&module.name).behind(messages, age.max(0.0));
    Ok(())
}

/// Up to where all lanes of a module are done, if that is this host's to say.
async fn covered(query: &Query, module: &Name, status: &Status) -> Result<Option<Sequence>, Error> {
    if status.phase(module) == Some(Phase::Lost) {
        return Ok(None);
    }
    if let Some((_, covered)) = status.position(module) {
        return Ok(Some(covered));
    }
    // It has not run here: it is paused, or halted as it started.
    let state = query.module(module).await?;
    Ok(state.checkpoints.iter().map(|checkpoint| checkpoint.covered).min())
}
