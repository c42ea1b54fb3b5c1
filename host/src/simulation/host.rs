//! A host: the real `Members` and `Claims` of each module, with the shell that `host/share.rs` is to them: it hears of the
//! others, takes the lanes that are to be its own, releases those that are not.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Violation;
use super::beats::Beats;
use super::bucket::Said;
use super::committing::Committing;
use super::env::{Answer, Env, Shown, What};
use super::member::{Asks, Member};
use super::module::{Module, subjects};
use super::taking::Busy;
use crate::commit::LaneId;
use crate::commit::committer::Committer;
use crate::lane::views::Fetch;
use crate::ownership::claims::{Claims, Plan};
use crate::ownership::members::Members;
use crate::ownership::{Edition, FORMAT, Heartbeat, HostId, LaneSet, Runs};
use crate::policy::breaker::Breaker;
use crate::subject::Name;

/// A host.
pub struct Host {
    pub id: HostId,
    /// How far its clock is ahead of the server's.
    pub ahead: Duration,
    /// Whether it reaches the server.
    pub link: Arc<AtomicBool>,
    /// Whether it stands still.
    pub asleep: bool,
    /// Whether it finishes what is in hand, to end.
    pub leaving: bool,
    pub(super) members: Members,
    heard: BTreeMap<HostId, Instant>,
    /// Nothing is taken before.
    settles: Instant,
    /// How much of what the bucket says it has heard.
    at: usize,
    beats: Beats,
    looks: Instant,
    pub(super) slots: BTreeMap<Name, Slot>,
    pub(super) busy: Option<Busy>,
    pub(super) jobs: VecDeque<Job>,
    pub lanes: BTreeMap<LaneId, Member>,
    /// Lanes that have ended, and whether another host took them.
    ended: VecDeque<(LaneId, bool)>,
    pub(super) committing: Committing,
}

/// A module on a host.
pub struct Slot {
    pub module: Arc<Module>,
    pub claims: Claims,
    pub breaker: Breaker,
}

/// Something to be asked of the app stream, while which the host does nothing else about its lanes.
pub enum Job {
    /// Lanes are to be taken.
    Take(Arc<Module>, Vec<u16>),
    /// Another host says that it owns these, too.
    Settle(Arc<Module>, Vec<u16>),
}

fn edition() -> Edition {
    Edition { plugin: "sha256:1".to_owned(), settings: String::new() }
}

impl Host {
    /// A host that starts, and tells the others. Those whose connection is gone it knows to be dead.
    pub fn join(id: HostId, env: &mut Env, is_dead: impl Fn(HostId) -> bool) -> Self {
        let slots = env.modules.iter().map(|module| {
            let (claims, breaker) = (Claims::new(module.lanes, env.rhythm.ttl), Breaker::new(module.breaker));
            (module.name.clone(), Slot { module: module.clone(), claims, breaker })
        });
        let slots: BTreeMap<Name, Slot> = slots.collect();
        let own = heartbeat(id, &slots);
        let (mut members, mut heard, now) = (Members::new(own.clone()), BTreeMap::new(), env.now);
        env.bucket.put(own.clone(), now, env.rhythm.ttl);
        for beat in env.bucket.alive().filter(|beat| beat.host != id && !is_dead(beat.host)) {
            heard.insert(beat.host, now);
            members.hear(beat.clone());
        }
        Self {
            id,
            ahead: Duration::ZERO,
            link: Arc::new(AtomicBool::new(true)),
            asleep: false,
            leaving: false,
            members,
            heard,
            settles: now,
            at: env.bucket.said(),
            beats: Beats::new(own, now),
            looks: now,
            slots,
            busy: None,
            jobs: VecDeque::new(),
            lanes: BTreeMap::new(),
            ended: VecDeque::new(),
            committing: Committing::new(Committer::new(subjects(), env.bounds)),
        }
    }

    /// The time as it knows it.
    pub fn clock(&self, env: &Env) -> Instant {
        env.now + self.ahead
    }

    pub fn is_linked(&self) -> bool {
        self.link.load(Ordering::Relaxed)
    }

    /// Tells the others that it lives, if it is time or there is news.
    pub fn beat(&mut self, env: &mut Env) {
        self.beats.beat(env, self.clock(env), self.is_linked());
    }

    /// Sees to one thing that concerns which lanes it owns. If that is to listen, it hears so much at most.
    pub fn control(&mut self, env: &mut Env, most: usize) {
        if self.busy.is_some() {
            return self.give_up_waiting(env);
        }
        if let Some(job) = self.jobs.pop_front() {
            return self.begin(env, job);
        }
        if let Some((lane, is_lost)) = self.ended.pop_front() {
            return self.lane_ended(env, &lane, is_lost);
        }
        let (before, now) = (self.members.count(), self.clock(env));
        let mut is_news = self.beats.is_back() && self.was_missed(env);
        for _ in 0..most {
            let Some(said) = env.bucket.get(self.at).filter(|_| self.is_linked()).cloned() else { break };
            self.at += 1;
            is_news |= self.take_in(env, said);
        }
        if now >= self.looks {
            self.looks = now + env.rhythm.every();
            self.forget_silent(env);
            is_news = true;
        }
        if is_news {
            self.share_with(env, before);
        }
    }

    fn take_in(&mut self, env: &mut Env, said: Said) -> bool {
        match said {
            Said::Lives(beat) if beat.host == self.id => false,
            Said::Gone(host) if host == self.id => self.was_missed(env),
            Said::Lives(beat) => {
                self.heard.insert(beat.host, self.clock(env));
                self.members.hear(beat)
            }
            Said::Gone(host) => self.members.forget(host).is_some(),
        }
    }

    fn forget_silent(&mut self, env: &Env) {
        if !self.beats.is_told() {
            return;
        }
        let now = self.clock(env);
        for host in self.members.others_alive() {
            if now.duration_since(*self.heard.entry(host).or_insert(now)) > env.rhythm.ttl * 2 {
                self.heard.remove(&host);
                self.members.forget(host);
            }
        }
    }

    /// The others did not hear of it in time: it gives its lanes up, and takes its share anew.
    fn was_missed(&mut self, env: &mut Env) -> bool {
        env.trace.count("hosts missed", 1);
        env.note(format_args!("{} was missed", Shown(self.id)));
        self.settles = self.clock(env) + env.rhythm.settles();
        self.release_all();
        true
    }

    fn release_all(&mut self) {
        self.slots.values_mut().for_each(|slot| slot.claims.release_all());
        self.lanes.values_mut().for_each(|member| member.lane.stop());
    }

    /// It finishes what is in hand, and ends.
    pub fn leave(&mut self) {
        self.leaving = true;
        self.jobs.clear();
        self.release_all();
    }

    /// Whether it has nothing in hand any more.
    pub fn has_left(&self) -> bool {
        self.leaving && self.lanes.is_empty() && self.busy.is_none() && self.committing.is_idle()
    }

    fn share_with(&mut self, env: &mut Env, before: usize) {
        if self.members.count() != before {
            self.slots.values_mut().for_each(|slot| slot.claims.wake());
        }
        let modules: Vec<Name> = self.slots.keys().cloned().collect();
        modules.iter().for_each(|module| self.share(env, module));
    }

    /// Sees to a module's lanes: those that are to be its own are taken, others released.
    fn share(&mut self, env: &Env, module: &Name) {
        let now = self.clock(env);
        let Some(slot) = self.slots.get_mut(module).filter(|_| !self.leaving) else { return };
        let (shares, held) = (self.members.shares(module, &edition()), self.members.held(module));
        let Plan { take, release } = slot.claims.plan(now, |lane| shares.is_ours(lane), |lane| held.contains(lane));
        let disputed: Vec<u16> = slot.claims.owned().filter(|lane| held.contains(*lane)).collect();
        if !disputed.is_empty() {
            self.jobs.push_back(Job::Settle(slot.module.clone(), disputed));
        }
        if !take.is_empty() && now >= self.settles && self.beats.is_told() {
            self.jobs.push_back(Job::Take(slot.module.clone(), take));
        }
        release.into_iter().for_each(|lane| self.stop(module, lane));
    }

    /// Has a lane finish what is in hand.
    pub(super) fn stop(&mut self, module: &Name, lane: u16) {
        if let Some(member) = self.lanes.get_mut(&LaneId { module: module.clone(), lane }) {
            member.lane.stop();
        }
    }

    fn lane_ended(&mut self, env: &mut Env, id: &LaneId, is_lost: bool) {
        let now = self.clock(env);
        if let Some(slot) = self.slots.get_mut(&id.module) {
            if is_lost { slot.claims.lost(id.lane, now) } else { slot.claims.ended(id.lane) }
        }
        self.tell();
        self.share(env, &id.module);
    }

    /// Notes what it is to tell the others.
    pub(super) fn tell(&mut self) {
        let own = heartbeat(self.id, &self.slots);
        if self.members.hear(own.clone()) {
            self.beats.tell(own);
        }
    }

    /// Whether it believes to own a lane that is to be its own.
    pub fn owns(&self, id: &LaneId) -> Option<bool> {
        let owner = self.members.shares(&id.module, &edition()).owner(id.lane);
        self.lanes.get(id).map(|member| !member.lane.is_stopping() && owner == self.id)
    }

    /// Has a lane take one step.
    pub fn turn(&mut self, env: &mut Env, id: &LaneId) {
        let now = self.clock(env);
        let (Some(member), Some(slot)) = (self.lanes.get_mut(id), self.slots.get_mut(&id.module)) else { return };
        if let Some(is_lost) = member.hear() {
            self.lanes.remove(id);
            return self.ended.push_back((id.clone(), is_lost));
        }
        match member.turn(env, &mut slot.breaker, now) {
            Asks::Nothing => {}
            Asks::Commit(steps) => self.committing.submit(id, member.lane.incarnation(), steps),
            Asks::Release => self.committing.release(id),
        }
    }

    /// Takes an answer in, if it still waits for it.
    pub fn answered(&mut self, env: &mut Env, call: u64, answer: Answer) -> Result<(), Violation> {
        if self.busy.as_ref().is_some_and(|busy| busy.call == call) {
            return self.answered_busy(env, answer);
        }
        self.answered_commit(env, call, answer)
    }

    /// How its guests read views.
    pub(super) fn fetch(&self, env: &Env) -> Fetch {
        let (link, server) = (self.link.clone(), env.server.clone());
        Arc::new(move |subject, from_leader| match link.load(Ordering::Relaxed) {
            true => server.lock().unwrap().view(subject, from_leader),
            false => Err("cut off".to_owned()),
        })
    }

    /// Sends something, unless it is lost right away.
    pub(super) fn send(&self, env: &mut Env, what: What) -> u64 {
        let call = env.send(self.id, what);
        if !self.is_linked() && env.random.percent(50) {
            env.net.pop();
        }
        call
    }
}

fn heartbeat(host: HostId, slots: &BTreeMap<Name, Slot>) -> Heartbeat {
    let each = slots.iter().map(|(name, slot)| {
        let lanes: LaneSet = slot.claims.owned().collect();
        (name.clone(), Runs { edition: edition(), able: true, lanes })
    });
    Heartbeat { format: FORMAT, host, name: host.to_string(), modules: each.collect() }
}
