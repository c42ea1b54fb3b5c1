//! Shares lanes with the other hosts: hears of them, takes the lanes that are to be this host's, releases the others.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::lanes::{Host, Phase, Slot};
use super::{Connections, Error};
use crate::commit::ledger::{self, Lanes};
use crate::failpoint;
use crate::ownership::claims::Plan;
use crate::ownership::heartbeats::{self, Heard, Heartbeats};
use crate::ownership::members::Members;
use crate::ownership::{FORMAT, Heartbeat, HostId, LaneSet, Rhythm, Runs};
use crate::policy::CARE;
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
}

impl Hosts {
    /// Tells the others of this host, and hears who they are.
    pub async fn join(
        connections: &Connections,
        subjects: &Subjects,
        rhythm: Rhythm,
        modules: &BTreeMap<Name, Slot>,
    ) -> Result<Self, heartbeats::Error> {
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let name = format!("{machine}:{}", std::process::id());
        let own = heartbeat(HostId::new(), &name, modules);
        let (heartbeats, others) = Heartbeats::join(connections, subjects, rhythm, own.clone()).await?;
        let mut members = Members::new(own);
        for other in others {
            info!(host = other.name, "another host runs this app");
            members.hear(other);
        }
        Ok(Self { heartbeats, members, name, rhythm, settles: Instant::now() })
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
        (name.clone(), Runs { edition: slot.loaded.edition(), lanes })
    });
    Heartbeat { format: FORMAT, host, name: name.to_owned(), modules: each.collect() }
}

impl Host {
    /// Takes in what is heard of other hosts.
    pub(super) async fn heard(&mut self, heard: Heard) {
        let before = self.hosts.members.count();
        match heard {
            Heard::Beat(beat) => {
                let name = beat.name.clone();
                if !self.hosts.members.hear(beat) {
                    return;
                }
                if self.hosts.members.count() > before {
                    info!(host = name, "another host runs this app");
                }
            }
            Heard::Gone(host) if host == self.hosts.members.me() => self.was_missed(),
            Heard::Back => self.was_missed(),
            Heard::Gone(host) => match self.hosts.members.forget(host) {
                Some(gone) => info!(host = gone.name, "another host has ended"),
                None => return,
            },
        }
        if self.hosts.members.count() != before {
            self.modules.values_mut().for_each(|slot| slot.claims.wake());
            self.count();
        }
        self.share_all().await;
    }

    /// The others did not hear of this host in time: some of its lanes may be theirs by now, of which it would hear at its
    /// next commit only. It gives all up, and takes its share again when it has heard of the others.
    fn was_missed(&mut self) {
        warn!("the other hosts did not hear of this one in time: its lanes are given up and shared anew");
        self.hosts.settles = Instant::now() + self.hosts.rhythm.every();
        for slot in self.modules.values_mut() {
            slot.claims.release_all();
            slot.lanes.values().for_each(CancellationToken::cancel);
        }
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
        if slot.deployed.is_none() || slot.phase == Phase::Differs {
            if slot.lanes.is_empty() {
                // Which sees to the lanes, if it may run now.
                Box::pin(self.start_again(module)).await;
            }
            return;
        }
        if slot.stop.is_cancelled() {
            return;
        }
        let (members, now) = (&self.hosts.members, Instant::now());
        let (shares, held) = (members.shares(module, &slot.loaded.edition()), members.held(module));
        let Plan { take, release } = slot.claims.plan(now, |lane| shares.is_ours(lane), |lane| held.contains(lane));
        for lane in &release {
            slot.lanes.get(lane).inspect(|stop| stop.cancel());
        }
        if !release.is_empty() {
            let lanes = LaneSet::from_iter(release);
            info!(%module, %lanes, "lanes go to another host: what is in hand is finished and committed");
        }
        if !take.is_empty() && now >= self.hosts.settles {
            self.take(module, take).await;
            self.hosts.tell(&self.modules);
        }
    }

    /// Takes lanes over and starts them.
    async fn take(&mut self, module: &Name, lanes: Vec<u16>) {
        match self.try_to_take(module, &lanes).await {
            Ok(()) => {}
            Err(error) if error.is_passing() => {
                warn!(%module, %error, "lanes are taken later");
                let Some(slot) = self.modules.get_mut(module) else { return };
                lanes.into_iter().for_each(|lane| slot.claims.refused(lane, Instant::now()));
            }
            Err(Error::Input { cause, .. }) => self.halt(module, &cause.to_string()).await,
            Err(error) => self.halt(module, &error.to_string()).await,
        }
    }

    async fn try_to_take(&mut self, module: &Name, lanes: &[u16]) -> Result<(), Error> {
        let failed = |cause| Error::SetUp { module: module.to_string(), cause };
        let input = |cause| Error::Input { module: module.to_string(), cause };
        let Some(deployed) = self.modules.get(module).and_then(|slot| slot.deployed.clone()) else { return Ok(()) };
        let (ledger, record) = (&self.app.ledger, &deployed.record.value);
        let found = ledger.checkpoints(record, lanes.iter().copied()).await.map_err(failed)?;
        let stream = InputStream::open(&self.connections.jetstream(), deployed.stream.name()).await.map_err(input)?;
        for checkpoint in found.values() {
            stream.recognise(&checkpoint.value).await.map_err(input)?;
        }
        let found = with_care(self.care.is_some(), found);
        let first = found.values().map(|lane| lane.value.covered).min().unwrap_or_default();
        let history = match deployed.dedupe {
            Some(window) => Some(stream.history(first, window).await.map_err(input)?),
            None => None,
        };
        if found.is_empty() {
            return Ok(());
        }
        let taken = ledger.take(record, found, self.hosts.members.me()).await.map_err(failed)?;
        failpoint::reach("takeover", module.as_str());
        let lanes: LaneSet = taken.keys().copied().collect();
        info!(%module, %lanes, "lanes are taken over");
        self.app.status.measured(module).takeovers.inc_by(taken.len() as u64);
        self.start_lanes(&deployed, stream, taken, history).await;
        Ok(())
    }
}

/// Leaves out lanes that want care, but for one, if none is at hand: when this host ends too, it is for that lane.
fn with_care(is_at_hand: bool, mut found: Lanes) -> Lanes {
    let mut is_free = !is_at_hand;
    found.retain(|_, stored| stored.value.crashes() < CARE || std::mem::replace(&mut is_free, false));
    found
}

impl Error {
    /// Whether trying again later may help.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::SetUp { cause, .. } => {
                matches!(cause, ledger::Error::Read(_) | ledger::Error::Contended | ledger::Error::Unanswered(_))
            }
            Self::Input { cause, .. } => matches!(cause, source::Error::Api { .. } | source::Error::Unreadable(_)),
            _ => false,
        }
    }
}
