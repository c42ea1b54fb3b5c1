//! Which host runs which lanes. Pure, but for [`heartbeats`].
//!
//! Hosts tell by [`heartbeats`] that they live. Over the [`members`] that do, all compute the same owner of each lane;
//! [`claims`] says which lanes to take and which to release. All of this is opinion: two hosts may disagree for a while.
//! What decides is the guard of the lane's checkpoint, which lets one owner commit.

pub mod claims;
pub mod heartbeats;
mod lane_set;
pub mod members;
#[cfg(test)]
mod simulation;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::lane_set::LaneSet;
use crate::subject::Name;

/// A host, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostId(Uuid);

impl HostId {
    /// An id that no host had before. Later ones are greater.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id with these bits.
    #[cfg(test)]
    pub fn from_u128(bits: u128) -> Self {
        Self(Uuid::from_u128(bits))
    }

    fn bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl Default for HostId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// The format of heartbeats that this version writes.
pub const FORMAT: u32 = 1;

/// What a host tells the others, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The version of this format.
    pub format: u32,
    /// Which host.
    pub host: HostId,
    /// Its machine and process, for people.
    pub name: String,
    /// The modules that it could run.
    pub modules: BTreeMap<Name, Runs>,
}

/// What a host tells of a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs {
    /// What it runs, or would run.
    #[serde(flatten)]
    pub edition: Edition,
    /// Whether it may own lanes: it has the module deployed, and runs it.
    pub able: bool,
    /// The lanes that it owns.
    pub lanes: LaneSet,
}

/// What decides about the effects of a module's inputs: two hosts run a module only if they agree in this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edition {
    /// The SHA-256 of the plugin, `sha256:…`.
    pub plugin: String,
    /// The SHA-256 of what the config says of the module besides, `sha256:…`; empty in records of versions that did not
    /// keep it.
    #[serde(default)]
    pub settings: String,
}

/// How often hosts tell that they live.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rhythm {
    /// How long a heartbeat counts.
    pub ttl: Duration,
}

impl Rhythm {
    /// How often there is one.
    pub fn every(self) -> Duration {
        self.ttl / 3
    }
}
