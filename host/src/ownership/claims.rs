//! Which lanes of a module this host takes and releases, and when. A state machine without I/O: time is passed in.

use std::time::{Duration, Instant};

/// A host's claims to the lanes of one module.
#[derive(Clone, Debug)]
pub struct Claims {
    /// How long a live host that holds a lane of ours is waited for, before the lane is taken from it.
    patience: Duration,
    lanes: Vec<Claim>,
}

/// What to do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Lanes to take: tell [`taken`](Claims::taken) or [`refused`](Claims::refused) what came of it.
    pub take: Vec<u16>,
    /// Lanes to finish and give up: tell [`ended`](Claims::ended) when that is done.
    pub release: Vec<u16>,
}

#[derive(Clone, Debug)]
enum Claim {
    /// It is not this host's.
    Free(Free),
    /// It is, since then.
    Held(Instant, u32),
    /// It is being given up.
    Releasing,
}

#[derive(Clone, Copy, Debug, Default)]
struct Free {
    /// How often it was lost to another host, or could not be taken, in a row.
    losses: u32,
    /// Not to be taken before.
    rests: Option<Instant>,
    /// Since when it is to be ours while another host holds it.
    waits: Option<Instant>,
}

/// The most doublings of the pause behind a loss.
const DOUBLINGS: u32 = 3;

impl Claims {
    /// None yet to any of so many lanes. `patience` is how long a live host that holds a lane of ours is waited for.
    pub fn new(lanes: u16, patience: Duration) -> Self {
        Self { patience, lanes: (0..lanes).map(|_| Claim::Free(Free::default())).collect() }
    }

    /// The same for another number of lanes, none of them ours.
    pub fn anew(&self, lanes: u16) -> Self {
        Self::new(lanes, self.patience)
    }

    /// How many lanes there are.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// What to do, given which lanes are to be ours and which of them another live host holds.
    pub fn plan(&mut self, now: Instant, ours: impl Fn(u16) -> bool, held: impl Fn(u16) -> bool) -> Plan {
        let mut plan = Plan::default();
        for (lane, claim) in (0..).zip(&mut self.lanes) {
            match claim {
                Claim::Free(free) if ours(lane) => {
                    if free.may_take(now, held(lane), self.patience) {
                        plan.take.push(lane);
                    }
                }
                Claim::Free(free) => *free = Free::default(),
                Claim::Held(..) if !ours(lane) => {
                    *claim = Claim::Releasing;
                    plan.release.push(lane);
                }
                Claim::Held(..) | Claim::Releasing => {}
            }
        }
        plan
    }

    /// A lane is ours.
    pub fn taken(&mut self, lane: u16, now: Instant) {
        let Some(claim) = self.lanes.get_mut(usize::from(lane)) else { return };
        let losses = if let Claim::Free(free) = claim { free.losses } else { 0 };
        *claim = Claim::Held(now, losses);
    }

    /// A lane could not be taken: somebody else wrote at the same time, or NATS does not answer.
    pub fn refused(&mut self, lane: u16, now: Instant) {
        let pause = self.patience / 8;
        if let Some(Claim::Free(free)) = self.lanes.get_mut(usize::from(lane)) {
            free.lose(now, pause);
        }
    }

    /// Another host took a lane that was ours.
    pub fn lost(&mut self, lane: u16, now: Instant) {
        let (patience, pause) = (self.patience, self.patience / 8);
        let Some(claim) = self.lanes.get_mut(usize::from(lane)) else { return };
        let losses = match claim {
            Claim::Held(since, losses) if now.duration_since(*since) <= patience => *losses,
            _ => 0,
        };
        let mut free = Free { losses, ..Free::default() };
        free.lose(now, pause);
        *claim = Claim::Free(free);
    }

    /// A lane was finished and given up, or stopped.
    pub fn ended(&mut self, lane: u16) {
        if let Some(claim) = self.lanes.get_mut(usize::from(lane)) {
            *claim = Claim::Free(Free::default());
        }
    }

    /// All lanes that are ours are being finished and given up.
    pub fn release_all(&mut self) {
        for claim in self.lanes.iter_mut().filter(|claim| matches!(claim, Claim::Held(..))) {
            *claim = Claim::Releasing;
        }
    }

    /// Who lives has changed: what was lost may be taken again at once.
    pub fn wake(&mut self) {
        for claim in &mut self.lanes {
            if let Claim::Free(free) = claim {
                free.rests = None;
            }
        }
    }

    /// The lanes that are ours.
    pub fn owned(&self) -> impl Iterator<Item = u16> + '_ {
        (0..).zip(&self.lanes).filter(|(_, claim)| !matches!(claim, Claim::Free(_))).map(|(lane, _)| lane)
    }
}

impl Free {
    /// Whether a lane that is to be ours may be taken now.
    fn may_take(&mut self, now: Instant, is_held: bool, patience: Duration) -> bool {
        if !is_held {
            self.waits = None;
        } else if now.duration_since(*self.waits.get_or_insert(now)) < patience {
            return false;
        }
        self.rests.is_none_or(|rests| now >= rests)
    }

    fn lose(&mut self, now: Instant, pause: Duration) {
        self.rests = Some(now + pause * 2_u32.pow(self.losses.min(DOUBLINGS)));
        self.losses += 1;
        self.waits = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(8);

    fn claims() -> (Claims, Instant) {
        (Claims::new(4, PATIENCE), Instant::now())
    }

    fn take(lanes: &[u16]) -> Plan {
        Plan { take: lanes.to_vec(), release: Vec::new() }
    }

    #[test]
    fn free_lanes_are_taken_at_once_and_lanes_of_others_released() {
        let (mut claims, now) = claims();
        assert_eq!(claims.plan(now, |lane| lane < 2, |_| false), take(&[0, 1]));
        claims.taken(0, now);
        claims.taken(1, now);
        assert_eq!(claims.plan(now, |lane| lane == 1, |_| false), Plan { take: vec![], release: vec![0] });
        assert_eq!(Vec::from_iter(claims.owned()), [0, 1], "until it is finished");
        assert_eq!(claims.plan(now, |_| true, |_| false), take(&[2, 3]), "what is being released ends first");
        claims.ended(0);
        assert_eq!(claims.plan(now, |lane| lane == 0, |_| false), Plan { take: vec![0], release: vec![1] });
        claims.taken(0, now);
        claims.release_all();
        assert_eq!(claims.plan(now, |_| false, |_| false), Plan::default(), "they are being released already");
    }

    #[test]
    fn a_live_holder_is_waited_for_but_not_for_ever() {
        let (mut claims, now) = claims();
        let plan = |claims: &mut Claims, after| claims.plan(now + after, |lane| lane == 3, |_| true);
        assert_eq!(plan(&mut claims, Duration::ZERO), Plan::default());
        assert_eq!(plan(&mut claims, PATIENCE / 2), Plan::default());
        assert_eq!(plan(&mut claims, PATIENCE), take(&[3]));
        assert_eq!(claims.plan(now, |lane| lane == 3, |_| false), take(&[3]), "it gave the lane up");
    }

    #[test]
    fn two_hosts_that_disagree_fight_ever_more_slowly() {
        let (mut claims, mut now) = claims();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            claims.taken(0, now);
            claims.lost(0, now);
            let began = now;
            while claims.plan(now, |lane| lane == 0, |_| false) == Plan::default() {
                now += Duration::from_millis(100);
            }
            pauses.push(now.duration_since(began).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 8, 8]);
        claims.lost(0, now);
        claims.wake();
        assert_eq!(claims.plan(now, |lane| lane == 0, |_| false), take(&[0]), "who lives has changed");
        claims.taken(0, now);
        now += PATIENCE * 2;
        claims.lost(0, now);
        assert_eq!(claims.plan(now + PATIENCE / 8, |lane| lane == 0, |_| false), take(&[0]), "it was long ours");
    }

    #[test]
    fn what_could_not_be_taken_is_tried_again_later() {
        let (mut claims, now) = claims();
        claims.refused(2, now);
        assert_eq!(claims.plan(now, |lane| lane == 2, |_| false), Plan::default());
        assert_eq!(claims.plan(now + PATIENCE / 8, |lane| lane == 2, |_| false), take(&[2]));
        assert_eq!(claims.plan(now, |_| false, |_| false), Plan::default());
        assert_eq!(claims.plan(now, |lane| lane == 2, |_| false), take(&[2]), "it was another's meanwhile");
    }
}
