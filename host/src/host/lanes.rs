//! The modules of a host at work: their lanes and readers are watched, stopped and started again.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::prepare::Loaded;
use super::start::Memory;
use super::swap::Swaps;
use super::{App, Connections, Error};
use crate::commit::LaneId;
use crate::commit::record::{Record, State};
use crate::commit::task::Request;
use crate::control;
use crate::effects::Bounds;
use crate::event::{Mark, Message, Sequence};
use crate::lane::task::End;
use crate::source::live::Wish;
use crate::source::reader::{self, Item};
use crate::source::{self, InputStream};
use crate::status;
use crate::subject::Name;

/// How often the witness notes how far the app stream is.
const WITNESS: Duration = Duration::from_secs(5);
/// Swaps that wait.
const SWAPS: usize = 16;

/// What runs.
pub struct Host {
    pub(super) app: App,
    pub(super) connections: Connections,
    pub(super) bounds: Bounds,
    pub(super) advance: Duration,
    pub(super) memory: Memory,
    pub(super) requests: mpsc::Sender<Request>,
    /// Ends all reading.
    pub(super) stop: CancellationToken,
    pub(super) modules: BTreeMap<Name, Slot>,
    pub(super) lanes: JoinSet<End>,
    pub(super) lane_of: HashMap<Id, LaneId>,
    /// The live reader of each input stream.
    pub(super) streams: BTreeMap<String, (Id, mpsc::Sender<Wish>)>,
    pub(super) readers: JoinSet<Result<(), source::Error>>,
    pub(super) stream_of: HashMap<Id, String>,
    pub(super) tasks: TaskTracker,
    pub(super) swaps: Swaps,
}

/// A module and what it is doing.
pub(super) struct Slot {
    pub(super) loaded: Loaded,
    pub(super) phase: Phase,
    /// The input stream that it reads.
    pub(super) stream: String,
    /// Ends its lanes.
    pub(super) stop: CancellationToken,
    /// Its lanes that run.
    pub(super) lanes: usize,
    /// Where its record stands that this host wrote last: older ones are no news.
    pub(super) record: Sequence,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    /// It runs; or its lanes end, and it will be started again.
    Running,
    /// An operator paused it.
    Paused,
    /// It was stopped for a reason that needs an operator.
    Halted,
}

impl Host {
    /// A host that runs nothing yet.
    pub fn new(
        app: App,
        connections: Connections,
        bounds: Bounds,
        advance: Duration,
        requests: mpsc::Sender<Request>,
        config: PathBuf,
        shutdown: &CancellationToken,
    ) -> Self {
        Self {
            app,
            connections,
            bounds,
            advance,
            memory: Memory::of(1),
            requests,
            stop: shutdown.child_token(),
            modules: BTreeMap::new(),
            lanes: JoinSet::new(),
            lane_of: HashMap::new(),
            streams: BTreeMap::new(),
            readers: JoinSet::new(),
            stream_of: HashMap::new(),
            tasks: TaskTracker::new(),
            swaps: Swaps::new(config),
        }
    }

    /// Waits until every lane has ended: after `shutdown`, or because none could go on.
    pub async fn wait(mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        let mut witness = tokio::time::interval(WITNESS);
        let mut records = self.watch().await;
        let mut orders = self.swap_orders().await;
        let mut lost = false;
        while !(self.lanes.is_empty() && (shutdown.is_cancelled() || !self.may_start_again())) {
            tokio::select! {
                Some(ended) = self.lanes.join_next_with_id() => lost |= self.lane_ended(ended).await,
                Some(ended) = self.readers.join_next_with_id() => self.reader_ended(ended).await,
                Some(changed) = next_record(&mut records) => self.record_changed(&changed).await,
                Some(order) = orders.recv() => self.load_other(order),
                Some(step) = self.swaps.next() => self.swap(step).await,
                _ = witness.tick() => self.witness().await,
                () = shutdown.cancelled(), if self.lanes.is_empty() => {}
            }
        }
        self.stop.cancel();
        drop(orders);
        // A reader that failed ended its lanes: its reason is to be told.
        while let Some(ended) = self.readers.join_next_with_id().await {
            self.reader_ended(ended).await;
        }
        drop(self.requests);
        self.tasks.close();
        self.tasks.wait().await;
        if shutdown.is_cancelled() { Ok(()) } else { Err(Error::AllEnded { lost }) }
    }

    fn may_start_again(&self) -> bool {
        self.modules.values().any(|slot| slot.phase == Phase::Paused)
    }

    /// The module records that are written from now on.
    async fn watch(&self) -> Option<mpsc::Receiver<Result<Item, source::Error>>> {
        let info = self.app.reader.info();
        let after = Mark { sequence: Sequence(info.state.last_sequence), fingerprint: None };
        match InputStream::open(&self.connections.jetstream(), self.app.reader.name()).await {
            Ok(stream) => Some(reader::spawn(stream, vec![self.app.subjects.modules()], after)),
            Err(error) => {
                error!(%error, "module records cannot be watched: what operators ask for is seen at the next start");
                None
            }
        }
    }

    /// What operators ask for of modules' plugins from now on.
    async fn swap_orders(&self) -> mpsc::Receiver<control::swap::Order> {
        let (orders, received) = mpsc::channel(SWAPS);
        match control::swap::serve(&self.connections.read, &self.app.subjects, orders).await {
            Ok(serving) => drop(self.tasks.spawn(serving)),
            Err(error) => warn!(%error, "plugins cannot be swapped"),
        }
        received
    }

    /// True if the lane was lost to another host.
    async fn lane_ended(&mut self, ended: Result<(Id, End), JoinError>) -> bool {
        let (id, end) = match ended {
            Ok((id, end)) => (id, end),
            Err(panic) => (panic.id(), End::Halted(format!("the host failed: {panic}"))),
        };
        let Some(lane) = self.lane_of.remove(&id) else { return false };
        let left = self.modules.get_mut(&lane.module).map(|slot| {
            slot.lanes = slot.lanes.saturating_sub(1);
            slot.lanes
        });
        let runs = |slot: &Slot| slot.phase == Phase::Running && !slot.stop.is_cancelled();
        let runs = self.modules.get(&lane.module).is_some_and(runs);
        match end {
            End::Lost if runs => {
                self.app.status.note(&lane.module, status::Phase::Lost);
                return true;
            }
            End::Stopped | End::Lost => {}
            End::Halted(reason) => self.halt(&lane.module, &format!("lane {}: {reason}", lane.lane)).await,
        }
        let starts_again = self
            .modules
            .get(&lane.module)
            .is_some_and(|slot| slot.phase == Phase::Running && slot.stop.is_cancelled() && !self.stop.is_cancelled());
        if left == Some(0) && starts_again {
            self.start_again(&lane.module).await;
        }
        false
    }

    async fn reader_ended(&mut self, ended: Result<(Id, Result<(), source::Error>), JoinError>) {
        let (id, cause) = match ended {
            Ok((id, Ok(()))) => (id, None),
            Ok((id, Err(cause))) => (id, Some(cause.to_string())),
            Err(panic) => (panic.id(), Some(format!("the host failed: {panic}"))),
        };
        let (Some(stream), Some(cause)) = (self.stream_of.remove(&id), cause) else { return };
        // Another one may have taken its place already.
        if self.streams.get(&stream).is_some_and(|(current, _)| *current != id) {
            return;
        }
        self.streams.remove(&stream);
        let of_stream = self.modules.iter().filter(|(_, slot)| slot.stream == stream && slot.phase == Phase::Running);
        let names: Vec<Name> = of_stream.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.halt(&name, &cause).await;
        }
    }

    /// Does what a module's record says that somebody else wrote.
    async fn record_changed(&mut self, message: &Message) {
        let record = match serde_json::from_slice::<Record>(&message.payload) {
            Ok(record) => record,
            Err(error) => return error!(subject = message.subject, %error, "a module record cannot be read"),
        };
        let Some(slot) = self.modules.get_mut(&record.module) else { return };
        if message.sequence <= slot.record {
            return;
        }
        match (record.state, slot.phase) {
            (State::Paused, Phase::Running) => {
                info!(module = %record.module, "module is paused: what is in hand is finished and committed");
                slot.phase = Phase::Paused;
                self.app.status.note(&record.module, status::Phase::Paused);
                slot.stop.cancel();
            }
            (State::Paused, Phase::Halted) => {
                slot.phase = Phase::Paused;
                self.app.status.note(&record.module, status::Phase::Paused);
            }
            (State::Running, Phase::Paused | Phase::Halted) => {
                slot.phase = Phase::Running;
                if slot.lanes == 0 {
                    self.start_again(&record.module).await;
                }
            }
            (State::Running | State::Paused | State::Halted(_), _) => {}
        }
    }

    async fn start_again(&mut self, module: &Name) {
        info!(%module, "module is started again");
        if let Err(error) = self.start_module(module).await {
            self.halt(module, &error.to_string()).await;
        }
    }

    /// Stops a module, and says why.
    pub(super) async fn halt(&mut self, module: &Name, reason: &str) {
        let Some(slot) = self.modules.get_mut(module).filter(|slot| slot.phase != Phase::Halted) else { return };
        error!(%module, reason, "module halts");
        slot.phase = Phase::Halted;
        self.app.status.note(module, status::Phase::Halted(reason.to_owned()));
        slot.stop.cancel();
        match self.app.ledger.halt(module, reason).await {
            Ok(record) => slot.record = record.unwrap_or(slot.record),
            Err(error) => warn!(%module, %error, "the halt could not be noted in the module's record"),
        }
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

/// The next record; never anything if they cannot be watched.
async fn next_record(records: &mut Option<mpsc::Receiver<Result<Item, source::Error>>>) -> Option<Arc<Message>> {
    loop {
        let cause = match records.as_mut()?.recv().await {
            Some(Ok(Item::Message(read))) => return Some(read.message),
            Some(Ok(Item::Pending(_))) => continue,
            Some(Err(error)) => error.to_string(),
            None => "their reader failed".to_owned(),
        };
        error!(cause, "module records are not watched any more: what operators ask for is seen at the next start");
        *records = None;
    }
}
