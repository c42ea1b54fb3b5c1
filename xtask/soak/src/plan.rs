//! Draws which faults come when, and what operators do meanwhile. Pure: the same seed gives the same plan.

use std::time::Duration;

use pelton_tests::{Random, proxy::Mode};

use crate::fleet::{HOSTS, NODES};

/// The host that is never ended, so that what it holds can be compared over time.
pub const LASTING: usize = 0;
/// Faults come for so long, and then there is calm.
const BURST: Duration = Duration::from_secs(40);
const CALM: Duration = Duration::from_secs(20);
/// What a server needs to be a full member again after a fault.
const SERVER_REST: Duration = Duration::from_secs(3);
const HOST_REST: Duration = Duration::from_secs(1);
/// Numbers of lanes to go to.
const LANES: [u16; 6] = [3, 16, 1, 7, 24, 16];

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// A host gets SIGKILL, and is started again.
    HostKilled,
    /// A host gets SIGTERM, and is started again.
    HostEnded,
    /// A host stands still (SIGSTOP).
    HostStill,
    /// A server gets SIGKILL, and is started again.
    ServerKilled,
    /// A server stands still.
    ServerStill,
    /// The same for the server that leads the app stream, or the input stream.
    LeaderKilled,
    LeaderStill,
    /// Two of three servers get SIGKILL: nothing can be stored.
    MajorityKilled,
    /// A host's connections are cut once.
    Cut,
    /// A host's proxies do this to its connections.
    Network(Mode),
}

/// What an operator does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// Another plugin for the oracle.
    Swap,
    /// Another number of lanes for it.
    Scale(u16),
    /// All dead letters are replayed.
    Replay,
}

/// A fault in its place and time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planned {
    /// Since the beginning.
    pub at: Duration,
    pub fault: Fault,
    /// Which host or server.
    pub target: usize,
    pub lasts: Duration,
}

/// All that happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Until when nothing does.
    pub quiet: Duration,
    pub faults: Vec<Planned>,
    pub acts: Vec<(Duration, Act)>,
}

impl Fault {
    /// As the table names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HostKilled => "host killed",
            Self::HostEnded => "host told to end",
            Self::HostStill => "host stood still",
            Self::ServerKilled => "server killed",
            Self::ServerStill => "server stood still",
            Self::LeaderKilled => "leader killed",
            Self::LeaderStill => "leader stood still",
            Self::MajorityKilled => "two of three servers killed",
            Self::Cut => "connections cut",
            Self::Network(Mode::Through) => "network mended",
            Self::Network(Mode::Delayed(_)) => "network slow",
            Self::Network(Mode::Away) => "network away",
            Self::Network(Mode::HalfOpen { up: true, down: true }) => "half open, both ways",
            Self::Network(Mode::HalfOpen { up: true, .. }) => "half open, nothing sent arrives",
            Self::Network(Mode::HalfOpen { .. }) => "half open, nothing comes back",
        }
    }

    /// Whether it befalls servers.
    fn of_servers(self) -> bool {
        match self {
            Self::ServerKilled | Self::ServerStill | Self::LeaderKilled | Self::LeaderStill | Self::MajorityKilled => {
                true
            }
            Self::HostKilled | Self::HostEnded | Self::HostStill | Self::Cut | Self::Network(_) => false,
        }
    }

    /// Whether the host's process goes.
    fn ends_host(self) -> bool {
        matches!(self, Self::HostKilled | Self::HostEnded)
    }
}

impl Plan {
    /// Draws a plan of so many minutes.
    pub fn draw(seed: u64, minutes: u32) -> Self {
        let whole = Duration::from_secs(u64::from(minutes) * 60);
        let quiet = (whole / 6).min(Duration::from_secs(60));
        let mut draw = Draw { random: Random::of(seed), free: [Duration::ZERO; HOSTS], servers_free: Duration::ZERO };
        let (mut faults, mut acts, mut burst) = (Vec::new(), Vec::new(), quiet);
        while burst < whole {
            let end = (burst + BURST).min(whole);
            faults.extend(draw.faults(burst, end));
            acts.extend(draw.acts(burst, end));
            burst = end + CALM;
        }
        Self { quiet, faults, acts }
    }
}

/// What is drawn with.
struct Draw {
    random: Random,
    /// From when on each host is whole.
    free: [Duration; HOSTS],
    /// From when on all servers are.
    servers_free: Duration,
}

impl Draw {
    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.random.below(to - from))
    }

    fn faults(&mut self, begin: Duration, end: Duration) -> Vec<Planned> {
        let (mut faults, mut at) = (Vec::new(), begin);
        loop {
            let drawn = self.fault();
            let lasts = if drawn == Fault::Cut { Duration::ZERO } else { self.millis(1_000, 8_000) };
            let target = self.target(drawn);
            let free = if drawn.of_servers() { self.servers_free } else { self.host(target) };
            let at_last = at.max(free);
            if at_last + lasts > end {
                return faults;
            }
            faults.push(Planned { at: at_last, fault: drawn, target, lasts });
            self.occupy(drawn, target, at_last + lasts);
            at = at_last + self.millis(1_500, 6_000);
        }
    }

    fn fault(&mut self) -> Fault {
        match self.random.below(20) {
            0..=2 => Fault::HostKilled,
            3 => Fault::HostEnded,
            4 | 5 => Fault::HostStill,
            6 => Fault::ServerKilled,
            7 => Fault::ServerStill,
            8 | 9 => Fault::LeaderKilled,
            10 | 11 => Fault::LeaderStill,
            12 => Fault::MajorityKilled,
            13 => Fault::Cut,
            14 | 15 => Fault::Network(Mode::Delayed(self.millis(20, 400))),
            16 => Fault::Network(Mode::Away),
            17 => Fault::Network(Mode::HalfOpen { up: true, down: false }),
            18 => Fault::Network(Mode::HalfOpen { up: false, down: true }),
            _ => Fault::Network(Mode::HalfOpen { up: true, down: true }),
        }
    }

    fn target(&mut self, fault: Fault) -> usize {
        let index = |number: u64| usize::try_from(number).unwrap_or_default();
        if fault.of_servers() {
            return index(self.random.below(NODES as u64));
        }
        let lasting = if fault.ends_host() { LASTING + 1 } else { 0 };
        lasting + index(self.random.below((HOSTS - lasting) as u64))
    }

    fn host(&self, host: usize) -> Duration {
        self.free.get(host).copied().unwrap_or_default()
    }

    fn occupy(&mut self, fault: Fault, target: usize, until: Duration) {
        if fault.of_servers() {
            self.servers_free = until + SERVER_REST;
        } else if let Some(free) = self.free.get_mut(target) {
            *free = until + HOST_REST;
        }
    }

    fn acts(&mut self, begin: Duration, end: Duration) -> Vec<(Duration, Act)> {
        let (mut acts, mut at) = (Vec::new(), begin + self.millis(1_000, 4_000));
        while at < end {
            let act = match self.random.below(4) {
                0 => Act::Swap,
                1 => {
                    let drawn = usize::try_from(self.random.below(LANES.len() as u64)).unwrap_or_default();
                    Act::Scale(LANES.get(drawn).copied().unwrap_or(1))
                }
                _ => Act::Replay,
            };
            acts.push((at, act));
            at += self.millis(4_000, 12_000);
        }
        acts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_faults_again_and_another_one_others() {
        assert_eq!(Plan::draw(7, 10), Plan::draw(7, 10));
        assert_ne!(Plan::draw(7, 10), Plan::draw(8, 10));
    }

    #[test]
    fn what_is_at_fault_is_whole_again_before_the_next_fault_and_one_host_is_never_ended() {
        for seed in 0..200 {
            let plan = Plan::draw(seed, 10);
            assert!(plan.faults.len() > 20, "{seed}: {} faults", plan.faults.len());
            let (mut servers, mut hosts) = (Duration::ZERO, [Duration::ZERO; HOSTS]);
            for planned in &plan.faults {
                assert!(planned.at >= plan.quiet && planned.at + planned.lasts <= Duration::from_secs(600));
                assert!(!planned.fault.ends_host() || planned.target != LASTING, "{planned:?}");
                let free = if planned.fault.of_servers() { &mut servers } else { &mut hosts[planned.target] };
                assert!(planned.at >= *free, "{planned:?}");
                *free = planned.at + planned.lasts;
            }
        }
    }

    #[test]
    fn every_kind_of_fault_and_act_is_drawn() {
        let plan = Plan::draw(1, 240);
        let kinds: std::collections::BTreeSet<_> = plan.faults.iter().map(|planned| planned.fault.name()).collect();
        assert_eq!(kinds.len(), 14, "{kinds:?}");
        assert!(plan.acts.iter().any(|(_, act)| *act == Act::Swap));
    }
}
