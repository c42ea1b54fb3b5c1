//! The hosts of an app that live, as far as this one knows, and what follows for each lane. Pure.

use std::collections::BTreeMap;

use xxhash_rust::xxh64::xxh64;

use super::{Edition, Heartbeat, HostId, LaneSet, Runs};
use crate::subject::Name;

/// The hosts that live, this one among them.
#[derive(Clone, Debug)]
pub struct Members {
    me: HostId,
    alive: BTreeMap<HostId, Heartbeat>,
}

impl Members {
    /// Knows of `me` only.
    pub fn new(me: Heartbeat) -> Self {
        Self { me: me.host, alive: [(me.host, me)].into() }
    }

    /// Takes a heartbeat in; true if it tells anything new.
    pub fn hear(&mut self, beat: Heartbeat) -> bool {
        let new = self.alive.get(&beat.host) != Some(&beat);
        self.alive.insert(beat.host, beat);
        new
    }

    /// A host has ended, or is taken to have; gives its last heartbeat, if it was known to live.
    pub fn forget(&mut self, host: HostId) -> Option<Heartbeat> {
        if host == self.me { None } else { self.alive.remove(&host) }
    }

    /// How many live.
    pub fn count(&self) -> usize {
        self.alive.len()
    }

    fn others(&self, module: &Name) -> impl Iterator<Item = (&Heartbeat, &Runs)> {
        let others = self.alive.values().filter(|beat| beat.host != self.me);
        others.filter_map(|beat| beat.modules.get(module).map(|runs| (beat, runs)))
    }

    /// Whether another host could run `module`, in whatever edition.
    pub fn others_know(&self, module: &Name) -> bool {
        self.others(module).next().is_some()
    }

    /// Another host that runs `module` in this edition.
    pub fn other_with(&self, module: &Name, edition: &Edition) -> Option<&Heartbeat> {
        self.others(module).find(|(_, runs)| runs.runs_as(edition)).map(|(beat, _)| beat)
    }

    /// Whether of all that could run `module` this host started first.
    pub fn is_eldest(&self, module: &Name) -> bool {
        self.alive.values().find(|beat| beat.modules.contains_key(module)).is_some_and(|beat| beat.host == self.me)
    }

    /// Whether a host is known to live.
    pub fn lives(&self, host: HostId) -> bool {
        self.alive.contains_key(&host)
    }

    /// The other hosts.
    pub fn others_alive(&self) -> Vec<HostId> {
        self.alive.keys().copied().filter(|host| *host != self.me).collect()
    }

    /// This host.
    pub fn me(&self) -> HostId {
        self.me
    }

    /// The lanes that other hosts say that they own.
    pub fn held(&self, module: &Name) -> LaneSet {
        self.others(module).flat_map(|(_, runs)| runs.lanes.iter()).collect()
    }

    /// How the lanes of `module` are shared by this host and the others that run it in this edition.
    pub fn shares(&self, module: &Name, edition: &Edition) -> Shares {
        let others = self.others(module).filter(|(_, runs)| runs.runs_as(edition));
        let hosts = others.map(|(beat, _)| beat.host).chain([self.me]).collect();
        Shares { me: self.me, hosts, seed: xxh64(module.as_str().as_bytes(), 0) }
    }
}

/// How the lanes of a module are shared: each is of the host with the highest hash of host, module and lane. So each host has
/// its share, and one that comes or goes moves no lane between the others.
#[derive(Clone, Debug)]
pub struct Shares {
    me: HostId,
    hosts: Vec<HostId>,
    seed: u64,
}

impl Shares {
    /// The host that is to run a lane.
    pub fn owner(&self, lane: u16) -> HostId {
        let seed = xxh64(&lane.to_be_bytes(), self.seed);
        self.hosts.iter().copied().max_by_key(|host| (xxh64(host.bytes(), seed), *host)).unwrap_or(self.me)
    }

    /// Whether this host is to run a lane.
    pub fn is_ours(&self, lane: u16) -> bool {
        self.owner(lane) == self.me
    }
}

#[cfg(test)]
mod tests {
    use super::super::FORMAT;
    use super::*;

    fn module() -> Name {
        "totals".parse().unwrap()
    }

    fn edition(plugin: &str) -> Edition {
        Edition { plugin: plugin.to_owned(), settings: String::new() }
    }

    fn beat(host: u128, plugin: &str, lanes: &[u16]) -> Heartbeat {
        let runs = Runs { edition: edition(plugin), able: true, lanes: LaneSet::from_iter(lanes.iter().copied()) };
        let host = HostId::from_u128(host);
        Heartbeat { format: FORMAT, host, name: host.to_string(), modules: [(module(), runs)].into() }
    }

    fn owners(members: &Members) -> Vec<HostId> {
        let shares = members.shares(&module(), &edition("a"));
        (0..256).map(|lane| shares.owner(lane)).collect()
    }

    #[test]
    fn hosts_agree_share_alike_and_only_the_lanes_of_one_that_comes_or_goes_move() {
        let hosts: Vec<Heartbeat> = (1..=8).map(|host| beat(host, "a", &[])).collect();
        let seen_by = |me: usize| {
            let mut members = Members::new(hosts[me].clone());
            for host in &hosts {
                members.hear(host.clone());
            }
            members
        };
        let all = owners(&seen_by(0));
        assert_eq!(all, owners(&seen_by(5)));
        for host in &hosts {
            let share = all.iter().filter(|owner| **owner == host.host).count();
            assert!((16..=56).contains(&share), "{share} of 256 lanes for one of 8");
        }
        let mut fewer = seen_by(0);
        fewer.forget(hosts[3].host).unwrap();
        for (before, after) in all.iter().zip(owners(&fewer)) {
            assert!(*before == after || *before == hosts[3].host);
        }
    }

    #[test]
    fn another_edition_gets_no_lanes() {
        let mut members = Members::new(beat(1, "a", &[]));
        members.hear(beat(2, "b", &[]));
        assert!(owners(&members).iter().all(|owner| *owner == HostId::from_u128(1)));
        assert!(members.others_know(&module()) && members.other_with(&module(), &edition("a")).is_none());
        let mut unable = beat(3, "a", &[]);
        unable.modules.get_mut(&module()).unwrap().able = false;
        members.hear(unable);
        assert!(owners(&members).iter().all(|owner| *owner == HostId::from_u128(1)), "nor does one that cannot run it");
    }

    #[test]
    fn what_is_heard_twice_is_no_news_and_who_is_forgotten_holds_nothing() {
        let mut members = Members::new(beat(2, "a", &[]));
        let other = beat(1, "a", &[0, 3]);
        assert!(members.hear(other.clone()) && !members.hear(other.clone()));
        assert_eq!(members.held(&module()), other.modules[&module()].lanes);
        assert!(!members.is_eldest(&module()) && members.count() == 2);
        assert!(members.forget(HostId::from_u128(2)).is_none(), "nobody forgets itself");
        assert_eq!(members.forget(other.host), Some(other));
        assert!(members.held(&module()).is_empty() && members.is_eldest(&module()));
    }

    #[test]
    fn later_hosts_are_younger() {
        let (first, second) = (HostId::new(), HostId::new());
        assert!(first < second);
    }
}
