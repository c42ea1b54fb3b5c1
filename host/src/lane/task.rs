//! A lane's shell: waits for inputs, slices and notices, lets [`Lane`] decide, acts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::alone::Alone;
use super::dedupe::Dedupe;
use super::parked::Wanted;
use super::queue;
use super::relapses::Relapses;
use super::replay::{Order, Replays};
use super::runner::Runner;
use super::{Input, Lane, Ran, Slice, Step, Verdict};
use crate::commit::record::Scaled;
use crate::commit::task::{Notice, Request};
use crate::commit::{Covers, Done, LaneId};
use crate::event::Gap;
use crate::failpoint;
use crate::metrics::{Fate, Fault, Share};
use crate::policy::breaker::Breaker;
use crate::policy::{CauseKind, Failed, Failure, cause_of};

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
    /// Its turn to run inputs that may end the host.
    pub alone: Alone,
    /// What of its inputs repeats an earlier one, if the module cares.
    pub dedupe: Option<Dedupe>,
    /// What lanes did that the module had before.
    pub scaled: Arc<[Scaled]>,
    /// Runs its slices.
    pub runner: Runner,
    /// Its module's breaker.
    pub breaker: Arc<Mutex<Breaker>>,
    /// What readers hand it.
    pub inputs: queue::Receiver,
    /// What it is told about its dead letters.
    pub orders: mpsc::Receiver<Order>,
    /// Where to ask for dead letters that it is to replay by itself: the lane that wrote it, and its input's position.
    pub wanted: mpsc::UnboundedSender<Wanted>,
    /// What the committer tells it.
    pub notices: mpsc::UnboundedReceiver<Notice>,
    /// The committer.
    pub committer: mpsc::Sender<Request>,
}

/// How far a lane is with ending.
enum Ending {
    /// It runs.
    No,
    /// The committer gives it up behind what was handed in; then it ends so.
    Released(End),
}

/// A slice at work on a thread of its own, so that a slow guest holds up nobody else.
struct Working {
    is_replay: bool,
    slice: JoinHandle<(Runner, Vec<Done>, Ran)>,
}

impl Task {
    /// Runs the lane until it is stopped, lost or halted. What is in hand is finished and committed, and the lane released.
    pub async fn run(self, shutdown: CancellationToken) -> End {
        let Self {
            id,
            mut lane,
            mut alone,
            mut dedupe,
            scaled,
            runner,
            breaker,
            mut inputs,
            mut orders,
            wanted,
            mut notices,
            committer,
        } = self;
        let (metrics, tracer) = (runner.metrics().clone(), runner.tracer());
        let mut waiting = Share::of(&metrics.waiting);
        let mut parked = Share::of(&metrics.parked);
        let mut replays = Replays::default();
        let mut idle = Some(runner);
        let mut working: Option<Working> = None;
        let mut ending = Ending::No;
        let mut relapses = Relapses::default();
        loop {
            failpoint::reach("lane", id.module.as_str());
            let mut wake = lane.parked().wakes();
            while let Some(wish) = lane.parked().next(Instant::now()) {
                // It is served for as long as the lane runs.
                wanted.send(wish).ok();
            }
            parked.set(lane.parked().len());
            waiting.set(inputs.len() + lane.waiting());
            if working.is_none() && lane.is_stopping() && matches!(ending, Ending::No) {
                if let Some(mark) = lane.at_end(inputs.seen()) {
                    submit(&committer, &id, &lane, vec![Done::nothing(Covers::Read(mark))]).await;
                }
                ending = release(&committer, &id, End::Stopped).await;
            }
            alone.want(lane.wants_to_be_alone());
            lane.be_alone(alone.is_held());
            if let Some(runner) = idle.take_if(|_| matches!(ending, Ending::No)) {
                let now = Instant::now();
                let is_careful = lane.parked().is_careful();
                let replay = replays.next(lane.has_inputs() && !is_careful);
                let is_replay = replay.is_some();
                if let Some(ends) = replay.as_ref().and_then(|input| lane.parked().gives_up(input.sequence())) {
                    let failed = Failed::from(Failure::Crash(ends));
                    let (behind, rules) = (lane.behind(), lane.rules());
                    let letter = |given_up| runner.dead_letter(given_up);
                    let step = replays.ran((None, Some(&failed)), lane.parked(), (behind, rules, now), letter);
                    idle = Some(runner);
                    submit(&committer, &id, &lane, step.into_iter().collect()).await;
                    continue;
                }
                let step = match replay {
                    None if is_careful => Step::Wait,
                    Some(input) => {
                        tracer.iter().for_each(|tracer| tracer.replays(&input));
                        Step::Run(lane.again(input))
                    }
                    None => match relapses.rests(now) {
                        Some(until) => Step::Until(until),
                        None => lane.step(now, || lock(&breaker).permit(now)),
                    },
                };
                match step {
                    Step::Run(slice) => working = Some(start(runner, slice, is_replay)),
                    Step::Cover(mark) => {
                        idle = Some(runner);
                        submit(&committer, &id, &lane, vec![Done::nothing(Covers::Read(mark))]).await;
                        continue;
                    }
                    Step::Park(given_up) => {
                        let step = runner.dead_letter(given_up);
                        idle = Some(runner);
                        submit(&committer, &id, &lane, vec![step]).await;
                        continue;
                    }
                    Step::Skip(gap) => {
                        let step = skip(&id, &runner, gap);
                        idle = Some(runner);
                        submit(&committer, &id, &lane, vec![step]).await;
                        continue;
                    }
                    Step::Tell(suspect) => {
                        idle = Some(runner);
                        submit(&committer, &id, &lane, vec![Done::nothing(Covers::Suspects(suspect))]).await;
                        continue;
                    }
                    Step::Halt(gap) => {
                        let cause = runner.lacks(gap);
                        metrics.faulted(Fault::now(id.lane, Some(gap.last), &cause, Fate::Halt));
                        idle = Some(runner);
                        lane.stop();
                        ending = release(&committer, &id, End::Halted(cause.message)).await;
                    }
                    Step::Until(_) | Step::Wait if replays.are_waiting() => {
                        idle = Some(runner);
                        continue;
                    }
                    Step::Until(time) => {
                        idle = Some(runner);
                        wake = Some(wake.map_or(time, |wake| wake.min(time)));
                    }
                    Step::Wait => idle = Some(runner),
                }
            }
            tokio::select! {
                biased;
                notice = notices.recv() => match notice {
                    Some(Notice::Committed { covered, replays: done, suspects }) => {
                        lane.committed(covered);
                        relapses = Relapses::default();
                        if suspects {
                            lane.told();
                        }
                        tracer.iter().for_each(|tracer| tracer.committed(covered));
                        replays.committed(done, lane.parked());
                    }
                    Some(Notice::Reset { incarnation, covered, condemned, refused }) => {
                        lane.reset(incarnation, covered, condemned);
                        relapses.again(covered);
                        if let Some(reason) = refused {
                            replays.refused(&reason, lane.parked());
                        }
                        replays.give_up("the lane began again behind its checkpoint");
                    }
                    Some(Notice::Lost(epoch)) => {
                        warn!(module = %id.module, lane = id.lane, epoch, "lane was taken over by another host; this host stops it");
                        return End::Lost;
                    }
                    Some(Notice::Halt(reason)) => return End::Halted(reason),
                    Some(Notice::Released) => return ending.end(),
                    None => return End::Stopped,
                },
                finished = finish(&mut working) => match finished {
                    Ok((is_replay, (runner, mut steps, ran))) => {
                        working = None;
                        let mut halted = None;
                        if is_replay {
                            tracer.iter().for_each(|tracer| tracer.replayed());
                            failpoint::reach("replay", id.module.as_str());
                            let (behind, rules, now) = (lane.behind(), lane.rules(), Instant::now());
                            let step = (steps.pop(), ran.failed.as_ref());
                            let letter = |given_up| runner.dead_letter(given_up);
                            let ran = replays.ran(step, lane.parked(), (behind, rules, now), letter);
                            steps = ran.into_iter().collect();
                        } else {
                            (steps, halted) = keep(&id, &mut lane, &runner, &breaker, steps, &ran);
                        }
                        idle = Some(runner);
                        submit(&committer, &id, &lane, steps).await;
                        if let Some(reason) = halted {
                            lane.stop();
                            ending = release(&committer, &id, End::Halted(reason)).await;
                        }
                    }
                    Err(panic) => return End::Halted(format!("the host failed while running its plugin: {panic}")),
                },
                received = inputs.recv(), if lane.is_hungry() => {
                    let ended = received.is_none();
                    let mut next = received;
                    while let Some(input) = next {
                        let input = without_repeats(&mut dedupe, &scaled, input);
                        tracer.iter().for_each(|tracer| tracer.taken(&input));
                        lane.offer(input);
                        next = if lane.is_hungry() { inputs.try_recv() } else { None };
                    }
                    if ended {
                        lane.stop();
                    }
                }
                () = alone.comes() => {}
                Some(order) = orders.recv(), if !lane.is_stopping() => match order {
                    Order::Replay(replay) => replays.push(replay, lane.parked()),
                    Order::Gone(sequence) => lane.parked().gone(sequence),
                    Order::Stands(sequence) => lane.parked().stands(sequence, Instant::now()),
                    Order::Stuck(sequence) => lane.parked().stuck(sequence),
                },
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now).into()), if wake.is_some() => {}
                () = shutdown.cancelled(), if !lane.is_stopping() => lane.stop(),
            }
        }
    }
}

impl Ending {
    fn end(self) -> End {
        match self {
            Self::No => End::Stopped,
            Self::Released(end) => end,
        }
    }
}

/// Has the committer give the lane up, which is to end so.
async fn release(committer: &mpsc::Sender<Request>, id: &LaneId, end: End) -> Ending {
    if committer.send(Request::Release { lane: id.clone() }).await.is_err() {
        warn!(module = %id.module, lane = id.lane, "the committer has ended");
    }
    Ending::Released(end)
}

/// An input that repeats an earlier one, or that an earlier lane has done, is only covered.
fn without_repeats(dedupe: &mut Option<Dedupe>, scaled: &[Scaled], input: Input) -> Input {
    let Input::Delivery(delivery) = &input else { return input };
    let is_repeat = dedupe.as_mut().is_some_and(|dedupe| dedupe.is_repeat(delivery));
    let was_done = || scaled.iter().any(|before| before.did(delivery.lane_key(), delivery.sequence()));
    if is_repeat || was_done() { Input::Covered(delivery.mark()) } else { input }
}

fn start(mut runner: Runner, slice: Slice, is_replay: bool) -> Working {
    let slice = tokio::task::spawn_blocking(move || {
        let (steps, ran) = runner.run(&slice);
        (runner, steps, ran)
    });
    Working { is_replay, slice }
}

/// Waits for the slice at work, and tells whether it is a replay; for ever if there is none.
async fn finish(working: &mut Option<Working>) -> Result<(bool, (Runner, Vec<Done>, Ran)), tokio::task::JoinError> {
    match working {
        Some(Working { is_replay, slice }) => Ok((*is_replay, slice.await?)),
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
    let metrics = runner.metrics();
    if ran.done > 0 && lock(breaker).succeeded() {
        metrics.breaker_open.set(0);
        info!(module = %id.module, "the breaker closes: the module goes on");
    }
    if let Some(failed) = &ran.failed {
        metrics.failed(failed.failure.kind());
    }
    match lane.ran(ran, now) {
        Verdict::Drop => (Vec::new(), None),
        Verdict::Keep(None) => {
            if let Some(failed) = &ran.failed {
                metrics.retries.inc();
                metrics.faulted(Fault::now(id.lane, None, &cause_of(&failed.failure, 1), Fate::Again));
            }
            (steps, None)
        }
        Verdict::Keep(Some(given_up)) => {
            let (sequence, kind, cause) = (given_up.input.sequence(), given_up.cause.kind, &given_up.cause.message);
            metrics.faulted(Fault::now(id.lane, Some(sequence), &given_up.cause, Fate::DeadLetter));
            if runner.may_log(cause) {
                let cause = short(cause);
                warn!(module = %id.module, lane = id.lane, %sequence, cause, "input becomes a dead letter");
            }
            if kind != CauseKind::Retry
                && let Some(pause) = lock(breaker).failed(now)
            {
                metrics.breaker_open.set(1);
                let cause = short(cause);
                warn!(module = %id.module, ?pause, cause, "the breaker opens: the module waits, since its inputs fail in a row");
            }
            steps.push(runner.dead_letter(given_up));
            (steps, None)
        }
        Verdict::Halt(sequence, cause) => {
            metrics.faulted(Fault::now(id.lane, Some(sequence), &cause, Fate::Halt));
            (steps, Some(format!("input {sequence}: {}", short(&cause.message))))
        }
    }
}

/// The step over a gap.
fn skip(id: &LaneId, runner: &Runner, gap: Gap) -> Done {
    let cause = runner.lacks(gap);
    runner.metrics().faulted(Fault::now(id.lane, Some(gap.last), &cause, Fate::DeadLetter));
    warn!(module = %id.module, lane = id.lane, %gap, "a gap in the input stream becomes a dead letter");
    runner.skips(gap)
}

/// The beginning of a cause, which may be the guest's own words.
fn short(cause: &str) -> String {
    cause.chars().take(200).collect()
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
