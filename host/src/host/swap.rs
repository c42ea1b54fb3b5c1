//! Runs another plugin in a module while it runs: loads and checks it while the old one serves, has all lanes go over to
//! it at their next input, and notes what became of that.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::lanes::Host;
use super::prepare::Loaded;
use super::slot::Phase;
use crate::commit::audit::{Act, Entry};
use crate::config;
use crate::control::swap::{Answer, Order, WAIT};
use crate::failpoint;
use crate::guest::{Engine, Plugin};
use crate::lane::version::{Outcome, Trial, Version};
use crate::subject::Name;

/// Swaps that wait for the host.
const WAITING: usize = 16;

/// What happens to a swap, in this order.
pub enum Step {
    /// The plugin was loaded, or was not.
    Loaded(Order, Result<Plugin, String>),
    /// An input decided.
    Decided(Swapped, Outcome, Option<oneshot::Sender<Option<Answer>>>),
}

/// Which plugin takes the place of which.
#[derive(Clone)]
pub struct Swapped {
    module: Name,
    was: String,
    plugin: String,
    who: String,
}

/// What became of a swap, and is to be noted before whoever asked is answered.
struct Settled {
    swapped: Swapped,
    /// When.
    at: OffsetDateTime,
    outcome: Option<Outcome>,
    answer: Option<oneshot::Sender<Option<Answer>>>,
}

/// Where the steps of swaps come from and go to.
pub struct Swaps {
    config: PathBuf,
    steps: mpsc::Sender<Step>,
    next: mpsc::Receiver<Step>,
    /// What is not noted yet, in order.
    unnoted: VecDeque<Settled>,
}

impl Swaps {
    /// No swaps yet. They load what the config file `config` says at that time.
    pub fn new(config: PathBuf) -> Self {
        let (steps, next) = mpsc::channel(WAITING);
        Self { config, steps, next, unnoted: VecDeque::new() }
    }

    /// The next step.
    pub async fn next(&mut self) -> Option<Step> {
        self.next.recv().await
    }
}

impl Host {
    /// Loads a plugin that is to take a module's over.
    pub(super) fn load_other(&self, order: Order) {
        let Some(slot) = self.modules.get(&order.module) else {
            if self.hosts.members().others_know(&order.module) {
                return leave_to_another(order.answer);
            }
            return refuse(order.answer, format!("no host runs a module {:?}", order.module.as_str()));
        };
        let (engine, config, steps) = (slot.loaded.engine.clone(), self.swaps.config.clone(), self.swaps.steps.clone());
        self.tasks.spawn(async move {
            let (module, wish) = (order.module.clone(), order.wish.plugin.clone());
            let loading = tokio::task::spawn_blocking(move || load(&engine, &config, &module, wish));
            let loaded = loading.await.unwrap_or_else(|panic| Err(panic.to_string()));
            // A host that stops has no use for it.
            steps.send(Step::Loaded(order, loaded)).await.ok();
        });
    }

    /// Does the next step of a swap.
    pub(super) async fn swap(&mut self, step: Step) {
        match step {
            Step::Loaded(order, Ok(plugin)) if self.conducts(&order.module) => self.go_over(order, plugin).await,
            Step::Loaded(order, Ok(plugin)) => self.get_ready(order, plugin).await,
            Step::Loaded(order, Err(reason)) => {
                warn!(module = %order.module, reason, "the plugin is not swapped");
                if self.conducts(&order.module) {
                    refuse(order.answer, reason);
                } else {
                    leave_to_another(order.answer);
                }
            }
            Step::Decided(swapped, outcome, answer) => self.decided(swapped, outcome, answer).await,
        }
    }

    /// Whether of all hosts that run `module` this one tries its next plugin: the one that is to run its first lane.
    fn conducts(&self, module: &Name) -> bool {
        let Some(slot) = self.modules.get(module) else { return false };
        slot.phase != Phase::Differs && self.hosts.members().shares(module, &slot.loaded.edition()).is_ours(0)
    }

    /// Ends trials whose first lane went to another host before any input decided: the proven plugin returns.
    pub(super) fn end_trials(&self) {
        for (module, slot) in &self.modules {
            let is_open = slot.loaded.trial().is_some_and(|trial| trial.is_open());
            if is_open && !self.conducts(module) {
                warn!(%module, "the plugin was not tried: the lane that was to try it went to another host. Swap it again");
                slot.loaded.run_known();
            }
        }
    }

    /// Keeps `plugin` ready: this host goes over to it when the module's record says that the others have.
    async fn get_ready(&mut self, Order { module, answer, .. }: Order, plugin: Plugin) {
        leave_to_another(answer);
        let Some(slot) = self.modules.get_mut(&module) else { return };
        info!(%module, plugin = plugin.digest, "a plugin is ready, in case that another host has the module go over to it");
        slot.loaded.next = Some(plugin);
        if slot.phase == Phase::Differs {
            self.share(&module).await;
        }
    }

    /// Has a module's lanes run `plugin` from their next input on.
    async fn go_over(&mut self, Order { module, wish, answer }: Order, plugin: Plugin) {
        let Some(slot) = self.modules.get_mut(&module) else { return };
        let (before, next) = (slot.loaded.plugin(), slot.loaded.versions.borrow().next().digest.clone());
        if plugin.role != before.role {
            return refuse(answer, format!("it is a {:?}, and the module runs a {:?}", plugin.role, before.role));
        }
        if plugin.digest == next {
            return reply(answer, Answer::Same { plugin: next });
        }
        let is_unnoted = self.swaps.unnoted.iter().any(|settled| settled.swapped.module == module);
        if is_unnoted || slot.loaded.trial().is_some_and(|trial| trial.is_unnoted()) {
            let reason = "the swap before is not in the module's record yet: try again".to_owned();
            return reply(answer, Answer::Refused { reason, is_passing: true });
        }
        let swapped = Swapped { module, was: before.digest.clone(), plugin: plugin.digest.clone(), who: wish.who };
        failpoint::reach("swap", swapped.module.as_str());
        info!(module = %swapped.module, was = swapped.was, plugin = swapped.plugin, "the module goes over to another plugin");
        if wish.untried {
            // One that is on trial has lost its place: it must not be noted behind this one.
            slot.loaded.run_known();
            slot.loaded.next = Some(plugin);
            self.swaps.unnoted.push_back(Settled {
                swapped,
                at: OffsetDateTime::now_utc(),
                outcome: None,
                answer: Some(answer),
            });
            return self.note_swaps().await;
        }
        let (version, trial) = Version::on_trial(plugin, before);
        slot.loaded.run(version);
        self.tasks.spawn(watch(swapped, trial, answer, self.swaps.steps.clone(), self.stop.clone()));
    }

    /// An input decided whether the new plugin stays.
    async fn decided(&mut self, swapped: Swapped, outcome: Outcome, answer: Option<oneshot::Sender<Option<Answer>>>) {
        let Some(slot) = self.modules.get(&swapped.module) else { return };
        let is_current = slot.loaded.versions.borrow().plugin.digest == swapped.plugin;
        if let Outcome::Returns { lane, sequence, cause } = &outcome {
            let cause: String = cause.message.chars().take(200).collect();
            warn!(module = %swapped.module, plugin = swapped.was, lane, %sequence, cause, "the old plugin returns");
            if is_current {
                slot.loaded.run_known();
            }
        }
        let settled = Settled { swapped, at: OffsetDateTime::now_utc(), outcome: Some(outcome), answer };
        // A newer swap has a trial of its own, and the record is its.
        if !is_current {
            return settled.tell();
        }
        self.swaps.unnoted.push_back(settled);
        self.note_swaps().await;
    }

    /// Keeps what became of swaps, in the modules' records and in the audit, where that is not done. What a plugin that stays
    /// makes of inputs holds from then on.
    pub(super) async fn note_swaps(&mut self) {
        while let Some(settled) = self.swaps.unnoted.pop_front() {
            let module = settled.swapped.module.clone();
            failpoint::reach("swap-decided", module.as_str());
            let noted = self.app.ledger.swap(&module, settled.runs(), &settled.entry()).await;
            let Some(slot) = self.modules.get_mut(&module) else { continue };
            match noted {
                Ok(record) => {
                    failpoint::reach("swap-noted", module.as_str());
                    slot.own.insert(record);
                    settled.goes_on(&mut slot.loaded);
                    settled.tell();
                }
                Err(error) if error.is_passing() => {
                    warn!(%module, %error, "the swap is noted in the module's record later");
                    self.swaps.unnoted.push_front(settled);
                    break;
                }
                Err(error) => {
                    warn!(%module, %error, "the swap could not be noted in the module's record: the old plugin goes on");
                    slot.loaded.run_known();
                    settled.answer.into_iter().for_each(|answer| refuse(answer, error.to_string()));
                }
            }
        }
        self.hosts.tell(&self.modules);
    }
}

impl Settled {
    /// The plugin that the module runs from then on.
    fn runs(&self) -> String {
        let Swapped { was, plugin, .. } = &self.swapped;
        if matches!(self.outcome, Some(Outcome::Returns { .. })) { was } else { plugin }.clone()
    }

    /// Has the lanes go on with what the record says by now.
    fn goes_on(&self, loaded: &mut Loaded) {
        let Swapped { module, plugin, .. } = &self.swapped;
        match &self.outcome {
            Some(Outcome::Stays { lane, sequence }) => {
                info!(%module, plugin, lane, %sequence, "the plugin is swapped");
                loaded.trial().iter().for_each(Trial::noted);
                loaded.run_known();
            }
            Some(Outcome::Returns { .. }) => {}
            None => drop(loaded.adopt(plugin)),
        }
    }

    /// What the audit keeps of it.
    fn entry(&self) -> Entry {
        let Swapped { module, was, plugin, who } = self.swapped.clone();
        Entry::new(&who, Act::Swap { module, was, plugin, outcome: self.outcome.clone() }, self.at)
    }

    /// Answers whoever asked.
    fn tell(self) {
        let Self { swapped: Swapped { was, plugin, .. }, outcome, answer, .. } = self;
        let said = match outcome {
            Some(outcome) => Answer::Decided { was, plugin, outcome },
            None => Answer::Next { was, plugin },
        };
        answer.into_iter().for_each(|answer| reply(answer, said.clone()));
    }
}

/// Waits until an input decides about a plugin. Whoever asked is answered sooner if that takes long.
async fn watch(
    swapped: Swapped,
    trial: Trial,
    answer: oneshot::Sender<Option<Answer>>,
    steps: mpsc::Sender<Step>,
    stop: CancellationToken,
) {
    let mut answer = Some(answer);
    let waiting = tokio::time::sleep(WAIT);
    tokio::pin!(waiting);
    let outcome = loop {
        tokio::select! {
            outcome = trial.outcome() => break outcome,
            () = &mut waiting, if answer.is_some() => {
                let Swapped { was, plugin, .. } = swapped.clone();
                if let Some(answer) = answer.take() {
                    reply(answer, Answer::Next { was, plugin });
                }
            }
            () = stop.cancelled() => return,
        }
    };
    // Without one, another swap took its place.
    if let Some(outcome) = outcome {
        steps.send(Step::Decided(swapped, outcome, answer)).await.ok();
    }
}

/// The plugin at `path`, or else the one that the config file names for `module` now.
fn load(engine: &Engine, config: &Path, module: &Name, path: Option<PathBuf>) -> Result<Plugin, String> {
    let found = config::load(config).map_err(|error| error.to_string())?;
    let found = found.modules.into_iter().find(|found| found.name == *module);
    let found = found.ok_or_else(|| format!("{} has no module {:?} any more", config.display(), module.as_str()))?;
    let path = path.unwrap_or(found.plugin);
    Plugin::load(engine, &path, found.digest.as_deref()).map_err(|error| error.to_string())
}

fn refuse(answer: oneshot::Sender<Option<Answer>>, reason: String) {
    reply(answer, Answer::Refused { reason, is_passing: false });
}

fn reply(answer: oneshot::Sender<Option<Answer>>, said: Answer) {
    // Whoever asked may have gone.
    answer.send(Some(said)).ok();
}

/// Says nothing: another host does.
fn leave_to_another(answer: oneshot::Sender<Option<Answer>>) {
    answer.send(None).ok();
}
