//! A lane's shell: waits for inputs, slices and notices, lets [`Lane`] decide, acts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::runner::Runner;
use super::{Input, Lane, Ran, Slice, Step, Verdict};
use crate::commit::task::{Notice, Request};
use crate::commit::{Covers, Done, LaneId};
use crate::policy::breaker::Breaker;
use crate::policy::{CauseKind, Failed};

/// How a lane ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The host stops.
    Stopped,
    /// Another host took it over.
    Lost,
    /// It cannot go on, for this reason.
    Halted(String),
}

/// A lane with all that it talks to.
pub struct Task {
    /// Which lane.
    pub id: LaneId,
    /// The state machine.
    pub lane: Lane,
    /// Runs its slices.
    pub runner: Runner,
    /// Its module's breaker.
    pub breaker: Arc<Mutex<Breaker>>,
    /// What readers hand it.
    pub inputs: mpsc::Receiver<Input>,
    /// What the committer tells it.
    pub notices: mpsc::UnboundedReceiver<Notice>,
    /// The committer.
    pub committer: mpsc::Sender<Request>,
}

/// A slice at work on a thread of its own, so that a slow guest holds up nobody else.
type Working = JoinHandle<(Runner, Vec<Done>, Ran)>;

impl Task {
    /// Runs the lane until it is stopped, lost or halted. What is in hand is finished and handed to the committer.
    pub async fn run(self, shutdown: CancellationToken) -> End {
        let Self { id, mut lane, runner, breaker, mut inputs, mut notices, committer } = self;
        let mut idle = Some(runner);
        let mut working: Option<Working> = None;
        let mut batch = Vec::new();
        loop {
            let mut wake = None;
            let now = Instant::now();
            match lane.step(now, || lock(&breaker).permit(now)) {
                Step::Run(slice) => working = idle.take().map(|runner| start(runner, slice)),
                Step::Cover(mark) => {
                    submit(&committer, &id, &lane, vec![Done::nothing(Covers::Read(mark))]).await;
                    continue;
                }
                Step::Until(time) => wake = Some(time),
                Step::Wait => {}
            }
            if lane.is_stopping() && working.is_none() {
                return End::Stopped;
            }
            tokio::select! {
                biased;
                notice = notices.recv() => match notice {
                    Some(Notice::Committed(covered)) => lane.committed(covered),
                    Some(Notice::Reset { incarnation, covered, condemned }) => lane.reset(incarnation, covered, condemned),
                    Some(Notice::Lost(epoch)) => {
                        error!(module = %id.module, lane = id.lane, epoch, "lane was taken over by another host; this host stops it");
                        return End::Lost;
                    }
                    Some(Notice::Halt(reason)) => return End::Halted(reason),
                    None => return End::Stopped,
                },
                finished = finish(&mut working) => match finished {
                    Ok((runner, steps, ran)) => {
                        working = None;
                        let (steps, halted) = keep(&id, &mut lane, &runner, &breaker, steps, &ran);
                        idle = Some(runner);
                        submit(&committer, &id, &lane, steps).await;
                        if let Some(reason) = halted {
                            return End::Halted(reason);
                        }
                    }
                    Err(panic) => return End::Halted(format!("the host failed while running its plugin: {panic}")),
                },
                received = inputs.recv_many(&mut batch, 256), if lane.is_hungry() => {
                    if received == 0 {
                        lane.stop();
                    }
                    batch.drain(..).for_each(|input| lane.offer(input));
                }
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now).into()), if wake.is_some() => {}
                () = shutdown.cancelled(), if !lane.is_stopping() => lane.stop(),
            }
        }
    }
}

fn start(mut runner: Runner, slice: Slice) -> Working {
    tokio::task::spawn_blocking(move || {
        let (steps, ran) = runner.run(&slice);
        (runner, steps, ran)
    })
}

/// Waits for the slice at work; for ever if there is none.
async fn finish(working: &mut Option<Working>) -> Result<(Runner, Vec<Done>, Ran), tokio::task::JoinError> {
    match working {
        Some(handle) => handle.await,
        None => std::future::pending().await,
    }
}

/// What of a slice is to be committed: nothing if the lane was reset meanwhile, else its steps and the dead letter behind
/// them. And why the module is to halt, if it is.
fn keep(
    id: &LaneId,
    lane: &mut Lane,
    runner: &Runner,
    breaker: &Mutex<Breaker>,
    mut steps: Vec<Done>,
    ran: &Ran,
) -> (Vec<Done>, Option<String>) {
    let now = Instant::now();
    if ran.done > 0 && lock(breaker).succeeded() {
        info!(module = %id.module, "the breaker closes: the module goes on");
    }
    if let Some(Failed { failure, .. }) = &ran.failed {
        warn!(module = %id.module, lane = id.lane, ?failure, "input failed");
    }
    match lane.ran(ran, now) {
        Verdict::Drop => (Vec::new(), None),
        Verdict::Keep(None) => (steps, None),
        Verdict::Keep(Some(given_up)) => {
            let (sequence, kind, cause) = (given_up.input.sequence(), given_up.cause.kind, &given_up.cause.message);
            warn!(module = %id.module, lane = id.lane, %sequence, cause, "input becomes a dead letter");
            if kind != CauseKind::Retry
                && let Some(pause) = lock(breaker).failed(now)
            {
                warn!(module = %id.module, ?pause, cause, "the breaker opens: the module waits, since its inputs fail in a row");
            }
            steps.push(runner.dead_letter(given_up));
            (steps, None)
        }
        Verdict::Halt(sequence, cause) => (steps, Some(format!("input {sequence}: {}", cause.message))),
    }
}

fn lock(breaker: &Mutex<Breaker>) -> MutexGuard<'_, Breaker> {
    breaker.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn submit(committer: &mpsc::Sender<Request>, id: &LaneId, lane: &Lane, steps: Vec<Done>) {
    if steps.is_empty() {
        return;
    }
    let request = Request::Submit { lane: id.clone(), incarnation: lane.incarnation(), steps };
    if committer.send(request).await.is_err() {
        warn!(module = %id.module, lane = id.lane, "the committer has ended; what was in hand will be redone");
    }
}
