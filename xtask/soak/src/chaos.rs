//! Does to the fleet what was planned, mends it again, and starts what ended by itself.

use std::{pin::pin, sync::Arc, time::Duration};

use anyhow::{Result, bail};
use pelton_demo::retail;
use pelton_tests::{Host, proxy::Mode};
use tokio::time::{Instant, interval, sleep_until, timeout};

use crate::{
    fleet::{Fleet, NODES},
    journal::{Journal, Stamp, now},
    plan::{Fault, Plan, Planned},
    records::Records,
};

/// How long it may take to hear who leads a stream.
const ASKED: Duration = Duration::from_secs(2);
const A_SECOND: Duration = Duration::from_secs(1);
/// How long a host may take to end that was told to, in nanoseconds: it finishes what is in hand for 20 s at most.
const FINISHING: Stamp = 40_000_000_000;

/// A fault that lasts.
struct Broken {
    until: Instant,
    since: Stamp,
    what: Mend,
}

/// What makes it whole again.
enum Mend {
    /// A host is started again. One that was told to end has until then to do so.
    Host(usize, Option<Host>),
    WakeHost(usize),
    Servers(Vec<usize>),
    WakeServer(usize),
    Network(usize),
    /// Nothing is left to do.
    Nothing,
}

/// The fleet, and what is done to it.
pub struct Chaos<'a> {
    pub fleet: Fleet,
    pub records: Records,
    pub journal: Arc<Journal>,
    pub plan: &'a Plan,
}

impl Chaos<'_> {
    /// Goes through the plan while `acts` goes on. All is whole when it ends.
    pub async fn run(&mut self, acts: impl Future<Output = Result<()>>) -> Result<()> {
        let (plan, mut acts, mut acting) = (self.plan, pin!(acts), true);
        let (mut planned, mut broken) = (plan.faults.iter(), Vec::<Broken>::new());
        let (mut next, mut tick) = (planned.next(), interval(A_SECOND));
        loop {
            let begins = next.map(|next| Instant::from_std(self.journal.begin() + next.at));
            let mends = broken.iter().map(|broken| broken.until).min();
            let wake = begins.into_iter().chain(mends).min();
            if wake.is_none() && !acting {
                return Ok(());
            }
            tokio::select! {
                biased;
                acted = &mut acts, if acting => {
                    acted?;
                    acting = false;
                    continue;
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => (),
                _ = tick.tick() => {
                    self.look()?;
                    continue;
                }
            }
            if mends == wake {
                let (due, left) = broken.into_iter().partition(|broken| Some(broken.until) <= wake);
                broken = left;
                for mended in due {
                    broken.extend(self.mend(mended).await?);
                }
            } else if let Some(fault) = next {
                let (since, what) = (now(), self.strike(fault).await?);
                broken.push(Broken { until: Instant::now() + fault.lasts, since, what });
                next = planned.next();
            }
        }
    }

    /// Keeps the fleet running while `work` goes on, and does it no harm.
    pub async fn tend<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let (mut work, mut tick) = (pin!(work), interval(A_SECOND));
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = tick.tick() => self.look()?,
            }
        }
    }

    /// Notes what hosts hold, and starts those again that ended by themselves.
    fn look(&mut self) -> Result<()> {
        for (number, why) in self.fleet.ended()? {
            self.journal.say(&format!("host {number} ended by itself ({why})"));
            self.journal.count("hosts that ended by themselves", 1);
            self.fleet.start_host(number)?;
        }
        self.records.look(&self.fleet)
    }

    async fn strike(&mut self, planned: &Planned) -> Result<Mend> {
        let Planned { fault, target, lasts, .. } = *planned;
        self.journal.count(fault.name(), 1);
        let (of, mend) = match fault {
            Fault::HostKilled => {
                self.fleet.kill_host(target)?;
                (format!("host {target}"), Mend::Host(target, None))
            }
            Fault::HostEnded => {
                let mut host = self.fleet.take_host(target)?;
                host.as_mut().map_or(Ok(()), |host| host.ask_to_end())?;
                (format!("host {target}"), Mend::Host(target, host))
            }
            Fault::HostStill => {
                self.fleet.host(target)?.map_or(Ok(()), |host| host.freeze())?;
                (format!("host {target}"), Mend::WakeHost(target))
            }
            Fault::ServerKilled | Fault::LeaderKilled => {
                let node = self.node(fault, target).await;
                self.fleet.cluster.kill9(node)?;
                (format!("server {node}"), Mend::Servers(vec![node]))
            }
            Fault::ServerStill | Fault::LeaderStill => {
                let node = self.node(fault, target).await;
                self.fleet.cluster.freeze(node)?;
                (format!("server {node}"), Mend::WakeServer(node))
            }
            Fault::MajorityKilled => {
                let nodes = vec![target, (target + 1) % NODES];
                nodes.iter().try_for_each(|node| self.fleet.cluster.kill9(*node))?;
                (format!("servers {nodes:?}"), Mend::Servers(nodes))
            }
            Fault::Cut => {
                self.fleet.cut(target)?;
                (format!("host {target}"), Mend::Nothing)
            }
            Fault::Network(mode) => {
                self.fleet.network(target, mode)?;
                (format!("host {target}"), Mend::Network(target))
            }
        };
        self.journal.say(&format!("{}: {of}, for {:.1} s", fault.name(), lasts.as_secs_f64()));
        Ok(mend)
    }

    /// The server that is meant: the one that leads a stream, if there is one now.
    async fn node(&self, fault: Fault, target: usize) -> usize {
        if !matches!(fault, Fault::LeaderKilled | Fault::LeaderStill) {
            return target;
        }
        let stream = ["KV_demo", "IN", retail::STREAM].get(target).copied().unwrap_or("KV_demo");
        match timeout(ASKED, self.fleet.cluster.leader(stream)).await {
            Ok(Ok(leader)) => leader,
            _ => target,
        }
    }

    /// Makes it whole again. Gives it back if that takes longer.
    async fn mend(&mut self, broken: Broken) -> Result<Option<Broken>> {
        match broken.what {
            Mend::Host(number, Some(mut host)) => match host.ended()? {
                None if now() - broken.since > FINISHING => bail!("host {number} was told to end and does not"),
                None => {
                    let what = Mend::Host(number, Some(host));
                    return Ok(Some(Broken { until: Instant::now() + A_SECOND, what, ..broken }));
                }
                Some(status) => {
                    self.journal.say(&format!("host {number} has ended ({status})"));
                    self.fleet.start_host(number)?;
                }
            },
            Mend::Host(number, None) => self.fleet.start_host(number)?,
            Mend::WakeHost(number) => self.fleet.host(number)?.map_or(Ok(()), |host| host.wake())?,
            Mend::Servers(nodes) => {
                for node in nodes {
                    self.fleet.cluster.restart(node).await?;
                }
            }
            Mend::WakeServer(node) => self.fleet.cluster.wake(node)?,
            Mend::Network(number) => self.fleet.network(number, Mode::Through)?,
            Mend::Nothing => (),
        }
        self.journal.trouble(broken.since);
        Ok(None)
    }
}
