//! One host of one app: loads plugins, prepares the app stream, takes the lanes over, and runs readers, lanes and the
//! committer until it is told to stop.

mod connect;
mod error;
mod prepare;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

pub use self::connect::{Connections, connect};
pub use self::error::Error;
use self::prepare::Deployed;
use crate::commit::LaneId;
use crate::commit::batch::Publisher;
use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::commit::committer::Committer;
use crate::commit::ledger::Ledger;
use crate::commit::read::Reader;
use crate::commit::task::{Request, Task as CommitTask};
use crate::commit::witness::Witness;
use crate::config::Config;
use crate::effects::Bounds;
use crate::guest::Engines;
use crate::lane::Lane;
use crate::lane::runner::Runner;
use crate::lane::task::{End, Task as LaneTask};
use crate::lane::views::{Fetch, Views};
use crate::source::live::{Live, Port, QUEUE};
use crate::source::{self, InputStream, Routing};
use crate::subject::{Name, Subjects};

/// Requests that wait for the committer.
const REQUESTS: usize = 1_024;
/// How long a host that is told to stop may take to finish and commit what is in hand.
const LAST_COMMITS: Duration = Duration::from_secs(20);
/// How often the witness notes how far the app stream is.
const WITNESS: Duration = Duration::from_secs(5);

/// Runs `config` until `shutdown`, and then finishes and commits what is in hand.
///
/// # Errors
/// When nothing can run: a plugin that does not load, a server that is too old, an app stream that cannot be trusted, a
/// module whose record forbids what the config says; and when every lane ended before `shutdown`.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    let connections = connect(&config.nats).await?;
    let app = prepare::app(&config, &connections).await?;
    let bounds = Bounds::new(connections.max_payload(), config.stream.batch);
    let deployed = prepare::modules(&config, &mut Engines::default(), &connections, &app, bounds).await?;

    let (requests, received) = mpsc::channel(REQUESTS);
    let committer = Committer::new(app.subjects.clone(), bounds);
    let commit = CommitTask::new(committer, app.publisher.clone(), app.reader.clone(), app.subjects.clone());
    let committing = tokio::spawn(commit.run(received));

    let mut host = Host::new(app, requests, &shutdown);
    let streams = host.start_lanes(deployed).await;
    host.start_readers(streams, config.stream.advance);
    info!(app = %config.app, "running");

    let finish = async {
        let ended = host.wait(&shutdown).await;
        if let Err(panic) = committing.await {
            error!(%panic, "the committer failed; what it had not committed will be redone");
        }
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
}

/// What runs.
struct Host {
    app: App,
    requests: mpsc::Sender<Request>,
    /// Ends all reading.
    stop: CancellationToken,
    /// Each ends the lanes of one module.
    modules: BTreeMap<Name, CancellationToken>,
    lanes: JoinSet<(LaneId, End)>,
    readers: JoinSet<(Vec<Name>, Result<(), source::Error>)>,
    catching_up: TaskTracker,
}

/// What a reader feeds, by input stream.
type Streams = BTreeMap<String, (InputStream, Vec<(Arc<Routing>, Vec<Port>)>)>;

impl Host {
    fn new(app: App, requests: mpsc::Sender<Request>, shutdown: &CancellationToken) -> Self {
        let (lanes, readers, catching_up) = (JoinSet::new(), JoinSet::new(), TaskTracker::new());
        Self { app, requests, stop: shutdown.child_token(), modules: BTreeMap::new(), lanes, readers, catching_up }
    }

    /// Starts the lanes of all modules; gives what their readers need.
    async fn start_lanes(&mut self, deployed: Vec<Deployed>) -> Streams {
        let mut streams = Streams::new();
        for module in deployed {
            self.modules.insert(module.routing.module.clone(), self.stop.child_token());
            let mut ports = Vec::new();
            for (number, owned) in (0..).zip(&module.lanes) {
                ports.push(self.start_lane(&module, number, owned).await);
            }
            let name = module.stream.name().to_owned();
            let (_, modules) = streams.entry(name).or_insert_with(|| (module.stream.clone(), Vec::new()));
            modules.push((module.routing, ports));
        }
        streams
    }

    async fn start_lane(&mut self, module: &Deployed, number: u16, owned: &Stored<Checkpoint>) -> Port {
        let id = LaneId { module: module.routing.module.clone(), lane: number };
        let (notices, noticed) = mpsc::unbounded_channel();
        let (inputs, received) = mpsc::channel(QUEUE);
        let at = owned.value.mark();
        let attach = Request::Attach { lane: id.clone(), owned: owned.clone(), notices };
        if self.requests.send(attach).await.is_err() {
            error!("the committer has ended");
        }
        let views = Views::new(self.app.subjects.clone(), module.job.grants.clone(), self.fetch(), module.is_new);
        let task = LaneTask {
            id: id.clone(),
            lane: Lane::new(at.sequence, module.rules),
            runner: Runner::new(module.job.clone(), number, views),
            breaker: module.breaker.clone(),
            inputs: received,
            notices: noticed,
            committer: self.requests.clone(),
        };
        let stop = self.modules.get(&id.module).unwrap_or(&self.stop).clone();
        let ended = id.clone();
        self.lanes.spawn(async move { (ended, task.run(stop).await) });
        Port { id, inputs, at }
    }

    /// How guests read views: they run on threads of their own, which may wait.
    fn fetch(&self) -> Fetch {
        let (reader, runtime) = (self.app.reader.clone(), tokio::runtime::Handle::current());
        // A replica may answer with an old value, and a value that is read but not written has no guard to tell.
        let has_replicas = reader.info().config.num_replicas > 1;
        Arc::new(move |subject, from_leader| {
            runtime.block_on(reader.view(subject, from_leader || has_replicas)).map_err(|error| error.to_string())
        })
    }

    fn start_readers(&mut self, streams: Streams, advance: Duration) {
        for (stream, modules) in streams.into_values() {
            let names = modules.iter().map(|(routing, _)| routing.module.clone()).collect();
            let live = Live::new(stream, modules, self.catching_up.clone(), self.stop.clone());
            self.readers.spawn(async move { (names, live.run(advance).await) });
        }
    }

    /// Waits until every lane has ended: after `shutdown`, or because none could go on.
    async fn wait(mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        let mut witness = tokio::time::interval(WITNESS);
        let mut lost = false;
        loop {
            tokio::select! {
                ended = self.lanes.join_next() => match ended {
                    Some(ended) => lost |= self.lane_ended(ended).await,
                    None => break,
                },
                Some(ended) = self.readers.join_next() => self.reader_ended(ended).await,
                _ = witness.tick() => self.witness().await,
            }
        }
        self.stop.cancel();
        drop(self.requests);
        self.catching_up.close();
        self.catching_up.wait().await;
        if shutdown.is_cancelled() { Ok(()) } else { Err(Error::AllEnded { lost }) }
    }

    /// True if the lane was lost to another host.
    async fn lane_ended(&self, ended: Result<(LaneId, End), JoinError>) -> bool {
        match ended {
            Ok((_, End::Stopped)) => false,
            Ok((_, End::Lost)) => true,
            Ok((lane, End::Halted(reason))) => {
                self.halt(&lane.module, &format!("lane {}: {reason}", lane.lane)).await;
                false
            }
            Err(panic) => {
                error!(%panic, "a lane failed; what it had not committed will be redone");
                false
            }
        }
    }

    async fn reader_ended(&self, ended: Result<(Vec<Name>, Result<(), source::Error>), JoinError>) {
        match ended {
            Ok((_, Ok(()))) => {}
            Ok((modules, Err(cause))) => {
                for module in modules {
                    self.halt(&module, &cause.to_string()).await;
                }
            }
            Err(panic) => error!(%panic, "a reader failed; its modules stop"),
        }
    }

    /// Stops a module, and says why.
    async fn halt(&self, module: &Name, reason: &str) {
        error!(%module, reason, "module halts");
        if let Some(stop) = self.modules.get(module) {
            stop.cancel();
        }
        self.app.note_halt(module, reason).await;
    }

    async fn witness(&self) {
        let noted = match self.app.reader.fresh_info().await {
            Ok(info) => self.app.witness.note(&info).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = noted {
            warn!(error, "the witness could not be noted");
        }
    }
}
