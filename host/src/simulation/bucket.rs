//! The hosts' bucket: heartbeats that expire by the server's clock, and the word of all that happens in it, in order.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::ownership::{Heartbeat, HostId};

/// What is told of a host.
#[derive(Clone, Debug)]
pub enum Said {
    Lives(Heartbeat),
    Gone(HostId),
}

/// Heartbeats.
#[derive(Default)]
pub struct Bucket {
    alive: BTreeMap<HostId, (Heartbeat, Instant)>,
    /// Everything, so that a host that was cut off hears what it missed.
    log: Vec<Said>,
}

impl Bucket {
    pub fn put(&mut self, beat: Heartbeat, now: Instant, ttl: Duration) {
        self.log.push(Said::Lives(beat.clone()));
        self.alive.insert(beat.host, (beat, now + ttl));
    }

    /// A host says that it ends, or its heartbeat expires.
    pub fn remove(&mut self, host: HostId) {
        if self.alive.remove(&host).is_some() {
            self.log.push(Said::Gone(host));
        }
    }

    pub fn expire(&mut self, now: Instant) {
        let expired = self.alive.iter().filter(|(_, (_, until))| *until <= now).map(|(host, _)| *host);
        for host in expired.collect::<Vec<_>>() {
            self.remove(host);
        }
    }

    /// Who lives, as a host finds it that begins to listen.
    pub fn alive(&self) -> impl Iterator<Item = &Heartbeat> {
        self.alive.values().map(|(beat, _)| beat)
    }

    /// How much was said.
    pub fn said(&self) -> usize {
        self.log.len()
    }

    pub fn get(&self, at: usize) -> Option<&Said> {
        self.log.get(at)
    }
}
