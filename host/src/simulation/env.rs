//! What all hosts share: time, chance, the network, the streams.

use std::fmt::{self, Arguments, Display};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::bucket::Bucket;
use super::bug::Bug;
use super::inputs::Inputs;
use super::module::Module;
use super::random::Random;
use super::server::Server;
use super::trace::Trace;
use crate::commit::batch::Outcome;
use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::effects::{Bounds, Outgoing};
use crate::ownership::{HostId, Rhythm};

/// What all hosts share.
pub struct Env {
    pub begin: Instant,
    pub now: Instant,
    pub random: Random,
    pub server: Arc<Mutex<Server>>,
    pub net: Vec<Packet>,
    calls: u64,
    pub inputs: Inputs,
    pub modules: Vec<Arc<Module>>,
    pub bucket: Bucket,
    pub bounds: Bounds,
    pub rhythm: Rhythm,
    pub trace: Trace,
    pub bug: Option<Bug>,
}

/// A message on its way between a host and the server.
#[derive(Clone)]
pub struct Packet {
    pub host: HostId,
    /// Which question it is, or the answer to which.
    pub call: u64,
    pub what: What,
}

/// What is in a packet.
#[derive(Clone)]
pub enum What {
    Batch(Batch),
    /// Which checkpoints the leader is asked for.
    Read(Vec<Arc<str>>),
    Answer(Answer),
}

/// A batch as it was sent.
#[derive(Clone)]
pub struct Batch {
    pub messages: Vec<Outgoing>,
    pub purpose: Purpose,
}

/// A host as people call it here: by the number in which it started.
pub struct Shown(pub HostId);

impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host {}", self.0.to_string().trim_start_matches('0'))
    }
}

/// What a batch is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Purpose {
    /// Lanes are taken over.
    Take,
    /// The committer's.
    Commit,
}

/// What the server answers.
#[derive(Clone, Debug)]
pub enum Answer {
    Stored(Outcome),
    Checkpoints(Vec<Option<Stored<Checkpoint>>>),
}

impl Env {
    pub fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut random = Random::new(seed);
        let now = Instant::now();
        let batch_messages = 12 + random.index(30);
        let lags = random.pick(&[0, 0, 10, 40]);
        let server = Server::new(batch_messages, lags, Random::new(random.next()));
        let modules = (0..1 + random.index(2)).map(|number| Arc::new(Module::random(number, &mut random))).collect();
        Self {
            begin: now,
            now,
            random,
            server: Arc::new(Mutex::new(server)),
            net: Vec::new(),
            calls: 0,
            inputs: Inputs::default(),
            modules,
            bucket: Bucket::default(),
            bounds: Bounds { message: 1 << 20, batch_messages, batch_bytes: 8 << 20 },
            rhythm: Rhythm { ttl: Duration::from_secs(9) },
            trace: Trace::default(),
            bug,
        }
    }

    pub fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    pub fn note(&mut self, what: Arguments<'_>) {
        self.trace.note(self.now.duration_since(self.begin), what);
    }

    /// Sends something; gives what its answer will be known by.
    pub fn send(&mut self, host: HostId, what: What) -> u64 {
        self.calls += 1;
        self.net.push(Packet { host, call: self.calls, what });
        self.calls
    }
}
