//! The modules of a host at work: their lanes and readers are watched, stopped and started again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use super::doubts::{self, Doubts};
use super::prepare::Loaded;
use super::share::Hosts;
use super::slot::{Phase, Slot};
use super::start::Memory;
use super::swap::Swaps;
use super::{App, Connections, Error, LAST_COMMITS};
use crate::commit::LaneId;
use crate::commit::format;
use crate::commit::record::{Record, State};
use crate::commit::task::Request;
use crate::config::Config;
use crate::control;
use crate::effects::Bounds;
use crate::event::{Mark, Message, Sequence};
use crate::guest::INSTANCES;
use crate::lane::task::End;
use crate::source::live::Wish;
use crate::source::reader::{self, Item};
use crate::source::{self, InputStream};
use crate::status;
use crate::subject::Name;

/// Swaps that wait.
const SWAPS: usize = 16;

/// What runs.
pub struct Host {
    pub(super) app: App,
    pub(super) connections: Connections,
    pub(super) bounds: Bounds,
    pub(super) advance: Duration,
    pub(super) memory: Memory,
    /// The turns of lanes that run inputs which may end the host.
    pub(super) alone: Arc<Semaphore>,
    pub(super) requests: mpsc::Sender<Request>,
    /// Ends all reading.
    pub(super) stop: CancellationToken,
    pub(super) hosts: Hosts,
    pub(super) modules: BTreeMap<Name, Slot>,
    pub(super) lanes: JoinSet<End>,
    pub(super) lane_of: HashMap<Id, LaneId>,
    /// The live reader of each input stream.
    pub(super) streams: BTreeMap<String, (Id, mpsc::Sender<Wish>)>,
    pub(super) readers: JoinSet<Result<(), source::Error>>,
    pub(super) stream_of: HashMap<Id, String>,
    pub(super) tasks: TaskTracker,
    pub(super) swaps: Swaps,
    pub(super) doubts: Doubts,
}

impl Host {
    /// A host that runs nothing yet, and that the others know of.
    pub async fn join(
        app: App,
        config: &Config,
        connections: Connections,
        bounds: Bounds,
        requests: mpsc::Sender<Request>,
        loaded: Vec<Loaded>,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let lanes: u32 = loaded.iter().map(|loaded| u32::from(loaded.module.lanes.get())).sum();
        let slot = |mut loaded: Loaded| {
            loaded.keeps_instances = lanes <= INSTANCES / 2;
            Slot::new(loaded, stop.child_token(), config.hosts)
        };
        let modules = loaded.into_iter().map(|loaded| (loaded.module.name.clone(), slot(loaded))).collect();
        let hosts = Hosts::join(&connections, &app.subjects, config.hosts, &modules).await?;
        Ok(Self {
            app,
            connections,
            bounds,
            advance: config.stream.advance,
            memory: Memory::of(lanes as usize),
            alone: Arc::new(Semaphore::new(1)),
            requests,
            stop,
            hosts,
            modules,
            lanes: JoinSet::new(),
            lane_of: HashMap::new(),
            streams: BTreeMap::new(),
            readers: JoinSet::new(),
            stream_of: HashMap::new(),
            tasks: TaskTracker::new(),
            swaps: Swaps::new(config.file.clone()),
            doubts: Doubts::default(),
        })
    }

    /// Waits until `shutdown` and until every lane has ended, or until no module can go on.
    pub async fn wait(mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        let mut witness = tokio::time::interval(doubts::EVERY);
        // Looks that were missed must not come all at once: one moment would be found several times.
        witness.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = tokio::time::interval(self.hosts.rhythm().every());
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut records = self.watch().await;
        let mut orders = self.swap_orders().await;
        let mut wrong = None;
        while !(self.lanes.is_empty() && (shutdown.is_cancelled() || self.all_halted() || self.requests.is_closed())) {
            tokio::select! {
                Some(ended) = self.lanes.join_next_with_id() => self.lane_ended(ended).await,
                Some(ended) = self.readers.join_next_with_id() => self.reader_ended(ended).await,
                Some(changed) = next_record(&mut records) => self.record_changed(&changed).await,
                Some(heard) = self.hosts.next() => self.heard(heard).await,
                Some(order) = orders.recv() => self.load_other(order),
                Some(step) = self.swaps.next() => self.swap(step).await,
                _ = look.tick() => {
                    if records.is_none() {
                        records = self.watch().await;
                    }
                    self.look().await;
                }
                _ = witness.tick() => {
                    wrong = self.witness().await;
                    if wrong.is_some() {
                        break;
                    }
                }
                () = shutdown.cancelled(), if self.lanes.is_empty() => {}
            }
        }
        self.stop.cancel();
        drop(orders);
        // A reader that failed ended its lanes: its reason is to be told.
        while let Some(ended) = self.readers.join_next_with_id().await {
            self.reader_ended(ended).await;
        }
        let failed = self.requests.is_closed();
        self.leave().await;
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        match shutdown.is_cancelled() {
            true => Ok(()),
            false if failed => Err(Error::Committer),
            false => Err(Error::AllHalted),
        }
    }

    /// Tells the other hosts that this one ends, and ends what runs beside the lanes.
    pub async fn leave(mut self) {
        self.stop.cancel();
        let released = async { while self.lanes.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_COMMITS, released).await.is_err() {
            warn!("lanes are not released: NATS does not take the last commits");
            self.lanes.abort_all();
        }
        self.hosts.leave().await;
        drop(self.requests);
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Whether no module can go on without an operator who starts the host again.
    pub(super) fn all_halted(&self) -> bool {
        !self.modules.is_empty() && self.modules.values().all(|slot| slot.phase == Phase::Halted)
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

    async fn lane_ended(&mut self, ended: Result<(Id, End), JoinError>) {
        let (id, end) = match ended {
            Ok((id, end)) => (id, end),
            Err(panic) => (panic.id(), End::Halted(format!("the host failed: {panic}"))),
        };
        let Some(lane) = self.lane_of.remove(&id) else { return };
        self.app.status.left(&lane);
        let Some(slot) = self.modules.get_mut(&lane.module) else { return };
        slot.lanes.remove(&lane.lane);
        let measured = self.app.status.measured(&lane.module);
        measured.lanes.set(i64::try_from(slot.lanes.len()).unwrap_or(i64::MAX));
        match end {
            End::Lost => {
                slot.claims.lost(lane.lane, Instant::now());
                measured.lost.inc();
            }
            End::Stopped => {
                slot.claims.ended(lane.lane);
                debug!(module = %lane.module, lane = lane.lane, "lane is released");
            }
            End::Halted(reason) => {
                slot.claims.ended(lane.lane);
                self.halt(&lane.module, &format!("lane {}: {reason}", lane.lane)).await;
            }
        }
        self.hosts.tell(&self.modules);
        let starts_again = self.modules.get(&lane.module).is_some_and(|slot| {
            slot.phase == Phase::Running
                && slot.stop.is_cancelled()
                && slot.lanes.is_empty()
                && !self.stop.is_cancelled()
        });
        if starts_again {
            self.start_again(&lane.module).await;
        } else {
            self.share(&lane.module).await;
        }
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
        let record = match format::read::<Record>(&message.payload) {
            Ok(record) => record,
            Err(error) => return self.unreadable(message, &error),
        };
        let Some(slot) = self.modules.get_mut(&record.module) else { return };
        if message.sequence <= slot.record {
            return;
        }
        slot.record = message.sequence;
        let is_own = slot.own.remove(&message.sequence);
        slot.own.retain(|own| *own > message.sequence);
        if is_own {
            return;
        }
        match (record.state.clone(), slot.phase) {
            (State::Paused, Phase::Running | Phase::Differs) => {
                info!(module = %record.module, "module is paused: what is in hand is finished and committed");
                slot.end(Phase::Paused);
                self.app.status.note(&record.module, status::Phase::Paused);
            }
            (State::Paused, Phase::Halted) => {
                slot.phase = Phase::Paused;
                self.app.status.note(&record.module, status::Phase::Paused);
            }
            (State::Halted(why), Phase::Running) => {
                error!(module = %record.module, reason = why, "module halts, as another host found");
                slot.end(Phase::Halted);
                self.app.status.note(&record.module, status::Phase::Halted(why));
            }
            (State::Running, Phase::Running) if slot.fits(&record) => self.hosts.tell(&self.modules),
            (State::Running, phase) => {
                if matches!(phase, Phase::Paused | Phase::Halted) {
                    info!(module = %record.module, "module is started again");
                }
                let ends = slot.phase == Phase::Running;
                slot.changed = Some(Instant::now());
                slot.phase = Phase::Running;
                if ends {
                    slot.stop.cancel();
                }
                if slot.lanes.is_empty() {
                    self.start_again(&record.module).await;
                }
            }
            (State::Paused | State::Halted(_), _) => {}
        }
    }

    /// A module record cannot be read. If a newer version wrote it, the module is left to hosts of that version.
    fn unreadable(&mut self, message: &Message, error: &format::Error) {
        let reason = format!("its record {} {error}", message.subject);
        error!(reason, "a module record cannot be read");
        let module = message.subject.rsplit('.').next().and_then(|module| module.parse::<Name>().ok());
        if let Some(module) = module.filter(|_| matches!(error, format::Error::Newer { .. })) {
            self.halt_here(&module, &reason);
        }
    }

    pub(super) async fn start_again(&mut self, module: &Name) {
        match self.start_module(module).await {
            Ok(()) => {}
            Err(error) if error.is_passing() => warn!(%module, %error, "the module is started later"),
            Err(error) => self.halt_for(module, &error).await,
        }
    }

    /// Stops a module for an error. What a newer version wrote, and a config that the module's record forbids, halt it on this host
    /// only: others may run it.
    pub(super) async fn halt_for(&mut self, module: &Name, error: &Error) {
        if error.is_newer() || matches!(error, Error::Changed(_)) {
            self.halt_here(module, &error.to_string());
        } else {
            self.halt(module, &error.to_string()).await;
        }
    }

    /// Stops a module on this host, and says why. Nothing is noted in its record.
    fn halt_here(&mut self, module: &Name, reason: &str) {
        let Some(slot) = self.modules.get_mut(module).filter(|slot| slot.phase != Phase::Halted) else { return };
        error!(%module, reason, "module halts on this host");
        slot.end(Phase::Halted);
        self.app.status.note(module, status::Phase::Halted(reason.to_owned()));
        self.hosts.tell(&self.modules);
    }

    /// Stops a module, and says why.
    pub(super) async fn halt(&mut self, module: &Name, reason: &str) {
        let Some(slot) = self.modules.get_mut(module).filter(|slot| slot.phase != Phase::Halted) else { return };
        error!(%module, reason, "module halts");
        slot.end(Phase::Halted);
        self.app.status.note(module, status::Phase::Halted(reason.to_owned()));
        slot.unnoted = Some(reason.to_owned());
        self.hosts.tell(&self.modules);
        self.note_halts().await;
    }

    /// Notes in their records that modules halted, where that is not done.
    pub(super) async fn note_halts(&mut self) {
        for (module, slot) in &mut self.modules {
            let Some(reason) = slot.unnoted.as_ref().filter(|_| slot.phase == Phase::Halted) else { continue };
            match self.app.ledger.halt(module, reason).await {
                // What somebody else wrote before, this host hears as everybody does.
                Ok(record) => {
                    slot.own.extend(record);
                    slot.unnoted = None;
                }
                Err(error) => warn!(%module, %error, "the halt could not be noted in the module's record"),
            }
        }
    }
}

/// The next record; never anything if they cannot be watched.
async fn next_record(records: &mut Option<mpsc::Receiver<Result<Item, source::Error>>>) -> Option<Arc<Message>> {
    loop {
        let cause = match records.as_mut()?.recv().await {
            Some(Ok(Item::Message(read))) => return Some(read.message),
            Some(Ok(Item::Pending(_) | Item::Moved(_))) => continue,
            Some(Err(error)) => error.to_string(),
            None => "their reader failed".to_owned(),
        };
        error!(cause, "module records are not watched any more: what operators ask for is seen at the next start");
        *records = None;
    }
}
