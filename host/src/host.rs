//! One host of one app: loads plugins, prepares the app stream, takes the lanes over, and runs readers, lanes and the
//! committer until it is told to stop.

mod connect;
mod prepare;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

pub use self::connect::{Connections, connect};
pub use self::prepare::{Deployed, Error};

use crate::commit::batch::Publisher;
use crate::commit::committer::Committer;
use crate::commit::read::Reader;
use crate::commit::task::{Request, Task as CommitTask};
use crate::commit::witness::Witness;
use crate::commit::LaneId;
use crate::config::Config;
use crate::effects::Bounds;
use crate::event::Mark;
use crate::guest::Engine;
use crate::lane::runner::Runner;
use crate::lane::task::{End, Task as LaneTask};
use crate::lane::views::{Fetch, Views};
use crate::lane::Lane;
use crate::source::live::{Live, Port, QUEUE};
use crate::source::{InputStream, Routing};
use crate::subject::Subjects;

/// Requests that wait for the committer.
const REQUESTS: usize = 1_024;
/// How often the witness notes how far the app stream is.
const WITNESS: Duration = Duration::from_secs(5);

/// Runs `config` until `shutdown`, and then finishes and commits what is in hand.
///
/// # Errors
/// When nothing can run: a plugin that does not load, a server that is too old, an app stream that cannot be trusted, a
/// module whose record forbids what the config says; and when every lane ended before `shutdown`.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    let engine = Engine::new()?;
    let connections = connect(&config.nats).await?;
    let app = prepare::app(&config, &connections).await?;
    let bounds = Bounds::new(connections.max_payload(), config.stream.batch);
    let deployed = prepare::modules(&config, &engine, &connections, &app, bounds).await?;

    let tasks = TaskTracker::new();
    let (requests, received) = mpsc::channel(REQUESTS);
    let committer = Committer::new(app.subjects.clone(), bounds);
    let publisher = Publisher::new(connections.commit.clone());
    let commit = CommitTask::new(committer, publisher, app.reader.clone(), app.subjects.clone());
    let committing = tokio::spawn(commit.run(received));

    let reading = shutdown.child_token();
    let mut host = Host { app, tasks, requests, reading, lanes: JoinSet::new() };
    let streams = host.start_lanes(deployed).await;
    host.start_readers(streams, config.stream.advance);
    info!(app = %config.app, "running");

    let ended = host.wait(&shutdown).await;
    if committing.await.is_err() {
        error!("the committer failed; what it had not committed will be redone");
    }
    connections.close().await;
    ended
}

/// The app stream as it was found or made.
pub struct App {
    /// Its subjects.
    pub subjects: Subjects,
    /// Reads it.
    pub reader: Reader,
    /// Remembers it.
    pub witness: Witness,
}

struct Host {
    app: App,
    tasks: TaskTracker,
    requests: mpsc::Sender<Request>,
    /// Cancelled to stop reading.
    reading: CancellationToken,
    lanes: JoinSet<(LaneId, End)>,
}

type Streams = BTreeMap<String, (InputStream, Vec<(Arc<Routing>, Vec<Port>)>)>;

impl Host {
    /// Starts the lanes of all modules; gives what their readers need, by input stream.
    async fn start_lanes(&mut self, deployed: Vec<Deployed>) -> Streams {
        let mut streams = Streams::new();
        for module in deployed {
            let mut ports = Vec::new();
            for lane in &module.lanes {
                ports.push(self.start_lane(&module, lane).await);
            }
            let name = module.stream.name().to_owned();
            let (_, modules) = streams.entry(name).or_insert_with(|| (module.stream.clone(), Vec::new()));
            modules.push((module.routing, ports));
        }
        streams
    }

    async fn start_lane(&mut self, module: &Deployed, lane: &prepare::OwnedLane) -> Port {
        let id = LaneId { module: module.routing.module.clone(), lane: lane.number };
        let (notices, noticed) = mpsc::unbounded_channel();
        let (inputs, received) = mpsc::channel(QUEUE);
        let at: Mark = lane.owned.value.mark();
        let attach = Request::Attach { lane: id.clone(), owned: lane.owned.clone(), notices };
        if self.requests.send(attach).await.is_err() {
            error!("the committer has ended");
        }
        let views = Views::new(self.app.subjects.clone(), module.job.grants.clone(), self.fetch(), lane.is_new);
        let task = LaneTask {
            id: id.clone(),
            lane: Lane::new(at.sequence, module.job.setting.limits.attempts),
            runner: Runner::new(module.job.clone(), lane.number, views),
            inputs: received,
            notices: noticed,
            committer: self.requests.clone(),
        };
        let (ended, stop) = (id.clone(), self.reading.clone());
        self.lanes.spawn(async move { (ended, task.run(stop).await) });
        Port { id, inputs, at }
    }

    /// How guests read views: they run on threads of their own, which may wait.
    fn fetch(&self) -> Fetch {
        let (reader, runtime) = (self.app.reader.clone(), tokio::runtime::Handle::current());
        Arc::new(move |subject, from_leader| {
            runtime.block_on(reader.view(subject, from_leader)).map_err(|error| error.to_string())
        })
    }

    fn start_readers(&self, streams: Streams, advance: Duration) {
        for (name, (stream, modules)) in streams {
            let live = Live::new(stream, modules, self.tasks.clone(), self.reading.clone());
            self.tasks.spawn(async move {
                // Its lanes end with it, since nobody feeds them any more.
                if let Err(cause) = live.run(advance).await {
                    error!(stream = name, %cause, "modules of this stream halt");
                }
            });
        }
    }

    /// Waits for the end: `shutdown`, or that of every lane.
    async fn wait(mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        let mut witness = tokio::time::interval(WITNESS);
        let mut ended = Vec::new();
        loop {
            tokio::select! {
                lane = self.lanes.join_next() => match lane {
                    Some(Ok((lane, end))) => {
                        if let End::Halted(reason) = &end {
                            error!(module = %lane.module, lane = lane.lane, reason, "lane halts");
                        }
                        ended.push(end);
                    }
                    Some(Err(panic)) => error!(%panic, "a lane failed; what it had not committed will be redone"),
                    None => break,
                },
                _ = witness.tick() => self.note().await,
            }
        }
        self.reading.cancel();
        drop(self.requests);
        self.tasks.close();
        self.tasks.wait().await;
        if shutdown.is_cancelled() { Ok(()) } else { Err(Error::AllEnded { lost: ended.contains(&End::Lost) }) }
    }

    async fn note(&self) {
        let noted = match self.app.reader.fresh_info().await {
            Ok(info) => self.app.witness.note(&info).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = noted {
            warn!(error, "the witness could not be noted");
        }
    }
}
