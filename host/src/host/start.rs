//! Starts the lanes of modules, and has readers feed them.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::Error;
use super::deploy::{Deployed, Standing, When, deploy};
use super::lanes::Host;
use super::slot::Phase;
use crate::commit::LaneId;
use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::commit::ledger;
use crate::commit::task::Request;
use crate::control;
use crate::event::Mark;
use crate::lane::Lane;
use crate::lane::alone::Alone;
use crate::lane::care::{self, Care};
use crate::lane::dedupe::Dedupe;
use crate::lane::gaps::Gaps;
use crate::lane::parked::{Letter, Parked};
use crate::lane::queue::queue;
use crate::lane::runner::Runner;
use crate::lane::task::Task as LaneTask;
use crate::lane::views::{Fetch, Views};
use crate::route::lane_of;
use crate::source::InputStream;
use crate::source::live::{Live, Port, Wish};
use crate::status;
use crate::subject::Name;

/// Replays that wait for one lane.
const ORDERS: usize = 64;

/// What each lane may hold in memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// Payloads on their way to it; as many wait in it, and as many ran ahead of the commit.
    inputs: usize,
    /// Its views.
    views: usize,
}

impl Memory {
    /// What one lane may hold, so that all payloads of a kind are within 256 MiB and all views within 512 MiB.
    pub(super) fn of(lanes: usize) -> Self {
        let share = |all: usize, most: usize| (all / lanes.max(1)).clamp(1 << 20, most);
        Self { inputs: share(256 << 20, 16 << 20), views: share(512 << 20, 32 << 20) }
    }
}

impl Host {
    /// Starts all modules. One whose input stream is not what it was halts by itself; the others run.
    pub async fn start(&mut self) -> Result<(), Error> {
        self.count();
        let names: Vec<Name> = self.modules.keys().cloned().collect();
        for name in names {
            match self.start_module(&name).await {
                Ok(()) => {}
                Err(error) if error.is_passing() => {
                    warn!(module = %name, %error, "the module is started later");
                }
                Err(Error::Input { cause, .. }) => self.halt(&name, &cause.to_string()).await,
                Err(error) if error.is_newer() => self.halt_for(&name, &error).await,
                Err(error) => return Err(error),
            }
        }
        let is_alone = !self.modules.keys().any(|module| self.hosts.members().others_know(module));
        if self.all_halted() && is_alone { Err(Error::NothingRuns) } else { Ok(()) }
    }

    /// Starts a module's lanes that are to be this host's, if it may run.
    pub(super) async fn start_module(&mut self, name: &Name) -> Result<(), Error> {
        let Some(slot) = self.modules.get_mut(name) else { return Ok(()) };
        let (app, connections, members) = (&self.app, &self.connections, self.hosts.members());
        // Others may be about to say that they run it as the record says by now.
        let is_settled = slot.changed.is_none_or(|changed| changed.elapsed() > self.hosts.rhythm().ttl);
        let when = When { starts: slot.is_new, is_settled };
        let standing = deploy(app, connections, members, &mut slot.loaded, self.bounds, when).await?;
        let starts = mem::take(&mut slot.is_new);
        let (phase, told) = match standing {
            Standing::Runs(deployed) => {
                slot.record = deployed.record.revision;
                slot.has_lanes(deployed.record.value.lanes);
                self.app.status.has_lanes(name, deployed.record.value.lanes);
                slot.deployed = Some(Arc::new(*deployed));
                slot.stop = self.stop.child_token();
                (Phase::Running, status::Phase::Running)
            }
            Standing::Paused => (Phase::Paused, status::Phase::Paused),
            Standing::Halted(why) => (Phase::Halted, status::Phase::Halted(why)),
            Standing::Differs(why) => (Phase::Differs, status::Phase::Differs(why)),
        };
        if slot.phase != phase || starts {
            match &told {
                status::Phase::Paused => info!(module = %name, "module is paused"),
                status::Phase::Halted(why) => warn!(module = %name, why, "module is halted"),
                status::Phase::Differs(why) => warn!(module = %name, why, "module does not run on this host"),
                _ => {}
            }
        }
        slot.phase = phase;
        self.app.status.note(name, told);
        self.hosts.tell(&self.modules);
        if phase == Phase::Running {
            self.share(name).await;
        }
        Ok(())
    }

    /// Starts lanes that this host has taken, and has them fed: from `history` on, if repeats in it are to be recognised. The
    /// keys of the letters in `parked` wait.
    pub(super) async fn start_lanes(
        &mut self,
        deployed: &Deployed,
        stream: InputStream,
        taken: ledger::Lanes,
        history: Option<Mark>,
        mut parked: Vec<Letter>,
    ) {
        let mut ports = Vec::new();
        for (number, owned) in &taken {
            let of_lane = |letter: &mut Letter| lane_of(&letter.key, deployed.routing.lanes) == *number;
            let parked = Parked::new(*number, parked.extract_if(.., of_lane));
            let port = self.start_lane(deployed, &stream, (*number, owned), parked).await;
            let at = history.filter(|history| history.sequence < port.at.sequence).unwrap_or(port.at);
            ports.push(Port { at, ..port });
        }
        self.feed(deployed, stream, ports).await;
    }

    async fn start_lane(
        &mut self,
        module: &Deployed,
        stream: &InputStream,
        (number, owned): (u16, &Stored<Checkpoint>),
        parked: Parked,
    ) -> Port {
        let id = LaneId { module: module.routing.module.clone(), lane: number };
        let (notices, noticed) = mpsc::unbounded_channel();
        let (inputs, received) = queue(self.memory.inputs);
        let (orders, ordered) = mpsc::channel(ORDERS);
        let (wanted, letters) = mpsc::unbounded_channel();
        let at = owned.value.mark();
        let attach = Request::Attach {
            lane: id.clone(),
            generation: module.job.origin.generation,
            owned: owned.clone(),
            notices,
        };
        if self.requests.send(attach).await.is_err() {
            error!("the committer has ended");
        }
        let (origin, grants) = (module.job.origin.clone(), module.job.grants.clone());
        let mut lane = Lane::new(at.sequence, module.rules, self.memory.inputs)
            .with_gaps(Gaps::new(module.on_gap, owned.value.starts))
            .with_parked(parked.with_ends(owned.value.takeovers));
        if let Some(suspect) = owned.value.suspect {
            let (hosts, gives_up) = (owned.value.takeovers, suspect.inputs == 1 && suspect.ends >= care::ENDS);
            warn!(lane = %id, hosts, gives_up, "its owner ended without a word: the lane is run with care, since what it ran may be why");
            lane = lane.with_care(Care::new(suspect, stream.last()));
        }
        let stop = self.modules.get(&id.module).map_or(&self.stop, |slot| &slot.stop).child_token();
        let is_new = owned.value.is_first();
        let views = Views::new(origin, grants, self.fetch(), is_new, self.memory.views);
        let task = LaneTask {
            id: id.clone(),
            lane,
            alone: Alone::new(self.alone.clone()),
            dedupe: module.dedupe.map(|window| Dedupe::new(window, module.routing.lanes)),
            scaled: module.record.value.scaled.clone().into(),
            runner: Runner::new(module.job.clone(), number, views, stop.clone()),
            breaker: module.breaker.clone(),
            inputs: received,
            orders: ordered,
            wanted,
            notices: noticed,
            committer: self.requests.clone(),
        };
        let running = self.lanes.spawn(task.run(stop.clone()));
        self.lane_of.insert(running.id(), id.clone());
        if let Some(slot) = self.modules.get_mut(&id.module) {
            slot.claims.taken(number, Instant::now());
            slot.lanes.insert(number, stop);
            let lanes = i64::try_from(slot.lanes.len()).unwrap_or(i64::MAX);
            module.job.metrics.lanes.set(lanes);
        }
        let (client, subjects, reader) = (&self.connections.read, &self.app.subjects, &self.app.reader);
        let (routing, stream) = (module.routing.clone(), stream.clone());
        match control::replay::serve(
            client,
            subjects,
            reader,
            control::replay::Lane { id: id.clone(), routing, stream, wanted: letters, orders },
        )
        .await
        {
            Ok(serving) => drop(self.tasks.spawn(serving)),
            Err(error) => warn!(lane = %id, %error, "dead letters of this lane cannot be replayed"),
        }
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

    /// Has the live reader of a module's stream feed its lanes.
    async fn feed(&mut self, module: &Deployed, stream: InputStream, ports: Vec<Port>) {
        let name = stream.name();
        let mut wish = Wish::Feed(Box::new(stream.clone()), module.routing.clone(), ports);
        if let Some((_, live)) = self.streams.get(name) {
            match live.send(wish).await {
                Ok(()) => return,
                // It has ended meanwhile: there is to be another one.
                Err(unsent) => wish = unsent.0,
            }
        }
        let (live, wishes) = Live::new(stream.clone(), self.stop.clone());
        if wishes.send(wish).await.is_err() {
            error!(stream = name, "the live reader takes no wishes");
        }
        let running = self.readers.spawn(live.run(self.advance));
        self.stream_of.insert(running.id(), name.to_owned());
        self.streams.insert(name.to_owned(), (running.id(), wishes));
    }
}
