//! Many hosts that share many lanes. What may go wrong between a few is simulated with all the rest (`simulation`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::claims::{Claims, Plan};
use super::members::Members;
use super::{Edition, FORMAT, Heartbeat, HostId, LaneSet, Rhythm, Runs};
use crate::subject::Name;

const RHYTHM: Rhythm = Rhythm { ttl: Duration::from_secs(9) };

/// All hosts, and what the server holds.
struct World {
    now: Instant,
    modules: Vec<Name>,
    lanes: u16,
    hosts: BTreeMap<HostId, Host>,
    /// The owner and the epoch of each lane, as its checkpoint says.
    checkpoints: BTreeMap<(Name, u16), (HostId, u64)>,
    /// Heartbeats that count, with when they expire.
    bucket: BTreeMap<HostId, (Heartbeat, Instant)>,
    takeovers: usize,
}

struct Host {
    members: Members,
    claims: BTreeMap<Name, Claims>,
    /// The epochs of the lanes that it believes to own.
    epochs: BTreeMap<(Name, u16), u64>,
}

impl World {
    fn new(modules: usize, lanes: u16) -> Self {
        let modules: Vec<Name> = (0..modules).map(|number| format!("m{number}").parse().unwrap()).collect();
        let (hosts, checkpoints, bucket) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { now: Instant::now(), modules, lanes, hosts, checkpoints, bucket, takeovers: 0 }
    }

    fn start(&mut self, number: u128) {
        let id = HostId::from_u128(number);
        let claims = self.modules.iter().map(|module| (module.clone(), Claims::new(self.lanes, RHYTHM.ttl))).collect();
        let mut members = Members::new(heartbeat(id, &claims));
        for (beat, _) in self.bucket.values() {
            members.hear(beat.clone());
        }
        self.hosts.insert(id, Host { members, claims, epochs: BTreeMap::new() });
    }

    /// A heartbeat's time passes for all.
    fn beat(&mut self) {
        self.now += RHYTHM.every();
        let now = self.now;
        let gone: Vec<HostId> = self.bucket.extract_if(.., |_, (_, until)| *until <= now).map(|(id, _)| id).collect();
        let told = self.hosts.iter().map(|(id, host)| (*id, (heartbeat(*id, &host.claims), now + RHYTHM.ttl)));
        self.bucket.extend(told.collect::<Vec<_>>());
        let mut with_news = Vec::new();
        for (id, host) in &mut self.hosts {
            let gone = gone.iter().filter(|gone| host.members.forget(**gone).is_some()).count();
            let new = self.bucket.values().filter(|(beat, _)| host.members.hear(beat.clone())).count();
            with_news.extend((gone + new > 0).then_some(*id));
        }
        with_news.into_iter().for_each(|id| self.share(id));
    }

    /// A host releases what is not to be its own and takes what is.
    fn share(&mut self, id: HostId) {
        let Some(host) = self.hosts.get_mut(&id) else { return };
        for (module, claims) in &mut host.claims {
            let (shares, held) = (host.members.shares(module, &edition()), host.members.held(module));
            let plan = claims.plan(self.now, |lane| shares.is_ours(lane), |lane| held.contains(lane));
            let Plan { take, release } = plan;
            for lane in release {
                host.epochs.remove(&(module.clone(), lane));
                claims.ended(lane);
            }
            for lane in take {
                let key = (module.clone(), lane);
                let epoch = self.checkpoints.get(&key).map_or(1, |(_, epoch)| epoch + 1);
                self.checkpoints.insert(key.clone(), (id, epoch));
                host.epochs.insert(key, epoch);
                claims.taken(lane, self.now);
                self.takeovers += 1;
            }
        }
    }

    /// Whether each lane is owned by the one live host that is to own it, and by nobody's belief else.
    fn is_settled(&self) -> bool {
        let mut believed = BTreeMap::new();
        for (id, host) in &self.hosts {
            for (lane, epoch) in &host.epochs {
                if believed.insert(lane.clone(), (*id, *epoch)).is_some() {
                    return false;
                }
            }
        }
        let Some(any) = self.hosts.values().next() else { return true };
        let owner = |(module, lane): &(Name, u16)| any.members.shares(module, &edition()).owner(*lane);
        believed == self.checkpoints
            && believed.len() == self.modules.len() * usize::from(self.lanes)
            && believed.iter().all(|(lane, (host, _))| owner(lane) == *host)
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

#[test]
fn a_hundred_hosts_share_ten_thousand_lanes_and_a_death_moves_only_its_own() {
    let mut world = World::new(40, 250);
    (1..=100).for_each(|number| world.start(number));
    while !world.is_settled() {
        world.beat();
    }
    let before = world.takeovers;
    let (victim, share) = world.hosts.iter().map(|(id, host)| (*id, host.epochs.len())).max_by_key(|it| it.1).unwrap();
    assert!(share < 200, "{share} of 10,000 lanes for one of 100 hosts");
    world.hosts.remove(&victim);
    let beats = settled_after(&mut world);
    assert!(
        beats <= 4,
        "a host that dies is replaced within its time, which is three heartbeats, and one more: {beats}"
    );
    assert_eq!(world.takeovers - before, share, "no other lane moves");
    world.start(101);
    let beats = settled_after(&mut world);
    assert!(beats <= 2, "a host that joins has its share within two heartbeats: {beats}");
}

/// After how many heartbeats each lane has the one owner that it is to have.
fn settled_after(world: &mut World) -> usize {
    let settles = |world: &mut World| {
        world.beat();
        world.is_settled()
    };
    (1..10).find(|_| settles(world)).unwrap_or(10)
}
