//! What a host tells the others of itself, and when.

use std::time::Instant;

use super::env::Env;
use crate::ownership::Heartbeat;

/// A host's heartbeats.
pub struct Beats {
    own: Heartbeat,
    said: Heartbeat,
    next: Instant,
    told: Instant,
    is_told: bool,
    is_back: bool,
}

impl Beats {
    /// Those of a host that has told its first one.
    pub fn new(own: Heartbeat, now: Instant) -> Self {
        Self { said: own.clone(), own, next: now, told: now, is_told: true, is_back: false }
    }

    /// It is to tell this from now on.
    pub fn tell(&mut self, own: Heartbeat) {
        self.own = own;
    }

    /// Tells it, if it is time or there is news, and the server hears it.
    pub fn beat(&mut self, env: &mut Env, now: Instant, is_linked: bool) {
        let ttl = env.rhythm.ttl;
        if now < self.next && self.said == self.own {
            return;
        }
        self.next = now + env.rhythm.every();
        self.said = self.own.clone();
        if is_linked && env.server().stores() {
            env.bucket.put(self.own.clone(), env.now, ttl);
            if !env.random.percent(5) {
                self.is_back |= now.duration_since(self.told) > ttl;
                self.told = now;
            }
        }
        self.is_told = now.duration_since(self.told) < ttl;
    }

    /// Whether the others were told in time that it lives.
    pub fn is_told(&self) -> bool {
        self.is_told
    }

    /// Whether it was silent for so long that the others took it to be dead, and tells it again. Said once.
    pub fn is_back(&mut self) -> bool {
        std::mem::take(&mut self.is_back)
    }
}
