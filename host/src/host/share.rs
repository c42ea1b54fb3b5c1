//! Shares lanes with the other hosts: hears of them, takes the lanes that are to be this host's, releases the others.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use futures::TryFutureExt;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::lanes::Host;
use super::slot::{Phase, Slot};
use super::{Connections, Error, prepare};
use crate::commit::checkpoint::Checkpoint;
use crate::commit::{ledger, read};
use crate::failpoint;
use crate::ownership::claims::Plan;
use crate::ownership::heartbeats::{Heard, Heartbeats};
use crate::ownership::members::Members;
use crate::ownership::{FORMAT, Heartbeat, HostId, LaneSet, Rhythm, Runs};
use crate::policy::OnFailure;
use crate::source::{self, InputStream};
use crate::subject::{Name, Subjects};

/// The hosts of the app, this one among them.
pub(super) struct Hosts {
    heartbeats: Heartbeats,
    members: Members,
    name: String,
    rhythm: Rhythm,
    /// Nothing is taken before: what is known of the others is too old.
    settles: Instant,
    /// When each of the others was heard last.
    heard: HashMap<HostId, Instant>,
}

impl Hosts {
    /// Tells the others of this host, and hears who they are.
    pub async fn join(
        connections: &Connections,
        subjects: &Subjects,
        rhythm: Rhythm,
        modules: &BTreeMap<Name, Slot>,
    ) -> Result<Self, Error> {
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let name = format!("{machine}:{}", std::process::id());
        let own = heartbeat(HostId::new(), &name, modules);
        let join = || Heartbeats::join(connections, subjects, rhythm, own.clone()).err_into();
        let (heartbeats, others) = prepare::patiently(join).await?;
        let mut members = Members::new(own);
        let (now, mut heard) = (Instant::now(), HashMap::new());
        for other in others {
            info!(host = other.name, "another host runs this app");
            heard.insert(other.host, now);
            members.hear(other);
        }
        Ok(Self { heartbeats, members, name, rhythm, settles: now, heard })
    }

    /// Who lives.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// How often hosts tell that they live.
    pub fn rhythm(&self) -> Rhythm {
        self.rhythm
    }

    /// What is heard next.
    pub async fn next(&mut self) -> Option<Heard> {
        self.heartbeats.next().await
    }

    /// What else was heard already.
    pub fn try_next(&mut self) -> Option<Heard> {
        self.heartbeats.try_next()
    }

    /// Whether it is known who else lives. A host that cannot tell that it does takes it that the others cannot either.
    fn may_take(&self, now: Instant) -> bool {
        now >= self.settles && self.heartbeats.is_told()
    }

    /// Forgets hosts that were not heard for so long that the word of their end must have been missed.
    fn forget_silent(&mut self) {
        if !self.heartbeats.is_told() {
            return;
        }
        let now = Instant::now();
        for host in self.members.others_alive() {
            let last = *self.heard.entry(host).or_insert(now);
            if now.duration_since(last) > self.rhythm.ttl * 2 {
                self.heard.remove(&host);
                if let Some(gone) = self.members.forget(host) {
                    info!(host = gone.name, "another host was not heard for long: it is taken to have ended");
                }
            }
        }
    }

    /// Tells the others what this host runs.
    pub fn tell(&mut self, modules: &BTreeMap<Name, Slot>) {
        let own = heartbeat(self.members.me(), &self.name, modules);
        if self.members.hear(own.clone()) {
            self.heartbeats.tell(own);
        }
    }

    /// Tells the others that this host ends.
    pub async fn leave(self) {
        self.heartbeats.leave().await;
    }
}

/// What a host with these modules tells of itself.
fn heartbeat(host: HostId, name: &str, modules: &BTreeMap<Name, Slot>) -> Heartbeat {
    let each = modules.iter().map(|(name, slot)| {
        let lanes: LaneSet = slot.claims.owned().collect();
        (name.clone(), Runs { edition: slot.loaded.edition(), able: slot.is_able(), lanes })
    });
    Heartbeat { format: FORMAT, host, name: name.to_owned(), modules: each.collect() }
}

impl Host {
    /// Takes in what is heard of other hosts, and what else was heard since.
    pub(super) async fn heard(&mut self, heard: Heard) {
        let before = self.hosts.members.count();
        let mut is_news = self.take_in(heard);
        while let Some(more) = self.hosts.try_next() {
            is_news |= self.take_in(more);
        }
        if is_news {
            self.share_with(before).await;
        }
    }

    /// Notes what is heard; true if it is news.
    fn take_in(&mut self, heard: Heard) -> bool {
        let hosts = &mut self.hosts;
        match heard {
            // Its own words come back, perhaps when they are not true any more.
            Heard::Beat(beat) if beat.host == hosts.members.me() => false,
            Heard::Beat(beat) => {
                let (name, before) = (beat.name.clone(), hosts.members.count());
                hosts.heard.insert(beat.host, Instant::now());
                let is_news = hosts.members.hear(beat);
                if hosts.members.count() > before {
                    info!(host = name, "another host runs this app");
                }
                is_news
            }
            Heard::Gone(host) if host == hosts.members.me() => self.was_missed(),
            Heard::Back => self.was_missed(),
            Heard::Gone(host) => {
                let gone = hosts.members.forget(host);
                gone.inspect(|gone| info!(host = gone.name, "another host has ended")).is_some()
            }
        }
    }

    /// Sees to all lanes, when there were so many hosts before.
    async fn share_with(&mut self, before: usize) {
        if self.hosts.members.count() != before {
            self.modules.values_mut().for_each(|slot| slot.claims.wake());
            self.count();
        }
        self.share_all().await;
    }

    /// Looks whether anything is left to be done that nobody tells of.
    pub(super) async fn look(&mut self) {
        let before = self.hosts.members.count();
        // That others missed this host comes before what it would do otherwise.
        while let Some(heard) = self.hosts.try_next() {
            self.take_in(heard);
        }
        self.hosts.forget_silent();
        self.end_trials();
        self.note_halts().await;
        self.note_swaps().await;
        for (module, slot) in &self.modules {
            let measures = match slot.phase {
                Phase::Running => self.hosts.members.shares(module, &slot.loaded.edition()).is_ours(0),
                Phase::Differs => false,
                Phase::Paused | Phase::Halted => self.hosts.members.is_eldest(module),
            };
            self.app.status.set_measures(module, measures);
        }
        self.share_with(before).await;
    }

    /// The others did not hear of this host in time: some of its lanes may be theirs by now, of which it would hear at its
    /// next commit only. It gives all up, and takes its share again when it has heard of the others.
    fn was_missed(&mut self) -> bool {
        warn!("the other hosts did not hear of this one in time: its lanes are given up and shared anew");
        self.hosts.settles = Instant::now() + self.hosts.rhythm.settles();
        for slot in self.modules.values_mut() {
            slot.claims.release_all();
            slot.lanes.values().for_each(CancellationToken::cancel);
        }
        true
    }

    /// Notes how many hosts there are.
    pub(super) fn count(&self) {
        self.app.status.metrics().hosts.set(i64::try_from(self.hosts.members.count()).unwrap_or(i64::MAX));
    }

    /// Sees to all modules' lanes.
    pub(super) async fn share_all(&mut self) {
        let modules: Vec<Name> = self.modules.keys().cloned().collect();
        for module in modules {
            self.share(&module).await;
        }
    }

    /// Sees to a module's lanes: those that are to be this host's are taken, others released.
    pub(super) async fn share(&mut self, module: &Name) {
        let Some(slot) = self.modules.get_mut(module) else { return };
        if self.stop.is_cancelled()
            || self.requests.is_closed()
            || !matches!(slot.phase, Phase::Running | Phase::Differs)
        {
            return;
        }
        if !slot.is_able() {
            if slot.lanes.is_empty() {
                // Which sees to the lanes, if it may run now.
                Box::pin(self.start_again(module)).await;
            }
            return;
        }
        let (members, now) = (&self.hosts.members, Instant::now());
        let (shares, held) = (members.shares(module, &slot.loaded.edition()), members.held(module));
        let Plan { take, release } = slot.claims.plan(now, |lane| shares.is_ours(lane), |lane| held.contains(lane));
        let disputed: Vec<u16> = slot.claims.owned().filter(|lane| held.contains(*lane)).collect();
        for lane in &release {
            slot.lanes.get(lane).inspect(|stop| stop.cancel());
        }
        if !release.is_empty() {
            let lanes = LaneSet::from_iter(release);
            info!(%module, %lanes, "lanes go to another host: what is in hand is finished and committed");
        }
        if !disputed.is_empty() {
            self.settle(module, disputed).await;
        }
        if !take.is_empty() && self.hosts.may_take(now) {
            self.take(module, take).await;
            self.hosts.tell(&self.modules);
        }
    }

    /// Another host says that it owns lanes of ours, too: those that its checkpoint says are not ours are given up. A lane
    /// without inputs would not notice.
    async fn settle(&mut self, module: &Name, lanes: Vec<u16>) {
        let Some(slot) = self.modules.get_mut(module) else { return };
        let Some(deployed) = &slot.deployed else { return };
        let me = self.hosts.members.me();
        match self.app.ledger.checkpoints(&deployed.record.value, lanes).await {
            Ok(found) => {
                for (lane, _) in found.iter().filter(|(_, lane)| lane.value.owner != Some(me)) {
                    slot.lanes.get(lane).inspect(|stop| stop.cancel());
                }
            }
            Err(error) => warn!(%module, %error, "it is not known yet which host owns a lane"),
        }
    }

    /// Takes lanes over and starts them: all at once, or, when another host writes one of them at the same time, each by
    /// itself.
    async fn take(&mut self, module: &Name, lanes: Vec<u16>) {
        match self.try_to_take(module, &lanes).await {
            Err(error) if error.is_contended() && lanes.len() > 1 => {
                for lane in lanes {
                    let taken = self.try_to_take(module, &[lane]).await;
                    self.took(module, &[lane], taken).await;
                }
            }
            taken => self.took(module, &lanes, taken).await,
        }
    }

    /// Notes what came of taking lanes over.
    async fn took(&mut self, module: &Name, lanes: &[u16], taken: Result<(), Error>) {
        match taken {
            Ok(()) => {}
            Err(error) if error.is_passing() => {
                warn!(%module, %error, "lanes are taken later");
                let Some(slot) = self.modules.get_mut(module) else { return };
                lanes.iter().for_each(|lane| slot.claims.refused(*lane, Instant::now()));
            }
            Err(Error::Input { cause, .. }) => self.halt(module, &cause.to_string()).await,
            Err(error) => self.halt_for(module, &error).await,
        }
    }

    async fn try_to_take(&mut self, module: &Name, lanes: &[u16]) -> Result<(), Error> {
        let failed = |cause| Error::SetUp { module: module.to_string(), cause };
        let input = |cause| Error::Input { module: module.to_string(), cause };
        let Some(deployed) = self.modules.get(module).and_then(|slot| slot.deployed.clone()) else { return Ok(()) };
        let (ledger, record) = (&self.app.ledger, &deployed.record.value);
        let found = ledger.checkpoints(record, lanes.iter().copied()).await.map_err(failed)?;
        let stream = InputStream::open(&self.connections.jetstream(), deployed.stream.name()).await.map_err(input)?;
        let mut seen: Vec<&Checkpoint> = found.values().map(|lane| &lane.value).collect();
        seen.sort_by_key(|checkpoint| checkpoint.covered);
        seen.dedup_by(|one, other| (one.mark(), &one.created) == (other.mark(), &other.created));
        for checkpoint in seen {
            stream.recognise(checkpoint).await.map_err(input)?;
        }
        let first = found.values().map(|lane| lane.value.covered).min().unwrap_or_default();
        let history = match deployed.dedupe {
            Some(window) => Some(stream.history(first, window).await.map_err(input)?),
            None => None,
        };
        // Whoever runs the lanes still may have got on; and a change of lanes or generation writes all checkpoints anew, so
        // that the record that is read behind them is the one that they are of.
        let found = ledger.checkpoints(record, lanes.iter().copied()).await.map_err(failed)?;
        let now = ledger.record(module).await.map_err(failed)?;
        let Some(slot) = self.modules.get_mut(module) else { return Ok(()) };
        if !now.is_some_and(|now| slot.fits(&now.value)) {
            info!(%module, "the module was changed meanwhile: it is started anew");
            slot.stop.cancel();
            return Ok(());
        }
        let members = &self.hosts.members;
        let lives = |host| members.lives(host);
        let taken = self.app.ledger.take(record, found, members.me(), lives).await.map_err(failed)?;
        failpoint::reach("takeover", module.as_str());
        // Nobody else writes one of these lanes any more.
        let parked = match deployed.rules.on_failure {
            OnFailure::ParkKey => self.app.ledger.parked(module).await.map_err(failed)?,
            OnFailure::DeadLetter | OnFailure::Halt => Vec::new(),
        };
        let lanes: LaneSet = taken.keys().copied().collect();
        info!(%module, %lanes, "lanes are taken over");
        self.app.status.measured(module).takeovers.inc_by(taken.len() as u64);
        self.start_lanes(&deployed, stream, taken, history, parked).await;
        Ok(())
    }
}

impl Error {
    /// Whether another host wrote at the same time.
    fn is_contended(&self) -> bool {
        matches!(self, Self::SetUp { cause: ledger::Error::Contended, .. })
    }

    /// Whether a newer version wrote what this one cannot read.
    pub(super) fn is_newer(&self) -> bool {
        matches!(self, Self::SetUp { cause: ledger::Error::Read(read::Error::Newer { .. }), .. })
    }

    /// Whether trying again later may help.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::SetUp { cause, .. } => cause.is_passing(),
            Self::Input { cause, .. } => matches!(cause, source::Error::Api { .. } | source::Error::Unreadable(_)),
            _ => false,
        }
    }
}
