//! Hosts that share lanes, with heartbeats that come late or not at all, and checkpoints that let one owner commit.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::claims::{Claims, Plan};
use super::members::Members;
use super::{Edition, FORMAT, Heartbeat, HostId, LaneSet, Rhythm, Runs};
use crate::subject::Name;

const RHYTHM: Rhythm = Rhythm { ttl: Duration::from_secs(9) };

/// The owner and the epoch of a lane, as its checkpoint says.
type Owner = (Option<HostId>, u64);

/// All hosts, and what the server holds.
struct World {
    now: Instant,
    modules: Vec<Name>,
    lanes: u16,
    hosts: BTreeMap<HostId, Host>,
    checkpoints: BTreeMap<(Name, u16), Owner>,
    /// Heartbeats that count, with when they expire.
    bucket: BTreeMap<HostId, (Heartbeat, Instant)>,
    started: u128,
    takeovers: usize,
}

struct Host {
    members: Members,
    claims: BTreeMap<Name, Claims>,
    /// The epochs of the lanes that it believes to own.
    epochs: BTreeMap<(Name, u16), u64>,
    /// Whether it can reach the server at present.
    is_connected: bool,
    told: Instant,
    settles: Instant,
}

impl World {
    fn new(modules: usize, lanes: u16) -> Self {
        let modules: Vec<Name> = (0..modules).map(|number| format!("m{number}").parse().unwrap()).collect();
        let (hosts, checkpoints, bucket) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { now: Instant::now(), modules, lanes, hosts, checkpoints, bucket, started: 0, takeovers: 0 }
    }

    fn start(&mut self) {
        self.started += 1;
        let id = HostId::from_u128(self.started);
        let claims = self.modules.iter().map(|module| (module.clone(), Claims::new(self.lanes, RHYTHM.ttl)));
        let (claims, epochs, now) = (claims.collect(), BTreeMap::new(), self.now);
        let mut members = Members::new(heartbeat(id, &claims));
        for (beat, _) in self.bucket.values() {
            members.hear(beat.clone());
        }
        let host = Host { members, claims, epochs, is_connected: true, told: now, settles: now };
        self.hosts.insert(id, host);
    }

    /// A host releases its lanes and ends.
    fn stop(&mut self, id: HostId) {
        let Some(host) = self.hosts.remove(&id) else { return };
        for (lane, epoch) in host.epochs {
            release(&mut self.checkpoints, lane, id, epoch);
        }
        self.gone(id);
    }

    fn gone(&mut self, id: HostId) {
        self.bucket.remove(&id);
        for host in self.hosts.values_mut().filter(|host| host.is_connected) {
            if host.members.forget(id).is_some() {
                host.claims.values_mut().for_each(Claims::wake);
            }
        }
    }

    /// A heartbeat's time passes for all.
    fn beat(&mut self) {
        self.now += RHYTHM.every();
        let now = self.now;
        let expired = self.bucket.iter().filter(|(_, (_, until))| *until <= now).map(|(id, _)| *id);
        for id in expired.collect::<Vec<_>>() {
            self.gone(id);
        }
        for id in self.hosts.keys().copied().collect::<Vec<_>>() {
            self.tell(id);
        }
        for id in self.hosts.keys().copied().collect::<Vec<_>>() {
            self.share(id);
        }
    }

    fn tell(&mut self, id: HostId) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(&id).filter(|host| host.is_connected) else { return };
        if now.duration_since(host.told) > RHYTHM.ttl {
            host.settles = now + RHYTHM.every();
            host.claims.values_mut().for_each(Claims::release_all);
        }
        // What it missed while it was cut off it reads now, as all that was stored.
        let mut known = Members::new(heartbeat(id, &host.claims));
        for (beat, _) in self.bucket.values().filter(|(beat, _)| beat.host != id) {
            known.hear(beat.clone());
        }
        host.members = known;
        host.told = now;
        let beat = heartbeat(id, &host.claims);
        self.bucket.insert(id, (beat.clone(), now + RHYTHM.ttl));
        for host in self.hosts.values_mut().filter(|host| host.is_connected) {
            let before = host.members.count();
            host.members.hear(beat.clone());
            if host.members.count() != before {
                host.claims.values_mut().for_each(Claims::wake);
            }
        }
    }

    /// A host releases what is not to be its own and takes what is.
    fn share(&mut self, id: HostId) {
        let Some(host) = self.hosts.get_mut(&id).filter(|host| host.is_connected) else { return };
        for (module, claims) in &mut host.claims {
            let (shares, held) = (host.members.shares(module, &edition()), host.members.held(module));
            let Plan { take, .. } = claims.plan(self.now, |lane| shares.is_ours(lane), |lane| held.contains(lane));
            let believed: Vec<u16> = claims.owned().collect();
            for lane in believed {
                let key = (module.clone(), lane);
                let Some(epoch) = host.epochs.get(&key).copied() else { continue };
                // What is released, and what commits, is refused if another host owns the lane by now.
                let (_, stored) = self.checkpoints[&key];
                if stored != epoch {
                    host.epochs.remove(&key);
                    claims.lost(lane, self.now);
                } else if claims.is_releasing(lane) {
                    host.epochs.remove(&key);
                    release(&mut self.checkpoints, key, id, epoch);
                    claims.ended(lane);
                }
            }
            if self.now < host.settles {
                continue;
            }
            for lane in take {
                let key = (module.clone(), lane);
                let stored = self.checkpoints.entry(key.clone()).or_default();
                *stored = (Some(id), stored.1 + 1);
                host.epochs.insert(key, stored.1);
                claims.taken(lane, self.now);
                self.takeovers += 1;
            }
        }
    }

    /// Whether each lane is owned by the one live host that is to own it, and by nobody's belief else.
    fn is_settled(&self) -> bool {
        let Some(any) = self.hosts.values().next() else { return true };
        self.modules.iter().all(|module| {
            let shares = any.members.shares(module, &edition());
            (0..self.lanes).all(|lane| {
                let key = (module.clone(), lane);
                let believe = self.hosts.iter().filter(|(_, host)| host.epochs.contains_key(&key));
                let believe: Vec<HostId> = believe.map(|(id, _)| *id).collect();
                let owner = self.checkpoints.get(&key).and_then(|(owner, _)| *owner);
                owner == Some(shares.owner(lane)) && believe == [shares.owner(lane)]
            })
        })
    }
}

fn release(checkpoints: &mut BTreeMap<(Name, u16), Owner>, lane: (Name, u16), by: HostId, epoch: u64) {
    if let Some(stored) = checkpoints.get_mut(&lane).filter(|stored| **stored == (Some(by), epoch)) {
        stored.0 = None;
    }
}

fn edition() -> Edition {
    Edition { plugin: "sha256:1".to_owned(), settings: String::new() }
}

fn heartbeat(host: HostId, claims: &BTreeMap<Name, Claims>) -> Heartbeat {
    let each = claims.iter().map(|(name, claims)| {
        let lanes: LaneSet = claims.owned().collect();
        (name.clone(), Runs { edition: edition(), able: true, lanes })
    });
    Heartbeat { format: FORMAT, host, name: host.to_string(), modules: each.collect() }
}

/// What may happen to a host of a number, modulo how many there are.
#[derive(Clone, Debug)]
enum Op {
    Start,
    Stop(usize),
    Kill(usize),
    Cut(usize),
    Mend(usize),
    Beat,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => Just(Op::Start),
        1 => (0..8_usize).prop_map(Op::Stop),
        1 => (0..8_usize).prop_map(Op::Kill),
        2 => (0..8_usize).prop_map(Op::Cut),
        2 => (0..8_usize).prop_map(Op::Mend),
        6 => Just(Op::Beat),
    ]
}

impl World {
    fn apply(&mut self, op: &Op) {
        let of = |number: usize| self.hosts.keys().nth(number % self.hosts.len().max(1)).copied();
        match op {
            Op::Start => self.start(),
            Op::Stop(number) => of(*number).into_iter().for_each(|id| self.stop(id)),
            Op::Kill(number) => of(*number).into_iter().for_each(|id| drop(self.hosts.remove(&id))),
            Op::Cut(number) | Op::Mend(number) => {
                let id = of(*number);
                let host = id.and_then(|id| self.hosts.get_mut(&id));
                host.into_iter().for_each(|host| host.is_connected = matches!(op, Op::Mend(_)));
            }
            Op::Beat => self.beat(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever happened before: when the hosts that live reach the server again, each lane has the one owner that it is to
    /// have, within the time of a heartbeat that expires and three more.
    #[test]
    fn hosts_settle(ops in prop::collection::vec(op(), 0..60)) {
        let mut world = World::new(2, 16);
        world.start();
        ops.iter().for_each(|op| world.apply(op));
        world.hosts.values_mut().for_each(|host| host.is_connected = true);
        let beats = (0..6).take_while(|_| { world.beat(); !world.is_settled() }).count();
        prop_assert!(beats < 6, "not settled after six heartbeats");
    }
}

#[test]
fn a_hundred_hosts_share_ten_thousand_lanes_and_a_death_moves_only_its_own() {
    let mut world = World::new(40, 250);
    (0..100).for_each(|_| world.start());
    while !world.is_settled() {
        world.beat();
    }
    let before = world.takeovers;
    let (victim, share) = world.hosts.iter().map(|(id, host)| (*id, host.epochs.len())).max_by_key(|it| it.1).unwrap();
    assert!(share < 200, "{share} of 10,000 lanes for one of 100 hosts");
    world.hosts.remove(&victim);
    let beats = (0..10)
        .take_while(|_| {
            world.beat();
            !world.is_settled()
        })
        .count();
    assert!(beats < 5, "a host that dies is replaced within its time and one heartbeat: {beats}");
    assert_eq!(world.takeovers - before, share, "no other lane moves");
}
