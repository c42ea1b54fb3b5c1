//! What may go wrong, and how often in one run: each seed has faults of its own, so that each kind is seen alone and with
//! any other.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Violation;
use super::env::{Packet, Shown, What};
use super::random::Random;
use super::server::Trouble;
use super::world::World;
use crate::commit::committer::replacing;
use crate::effects::Outgoing;
use crate::ownership::HostId;

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Happens {
    /// An input is published.
    Publish,
    /// Something on its way arrives.
    Arrives,
    /// A host's lanes read, run and hand in, and its committer sends.
    Works,
    /// A host's lanes read, run and hand in.
    Turns,
    /// A host's committer sends, or gives up waiting.
    Commits,
    /// A host hears, tells, takes and releases.
    Controls,
    /// A host does not reach the server, or does again.
    Cut,
    Mend,
    /// A host stands still, or wakes.
    Sleep,
    Wake,
    /// A host's clock jumps.
    Jump,
    /// A host is killed, leaves in good order, or joins.
    Kill,
    Leave,
    Join,
    /// The stream's leader changes: batches on their way are lost or stored, and nobody says which.
    Leader,
    /// The stream's leader loses its majority for a while.
    Isolate,
    /// The server is full for a while, or takes smaller batches only.
    Fill,
    Shrink,
    /// Somebody writes a view's value anew, so that a guard breaks.
    Meddle,
    /// A lane's reader begins anew, too early.
    Reread,
}

/// What happens without any fault.
const WORK: [(Happens, u64); 5] =
    [(Happens::Publish, 8), (Happens::Works, 15), (Happens::Turns, 6), (Happens::Commits, 12), (Happens::Controls, 20)];

const FAULTS: [Happens; 13] = [
    Happens::Cut,
    Happens::Mend,
    Happens::Sleep,
    Happens::Wake,
    Happens::Jump,
    Happens::Kill,
    Happens::Leave,
    Happens::Join,
    Happens::Leader,
    Happens::Fill,
    Happens::Shrink,
    Happens::Meddle,
    Happens::Reread,
];

/// A batch of one input's effects, or of the takeover of a module's lanes, fits into what the server takes at the least;
/// an input with three events does not.
const SHRUNK: usize = 5;

/// How often what happens.
pub struct Faults {
    weights: Vec<(Happens, u64)>,
    /// How many of a hundred messages are lost, and how many batches arrive once more.
    lost: u64,
    repeated: u64,
    /// The most hosts at a time.
    hosts: usize,
}

impl Faults {
    pub fn random(random: &mut Random) -> Self {
        let mut weights = WORK.to_vec();
        // Where the network is slow, much arrives when it is not waited for any more.
        weights.push((Happens::Arrives, random.pick(&[30, 30, 10, 4])));
        weights.extend(FAULTS.map(|fault| (fault, random.pick(&[0, 0, 1, 1, 3]))));
        weights.push((Happens::Isolate, random.pick(&[0, 0, 1, 3])));
        let (lost, repeated) = (random.pick(&[0, 0, 5, 15, 30]), random.pick(&[0, 0, 5, 20]));
        Self { weights, lost, repeated, hosts: 1 + random.index(6) }
    }

    pub fn next(&self, random: &mut Random) -> Happens {
        random.weighted(&self.weights)
    }

    pub fn loses(&self, random: &mut Random) -> bool {
        random.percent(self.lost)
    }

    pub fn repeats(&self, random: &mut Random) -> bool {
        random.percent(self.repeated)
    }

    /// Whether there is room for one more than so many hosts.
    pub fn may_join(&self, hosts: usize) -> bool {
        hosts < self.hosts
    }

    /// Nothing is lost any more.
    pub fn end(&mut self) {
        (self.lost, self.repeated) = (0, 0);
    }
}

impl World {
    /// Something goes wrong, with a host if it is a host's fault.
    pub fn fault(&mut self, fault: Happens, host: Option<HostId>) -> Result<(), Violation> {
        let Some(id) = host else {
            self.join();
            return Ok(());
        };
        self.env.note(format_args!("{fault:?}, {}", Shown(id)));
        match fault {
            // A leader that is alone stays so until it notices.
            Happens::Leader | Happens::Isolate | Happens::Fill | Happens::Shrink if self.env.server().is_alone() => {}
            Happens::Join if self.faults.may_join(self.hosts.len()) && self.env.server().stores() => self.join(),
            Happens::Leader => return self.leader_changes(),
            Happens::Isolate => return self.isolate(),
            Happens::Fill => return self.trouble(Trouble::Full),
            Happens::Shrink => {
                self.oracle.is_lenient = true;
                return self.trouble(Trouble::Shrunk(SHRUNK));
            }
            Happens::Meddle => self.meddle(),
            Happens::Kill => drop(self.hosts.remove(&id)),
            Happens::Cut => self.cut(id),
            _ => self.befalls(fault, id),
        }
        Ok(())
    }

    fn befalls(&mut self, fault: Happens, id: HostId) {
        let Some(host) = self.hosts.get_mut(&id) else { return };
        match fault {
            Happens::Mend => host.link.store(true, Ordering::Relaxed),
            Happens::Sleep => host.asleep = true,
            Happens::Wake => host.asleep = false,
            Happens::Jump => host.ahead += Duration::from_millis(self.env.random.below(30_000)),
            Happens::Leave => host.leave(),
            Happens::Reread => host.lanes.values_mut().for_each(|member| member.reread(&mut self.env)),
            _ => {}
        }
    }

    /// A host loses its connection, and some of what is on its way.
    fn cut(&mut self, id: HostId) {
        let Some(host) = self.hosts.get_mut(&id) else { return };
        host.link.store(false, Ordering::Relaxed);
        let random = &mut self.env.random;
        self.env.net.retain(|packet| packet.host != id || random.percent(50));
    }

    fn trouble(&mut self, trouble: Trouble) -> Result<(), Violation> {
        self.mended()?;
        self.env.server().is(Some(trouble));
        // A leader that is alone notices only in time.
        let longest = if trouble == Trouble::Alone { 20_000 } else { 6_000 };
        self.mends = Some(self.env.now + Duration::from_millis(self.env.random.below(longest)));
        Ok(())
    }

    /// What was wrong with the server is over. Of the batches that a leader without a majority held the first ones may have
    /// come to be stored.
    pub fn mended(&mut self) -> Result<(), Violation> {
        self.mends = None;
        self.env.server().is(None);
        let mut held = std::mem::take(&mut self.held);
        held.truncate(self.env.random.index(held.len() + 1));
        for (host, batch) in held {
            self.store(host, &batch)?;
            self.env.trace.count("batches stored late", 1);
        }
        Ok(())
    }

    fn leader_changes(&mut self) -> Result<(), Violation> {
        for Packet { host, call, what } in std::mem::take(&mut self.env.net) {
            match (what, self.env.random.below(3)) {
                (What::Batch(batch), 0) => drop(self.store(host, &batch)?),
                (What::Batch(_), 1) => {}
                (what, _) => self.env.net.push(Packet { host, call, what }),
            }
        }
        self.trouble(Trouble::Leaderless)
    }

    /// The leader loses its majority, with what is on its way to it.
    fn isolate(&mut self) -> Result<(), Violation> {
        self.trouble(Trouble::Alone)?;
        let batches = self.env.net.extract_if(.., |packet| matches!(packet.what, What::Batch(_)));
        for Packet { host, what, .. } in batches.collect::<Vec<_>>() {
            if let What::Batch(batch) = what {
                self.store(host, &batch)?;
            }
        }
        Ok(())
    }

    fn meddle(&mut self) {
        let mut server = self.env.server.lock().unwrap();
        if !server.stores() {
            return;
        }
        let views = server.stream.subjects("$KV.");
        let Some(subject) = views.get(self.env.random.index(views.len())) else { return };
        let Some(found) = server.stream.get(subject, 0).cloned() else { return };
        let again = replacing(subject, found.value.payload.to_vec(), found.revision);
        let deletion = found.value.headers.iter().filter(|(name, _)| name == "KV-Operation").cloned();
        let headers: Vec<_> = again.headers.iter().cloned().chain(deletion).collect();
        server.stream.store(&[Outgoing { headers: headers.into(), ..again }]);
    }
}
