//! One host of one app: loads plugins, prepares the app stream, takes the lanes over, and runs readers, lanes and the
//! committer until it is told to stop. Operators may pause and resume modules meanwhile.

mod beside;
mod connect;
mod deploy;
mod doubts;
mod error;
mod lag;
mod lanes;
mod place;
mod prepare;
mod share;
mod slot;
mod start;
mod swap;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::beside::Beside;
pub use self::connect::{Connections, connect};
pub use self::error::Error;
use self::lanes::Host;
pub use self::place::Place;
use crate::commit::batch::Publisher;
use crate::commit::committer::Committer;
use crate::commit::ledger::Ledger;
use crate::commit::read::Reader;
use crate::commit::task::Task as CommitTask;
use crate::commit::witness::Witness;
use crate::config::{Config, Traces};
use crate::effects::Bounds;
use crate::http::Server;
use crate::status::Status;
use crate::subject::{Name, Subjects};
use crate::traces::export::{Exporter, Spans};

/// Requests that wait for the committer.
const REQUESTS: usize = 1_024;
/// How long a host that is told to stop may take to finish and commit what is in hand.
const LAST_COMMITS: Duration = Duration::from_secs(20);

/// Runs `config` at `place` until `shutdown`, and then finishes and commits what is in hand.
///
/// # Errors
/// When nothing can run: a plugin that does not load, a server that is too old, an app stream that cannot be trusted, a
/// module whose record forbids what the config says; and when every module halted before `shutdown`.
pub async fn run(config: Config, place: Place, shutdown: CancellationToken) -> Result<(), Error> {
    let server = match &config.http {
        Some(http) => Some(Server::bind(http).await?),
        None => None,
    };
    let connections = connect(&config.nats).await?;
    let app = prepare::app(&config, &connections, &place).await?;
    let loaded = prepare::load(&config, &place)?;
    let bounds = Bounds::new(connections.max_payload(), config.stream.batch);

    let (requests, received) = mpsc::channel(REQUESTS);
    let committer = Committer::new(app.subjects.clone(), bounds);
    let (spans, exporter) = exporter(&app)?;
    let commit = CommitTask::new(committer, app.publisher.clone(), app.reader.clone(), app.status.clone());
    let commit = commit.telling(spans);
    let committing = tokio::spawn(commit.run(received));
    let beside = Beside::start(server, &config, &connections, &app, shutdown.child_token());

    let status = app.status.clone();
    let joining = Host::join(app, &config, connections.clone(), bounds, requests, loaded, shutdown.child_token());
    let mut host = match shutdown.run_until_cancelled(joining).await {
        Some(Ok(host)) => host,
        ended => {
            beside.finish().await;
            return ended.map_or(Ok(()), |joined| joined.map(drop));
        }
    };
    // Told to stop meanwhile it has nothing to wait for.
    if let Some(Err(error)) = shutdown.run_until_cancelled(host.start()).await {
        host.leave().await;
        beside.finish().await;
        return Err(error);
    }
    info!(app = %config.app, "running");
    beside.notify(&status);

    let finish = async {
        let ended = host.wait(&shutdown).await;
        if let Err(panic) = committing.await {
            error!(%panic, "the committer failed; what it had not committed will be redone");
        }
        // The committer, which ended, was the last to tell anything.
        if let Some(exporter) = exporter {
            exporter.finish().await;
        }
        beside.finish().await;
        connections.close().await;
        ended
    };
    tokio::select! {
        ended = finish => ended,
        () = overdue(&shutdown) => {
            warn!("NATS does not take the last commits; what is not committed will be redone");
            Ok(())
        }
    }
}

/// Starts to export traces, if the config says where to.
fn exporter(app: &App) -> Result<(Option<Spans>, Option<Exporter>), Error> {
    let Some(export) = &app.traces.export else { return Ok((None, None)) };
    let (spans, exporter) = Exporter::start(export, &app.status.metrics().spans).map_err(Error::Traces)?;
    Ok((Some(spans), Some(exporter)))
}

/// Ends when what was in hand at `shutdown` had its time to be committed.
async fn overdue(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(LAST_COMMITS).await;
}

/// The app stream as it was found or made, and what reads and writes it.
pub struct App {
    name: Name,
    subjects: Subjects,
    reader: Reader,
    witness: Witness,
    publisher: Publisher,
    ledger: Ledger,
    status: Status,
    traces: Traces,
}
