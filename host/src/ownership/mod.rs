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
use crate::config::Lanes;
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

impl Edition {
    /// What a newer host runs whose heartbeat cannot be read in full: nobody knows, so it may be anything.
    fn unread() -> Self {
        Self { plugin: String::new(), settings: String::new() }
    }

    /// Whether it is not known.
    pub fn is_unread(&self) -> bool {
        self.plugin.is_empty()
    }
}

impl Heartbeat {
    /// Reads a heartbeat. Of one of a newer format it takes what it understands: that the host lives, its name, its modules;
    /// of those that it does not understand it takes the host to run them, and to hold any lane.
    pub fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        let newer = match serde_json::from_slice(json) {
            Ok(beat) => return Ok(beat),
            Err(error) => {
                serde_json::from_slice::<Newer>(json).ok().filter(|beat| beat.format > FORMAT).ok_or(error)?
            }
        };
        let Newer { format, host, name, modules } = newer;
        let modules = modules.as_object().into_iter().flatten().filter_map(|(module, runs)| {
            let runs = serde_json::from_value(runs.clone());
            Some((module.parse().ok()?, runs.unwrap_or_else(|_| Runs::unread())))
        });
        Ok(Self { format, host, name, modules: modules.collect() })
    }
}

impl Runs {
    fn unread() -> Self {
        Self { edition: Edition::unread(), able: true, lanes: (0..Lanes::MOST).collect() }
    }

    /// Whether it runs a module as `edition`, as far as is known.
    pub fn runs_as(&self, edition: &Edition) -> bool {
        self.able && (self.edition == *edition || self.edition.is_unread())
    }
}

/// What is the same in heartbeats of all formats.
#[derive(Deserialize)]
struct Newer {
    format: u32,
    host: HostId,
    name: String,
    #[serde(default)]
    modules: serde_json::Value,
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

    /// How long a host that the others did not hear of in time waits before it takes lanes again: by then it has heard each
    /// of them once, and what follows is done within three heartbeats.
    pub fn settles(self) -> Duration {
        self.every() * 3 / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_newer_heartbeat_is_taken_what_can_be_read() {
        let json = r#"{"format":2,"host":"0199c1d2-0000-7000-8000-000000000001","name":"newer:1","modules":{
            "read":{"plugin":"sha256:1","settings":"","able":true,"lanes":"0-2","more":1},
            "other":{"version":3,"lanes":[[0,2]]},"No Name":{}},"roles":["a"]}"#;
        let beat = Heartbeat::read(json.as_bytes()).unwrap();
        assert_eq!((beat.format, beat.name.as_str(), beat.modules.len()), (2, "newer:1", 2));
        let module = |name: &str| beat.modules.get(&name.parse::<Name>().unwrap()).unwrap();
        let edition = |plugin: &str| Edition { plugin: plugin.to_owned(), settings: String::new() };
        assert_eq!((module("read").lanes.len(), module("read").edition.clone()), (3, edition("sha256:1")));
        assert!(module("read").runs_as(&edition("sha256:1")) && !module("read").runs_as(&edition("sha256:2")));
        assert!(module("other").runs_as(&edition("sha256:2")), "it may run anything");
        assert!(module("other").lanes.contains(0) && module("other").lanes.contains(255), "and hold any lane");
        let bare =
            Heartbeat::read(br#"{"format":9,"host":"0199c1d2-0000-7000-8000-000000000001","name":"n"}"#).unwrap();
        assert!(bare.modules.is_empty());
        for broken in [r#"{"format":1,"host":"0199c1d2-0000-7000-8000-000000000001","name":"n","modules":3}"#, "{}", ""]
        {
            assert!(Heartbeat::read(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
