//! Starts the lanes of modules, and has readers feed them.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::Error;
use super::lanes::{Host, Phase, Slot};
use super::prepare::{Deployed, Loaded, deploy};
use crate::commit::LaneId;
use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::commit::task::Request;
use crate::control;
use crate::event::Sequence;
use crate::guest::INSTANCES;
use crate::lane::Lane;
use crate::lane::dedupe::Dedupe;
use crate::lane::queue::queue;
use crate::lane::runner::Runner;
use crate::lane::task::Task as LaneTask;
use crate::lane::views::{Fetch, Views};
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
    pub async fn start(&mut self, loaded: Vec<Loaded>) -> Result<(), Error> {
        let lanes: u32 = loaded.iter().map(|loaded| u32::from(loaded.module.lanes.get())).sum();
        let keeps_instances = lanes <= INSTANCES / 2;
        self.memory = Memory::of(lanes as usize);
        let names: Vec<Name> = loaded.iter().map(|loaded| loaded.module.name.clone()).collect();
        for mut loaded in loaded {
            loaded.keeps_instances = keeps_instances;
            let (stop, stream) = (self.stop.child_token(), loaded.module.input.stream.clone());
            let slot = Slot { phase: Phase::Running, stream, stop, lanes: 0, record: Sequence(0), loaded };
            self.modules.insert(slot.loaded.module.name.clone(), slot);
        }
        for name in names {
            match self.start_module(&name).await {
                Ok(()) => {}
                Err(Error::Input { cause, .. }) => self.halt(&name, &cause.to_string()).await,
                Err(error) => return Err(error),
            }
        }
        if self.all_halted() { Err(Error::NothingRuns) } else { Ok(()) }
    }

    fn all_halted(&self) -> bool {
        self.modules.values().all(|slot| slot.phase == Phase::Halted)
    }

    /// Starts the lanes of a module, unless an operator paused it.
    pub(super) async fn start_module(&mut self, name: &Name) -> Result<(), Error> {
        let Some(slot) = self.modules.get(name) else { return Ok(()) };
        let deployed = deploy(&self.app, &self.connections, &slot.loaded, self.bounds).await?;
        let Some(slot) = self.modules.get_mut(name) else { return Ok(()) };
        let Some(deployed) = deployed else {
            info!(module = %name, "module is paused");
            slot.phase = Phase::Paused;
            self.app.status.note(name, status::Phase::Paused);
            return Ok(());
        };
        slot.phase = Phase::Running;
        self.app.status.note(name, status::Phase::Running);
        slot.stop = self.stop.child_token();
        slot.lanes = deployed.lanes.len();
        slot.record = deployed.record;
        let mut ports = Vec::new();
        for (number, owned) in (0..).zip(&deployed.lanes) {
            ports.push(self.start_lane(&deployed, number, owned).await);
        }
        self.feed(&deployed, ports).await;
        Ok(())
    }

    async fn start_lane(&mut self, module: &Deployed, number: u16, owned: &Stored<Checkpoint>) -> Port {
        let id = LaneId { module: module.routing.module.clone(), lane: number };
        let (notices, noticed) = mpsc::unbounded_channel();
        let (inputs, received) = queue(self.memory.inputs);
        let (orders, ordered) = mpsc::channel(ORDERS);
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
        let views = Views::new(origin, grants, self.fetch(), module.is_new, self.memory.views);
        let task = LaneTask {
            id: id.clone(),
            lane: Lane::new(at.sequence, module.rules, self.memory.inputs),
            dedupe: module.dedupe.map(|window| Dedupe::new(window, module.routing.lanes)),
            runner: Runner::new(module.job.clone(), number, views),
            breaker: module.breaker.clone(),
            inputs: received,
            orders: ordered,
            notices: noticed,
            committer: self.requests.clone(),
        };
        let stop = self.modules.get(&id.module).map_or(&self.stop, |slot| &slot.stop).clone();
        let running = self.lanes.spawn(task.run(stop));
        self.lane_of.insert(running.id(), id.clone());
        let (client, subjects, reader) = (&self.connections.read, &self.app.subjects, &self.app.reader);
        let (routing, stream) = (module.routing.clone(), module.stream.clone());
        match control::replay::serve(
            client,
            subjects,
            reader,
            control::replay::Lane { id: id.clone(), routing, stream, orders },
        )
        .await
        {
            Ok(serving) => drop(self.tasks.spawn(serving)),
            Err(error) => warn!(lane = %id, %error, "dead letters of this lane cannot be replayed"),
        }
        Port { id, inputs, at: module.history.filter(|history| history.sequence < at.sequence).unwrap_or(at) }
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
    async fn feed(&mut self, module: &Deployed, ports: Vec<Port>) {
        let name = module.stream.name();
        let mut wish = Wish::Feed(Box::new(module.stream.clone()), module.routing.clone(), ports);
        if let Some((_, live)) = self.streams.get(name) {
            match live.send(wish).await {
                Ok(()) => return,
                // It has ended meanwhile: there is to be another one.
                Err(unsent) => wish = unsent.0,
            }
        }
        let (live, wishes) = Live::new(module.stream.clone(), self.stop.clone());
        if wishes.send(wish).await.is_err() {
            error!(stream = name, "the live reader takes no wishes");
        }
        let running = self.readers.spawn(live.run(self.advance));
        self.stream_of.insert(running.id(), name.to_owned());
        self.streams.insert(name.to_owned(), (running.id(), wishes));
    }
}
