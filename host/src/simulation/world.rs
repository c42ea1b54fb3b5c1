//! The scheduler: picks by the seed what happens next, for so many steps; then faults end, and all must come to rest.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::bug::Bug;
use super::env::{Answer, Batch, Env, Packet, Shown, What};
use super::faults::{Faults, Happens};
use super::host::Host;
use super::inputs::{CREATED, Kind, STREAM};
use super::oracle::Oracle;
use super::{Run, Violation};
use crate::commit::LaneId;
use crate::commit::batch::Outcome;
use crate::commit::checkpoint::{Checkpoint, NEVER_WRITTEN};
use crate::commit::committer::checkpoint_message;
use crate::event::{Mark, Sequence};
use crate::ownership::HostId;

/// All hosts, and what they share.
pub struct World {
    pub env: Env,
    pub hosts: BTreeMap<HostId, Host>,
    pub oracle: Oracle,
    pub faults: Faults,
    pub started: u128,
    /// When what is wrong with the server ends.
    pub mends: Option<Instant>,
    /// Batches that a leader without a majority holds.
    pub held: Vec<(HostId, Batch)>,
    keys: u64,
    /// How much is to be published in all.
    inputs: u64,
}

/// The time that hosts have to settle in the end: a heartbeat that expires, patience, pauses of retries and breakers.
const REST: Duration = Duration::from_secs(1_800);
/// How far the clock goes in a round of that, at first and when it takes long.
const ROUNDS: [Duration; 2] = [Duration::from_millis(400), Duration::from_secs(2)];
/// What is long.
const LONG: Duration = Duration::from_secs(60);

/// Does all that a seed says.
pub fn run(seed: u64, bug: Option<Bug>) -> Run {
    let mut world = World::new(seed, bug);
    let outcome = world.all();
    world.env.trace.count("inputs with their effects", world.oracle.effects);
    world.env.trace.count("dead letters", world.oracle.dead_letters);
    let last = world.env.server().stream.last();
    world.env.note(format_args!("the stream ends at {last}"));
    Run { trace: world.env.trace, violation: outcome.err() }
}

fn incomplete() -> Outcome {
    Outcome::Ambiguous("batch incomplete".to_owned())
}

impl World {
    fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut env = Env::new(seed, bug);
        let (faults, oracle) = (Faults::random(&mut env.random), Oracle::new(env.modules.clone()));
        let (keys, inputs) = (1 + env.random.below(8), 10 + env.random.below(60));
        let (hosts, started, mends, held) = (BTreeMap::new(), 0, None, Vec::new());
        let mut world = Self { env, hosts, oracle, faults, started, mends, held, keys, inputs };
        world.deploy();
        world.join();
        while world.faults.may_join(world.hosts.len()) && world.env.random.percent(60) {
            world.join();
        }
        world
    }

    /// Writes the checkpoints that all lanes begin with.
    fn deploy(&mut self) {
        let begin = Checkpoint::start(STREAM, CREATED, Mark { sequence: Sequence(0), fingerprint: None });
        for module in self.env.modules.clone() {
            for lane in 0..module.lanes {
                let message = checkpoint_message(&module.checkpoint(lane), &begin, NEVER_WRITTEN);
                self.env.server().stream.store(&[message]);
            }
        }
    }

    fn all(&mut self) -> Result<(), Violation> {
        let steps = 300 + self.env.random.below(900);
        for _ in 0..steps {
            self.step()?;
        }
        self.rest()
    }

    /// One thing happens.
    fn step(&mut self) -> Result<(), Violation> {
        let pause = if self.env.random.percent(2) { 4_000 } else { 100 };
        let pause = self.env.random.below(pause);
        self.pass(Duration::from_millis(pause))?;
        let happens = self.faults.next(&mut self.env.random);
        let host = self.any_host();
        match (happens, host) {
            // The input stream is on the same servers.
            (Happens::Publish, _) if self.env.server().is_alone() => {}
            (Happens::Publish, _) => self.publish(),
            (Happens::Arrives, _) => return self.arrive(),
            (Happens::Works, Some(id)) => {
                self.turns(id);
                return self.with(id, Host::commit).unwrap_or(Ok(()));
            }
            (Happens::Turns, Some(id)) => self.turns(id),
            (Happens::Commits, Some(id)) => return self.with(id, Host::commit).unwrap_or(Ok(())),
            (Happens::Controls, Some(id)) => {
                let most = self.env.random.index(4);
                self.with(id, Host::beat);
                self.with(id, |host, env| host.control(env, most));
            }
            (fault, host) => return self.fault(fault, host),
        }
        Ok(())
    }

    /// Time passes.
    pub fn pass(&mut self, time: Duration) -> Result<(), Violation> {
        self.env.now += time;
        let now = self.env.now;
        // Without a majority nothing expires, either.
        if self.env.server().stores() {
            self.env.bucket.expire(now);
        }
        if self.mends.is_some_and(|mends| now >= mends) {
            self.mended()?;
        }
        let left = self.hosts.extract_if(.., |_, host| host.has_left()).map(|(id, _)| id);
        for id in left.collect::<Vec<_>>() {
            self.env.note(format_args!("{} has left", Shown(id)));
            self.env.bucket.remove(id);
        }
        Ok(())
    }

    pub fn any_host(&mut self) -> Option<HostId> {
        let at = self.env.random.index(self.hosts.len());
        self.hosts.keys().nth(at).copied()
    }

    /// Has a host do something, unless it stands still.
    fn with<T>(&mut self, id: HostId, does: impl FnOnce(&mut Host, &mut Env) -> T) -> Option<T> {
        let host = self.hosts.get_mut(&id).filter(|host| !host.asleep)?;
        Some(does(host, &mut self.env))
    }

    fn publish(&mut self) {
        if self.env.inputs.last() < self.inputs {
            let key = format!("k{}", self.env.random.below(self.keys));
            let kind = Kind::random(&mut self.env.random);
            self.env.inputs.publish(kind, &key);
        }
    }

    /// Some of a host's lanes read, run and hand in.
    fn turns(&mut self, id: HostId) {
        self.with(id, |host, env| {
            for lane in host.lanes.keys().cloned().collect::<Vec<LaneId>>() {
                let most = env.random.below(12);
                if let Some(member) = host.lanes.get_mut(&lane).filter(|_| host.link.load(Ordering::Relaxed)) {
                    member.read(env, most);
                }
                for _ in 0..env.random.below(4) {
                    host.turn(env, &lane);
                }
            }
        });
    }

    /// Something on its way arrives, if anything may.
    fn arrive(&mut self) -> Result<(), Violation> {
        let may = |packet: &Packet| match self.hosts.get(&packet.host) {
            Some(host) => host.is_linked() && !(host.asleep && matches!(packet.what, What::Answer(_))),
            None => true,
        };
        let may: Vec<usize> = (0..self.env.net.len()).filter(|at| may(&self.env.net[*at])).collect();
        if may.is_empty() {
            return Ok(());
        }
        let Packet { host, call, what } = self.env.net.swap_remove(self.env.random.pick(&may));
        let is_lost = self.faults.loses(&mut self.env.random);
        let answer = match what {
            What::Answer(answer) => {
                return self.with(host, |host, env| host.answered(env, call, answer)).unwrap_or(Ok(()));
            }
            // Lost as a whole, or in part: then the server has what comes last, and says that it is not complete.
            What::Batch(_) if is_lost => self.env.random.percent(50).then(|| Answer::Stored(incomplete())),
            What::Read(_) if is_lost => None,
            What::Batch(batch) => {
                if self.faults.repeats(&mut self.env.random) {
                    self.env.net.push(Packet { host, call: 0, what: What::Batch(batch.clone()) });
                }
                self.store(host, &batch)?.map(Answer::Stored)
            }
            What::Read(subjects) => {
                let server = self.env.server();
                let found = || subjects.iter().map(|subject| server.stream.checkpoint(subject)).collect();
                server.answers().then(|| Answer::Checkpoints(found()))
            }
        };
        if let Some(answer) = answer.filter(|_| !self.faults.loses(&mut self.env.random)) {
            self.env.net.push(Packet { host, call, what: What::Answer(answer) });
        }
        Ok(())
    }

    /// A batch reaches the server.
    pub fn store(&mut self, host: HostId, batch: &Batch) -> Result<Option<Outcome>, Violation> {
        let (is_alone, outcome) = {
            let mut server = self.env.server();
            (server.is_alone(), server.store(&batch.messages))
        };
        if is_alone && outcome.is_none() {
            self.held.push((host, batch.clone()));
        }
        let purpose = batch.purpose;
        self.env.note(format_args!("{}, {purpose:?}, {} messages: {outcome:?}", Shown(host), batch.messages.len()));
        if let Some(Outcome::Committed(_)) = outcome {
            for message in &batch.messages {
                self.env.note(format_args!("  {} {:?}", message.subject, message.payload));
            }
            self.oracle.stored(&self.env.inputs, host, batch)?;
        }
        Ok(outcome)
    }

    /// A host starts.
    pub fn join(&mut self) {
        self.started += 1;
        let id = HostId::from_u128(self.started);
        let host = Host::join(id, &mut self.env, |other| !self.hosts.contains_key(&other));
        self.env.note(format_args!("{} joins", Shown(id)));
        self.hosts.insert(id, host);
    }

    /// Faults end. All inputs must be done, each lane be one host's, and what is still on its way change nothing.
    fn rest(&mut self) -> Result<(), Violation> {
        self.env.note(format_args!("faults end"));
        self.faults.end();
        self.mended()?;
        while self.env.inputs.last() < self.inputs {
            self.publish();
        }
        for host in self.hosts.values_mut() {
            host.asleep = false;
            host.link.store(true, Ordering::Relaxed);
        }
        if self.hosts.values().all(|host| host.leaving) {
            self.join();
        }
        let began = self.env.now;
        while !self.is_at_rest() {
            let rested = self.env.now.duration_since(began);
            if rested > REST {
                return Err(self.restless());
            }
            self.round(ROUNDS[usize::from(rested > LONG)])?;
        }
        Ok(())
    }

    /// Every host does all it can.
    fn round(&mut self, time: Duration) -> Result<(), Violation> {
        self.pass(time)?;
        for id in self.hosts.keys().copied().collect::<Vec<_>>() {
            self.turns(id);
            self.with(id, Host::commit).unwrap_or(Ok(()))?;
            self.with(id, Host::beat);
            // Whoever hears less than is said is ever further behind.
            self.with(id, |host, env| host.control(env, usize::MAX));
        }
        while !self.env.net.is_empty() {
            self.arrive()?;
        }
        Ok(())
    }

    fn is_at_rest(&self) -> bool {
        self.env.net.is_empty() && self.oracle.is_done(&self.env.inputs) && self.unsettled().is_none()
    }

    /// A lane that is not owned by the one host that is to own it, and by nobody's belief else.
    fn unsettled(&self) -> Option<LaneId> {
        let server = self.env.server();
        let lanes = self.env.modules.iter().flat_map(|module| (0..module.lanes).map(move |lane| (module, lane)));
        let mut unsettled = lanes.filter(|(module, lane)| {
            let id = LaneId { module: module.name.clone(), lane: *lane };
            let believe: Vec<_> = self.hosts.values().filter_map(|host| Some((host.id, host.owns(&id)?))).collect();
            let owner = server.stream.checkpoint(&module.checkpoint(*lane)).and_then(|found| found.value.owner);
            !matches!(believe.as_slice(), [(host, true)] if owner == Some(*host))
        });
        unsettled.next().map(|(module, lane)| LaneId { module: module.name.clone(), lane })
    }

    fn restless(&self) -> Violation {
        let what = match self.unsettled() {
            Some(lane) => format!("{lane} has no one owner, or another than it is to have"),
            None => "inputs wait for ever".to_owned(),
        };
        Violation(format!("{REST:?} after faults ended: {what}"))
    }
}
