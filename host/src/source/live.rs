//! The one live reader of an input stream: routes each message to the lanes that it is for. A lane that would hold up
//! the others is sent to catch up on a reader of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::catchup::{self, Behind};
use super::reader::{self, Item, Moved};
use super::{Decoded, Error, InputStream, Routing, union};
use crate::commit::LaneId;
use crate::event::{Gap, Mark, Message, Sequence};
use crate::lane::Input;
use crate::lane::queue::{Closed, Seen, Sender};

/// How long the reader waits for one lane within a second before it looks whether others starve.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long it waits before it looks again.
const GLANCE: Duration = Duration::from_millis(20);
/// A lane this many inputs behind the most advanced one of its stream starts on a reader of its own.
const NEAR: u64 = 10_000;
/// How often lanes are told that the reader got on without a message: each then writes a checkpoint.
const PASSED: Duration = Duration::from_secs(10);

/// A lane to be fed.
pub struct Port {
    /// The lane.
    pub id: LaneId,
    /// Where its inputs go.
    pub inputs: Sender,
    /// Where it stands.
    pub at: Mark,
}

/// What the live reader is asked for.
pub enum Wish {
    /// To feed a module's lanes, which stand where their ports say in the stream as it was found.
    Feed(Box<InputStream>, Arc<Routing>, Vec<Port>),
    /// To take a lane back that caught up.
    Attach(Attach),
}

/// A lane's wish to be taken back by the live reader.
pub struct Attach {
    /// The lane.
    pub id: LaneId,
    /// Where its inputs go.
    pub inputs: Sender,
    /// Up to here it has all its inputs.
    pub covered: Sequence,
    /// Whether that was all that the stream held for its module.
    pub all: bool,
    /// Whether it was taken back.
    pub answer: oneshot::Sender<bool>,
}

/// The live reader of one stream.
pub struct Live {
    stream: InputStream,
    modules: Vec<Fed>,
    sender: mpsc::Sender<Wish>,
    wishes: mpsc::Receiver<Wish>,
    /// Where reading began, or begins.
    start: Mark,
    last: Option<Arc<Message>>,
    /// The same, for the lanes that it feeds.
    seen: Arc<Seen>,
    /// When lanes were last told that it got on without a message.
    told: Instant,
    reader: Option<mpsc::Receiver<Result<Item, Error>>>,
    /// The readers of lanes that catch up: they end with this one.
    catching_up: JoinSet<Result<(), Error>>,
    shutdown: CancellationToken,
}

/// A module and its lanes.
struct Fed {
    routing: Arc<Routing>,
    lanes: BTreeMap<u16, Lane>,
}

struct Lane {
    inputs: Sender,
    /// Set while it catches up.
    away: Option<Away>,
    /// How long the reader waited for it since the last tick.
    waited: Duration,
}

/// What the live reader remembers of a lane that catches up.
#[derive(Clone, Copy)]
struct Away {
    /// Where the live reader was when the lane left.
    from: Sequence,
    /// The last input of the lane that the live reader passed since.
    passed: Option<Sequence>,
}

impl Live {
    /// A live reader of `stream` that feeds nobody yet, and where to send it wishes.
    pub fn new(stream: InputStream, shutdown: CancellationToken) -> (Self, mpsc::Sender<Wish>) {
        let (sender, wishes) = mpsc::channel(64);
        let start = Mark { sequence: Sequence(0), fingerprint: None };
        let live = Self {
            stream,
            modules: Vec::new(),
            sender: sender.clone(),
            wishes,
            start,
            last: None,
            seen: Arc::default(),
            told: Instant::now(),
            reader: None,
            catching_up: JoinSet::new(),
            shutdown,
        };
        (live, sender)
    }

    /// Reads and routes until the host stops; an error halts the modules of this stream. Every `advance`, lanes are told
    /// how far the reader is.
    pub async fn run(mut self, advance: Duration) -> Result<(), Error> {
        let mut tick = tokio::time::interval(advance);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let shutdown = self.shutdown.clone();
        loop {
            tokio::select! {
                next = next_of(&mut self.reader) => match next {
                    Some(Ok(Item::Message(read))) => self.route(read.message).await,
                    Some(Ok(Item::Pending(_))) => self.seen.mark(self.mark()),
                    Some(Ok(Item::Moved(Moved::Passed(mark)))) => self.moved(mark),
                    Some(Ok(Item::Moved(Moved::Gap(gap)))) => self.lacks(gap).await,
                    Some(Err(error)) => return Err(error),
                    None => return Err(self.failed("it ended without a reason")),
                },
                Some(ended) = self.catching_up.join_next() => match ended {
                    Ok(caught_up) => caught_up?,
                    Err(panic) => return Err(self.failed(&panic.to_string())),
                },
                Some(wish) = self.wishes.recv() => match wish {
                    Wish::Feed(stream, routing, ports) => {
                        let before = self.reader.is_some().then(|| (self.filters(), self.mark()));
                        self.feed(stream, routing, ports);
                        // What waits already is taken before reading begins, so that it begins where all are served.
                        while let Ok(wish) = self.wishes.try_recv() {
                            match wish {
                                Wish::Feed(stream, routing, ports) => self.feed(stream, routing, ports),
                                Wish::Attach(attach) => self.take_back(attach),
                            }
                        }
                        if before != Some((self.filters(), self.mark())) {
                            self.read();
                        }
                    }
                    Wish::Attach(attach) => self.take_back(attach),
                },
                _ = tick.tick() => {
                    self.forget_ended();
                    self.tell_position();
                }
                () = shutdown.cancelled() => return Ok(()),
            }
        }
    }

    fn failed(&self, cause: &str) -> Error {
        Error::Failed { stream: self.stream.name().to_owned(), cause: cause.to_owned() }
    }

    /// Takes lanes of a module in. Reading goes on, or begins, where those that are near need it: lanes that are further
    /// drop what they have seen. Lanes that are far behind catch up on readers of their own.
    fn feed(&mut self, stream: Box<InputStream>, routing: Arc<Routing>, ports: Vec<Port>) {
        let reads = self.modules.iter().any(|module| !module.lanes.is_empty());
        let known = reads.then(|| self.mark());
        if self.reader.is_none() {
            // It may have been made anew since this reader began to wait.
            self.stream = *stream;
        }
        let marks = || ports.iter().map(|port| port.at);
        let furthest = marks().chain(known).map(|mark| mark.sequence).max().unwrap_or_default();
        let near = marks().filter(|mark| mark.sequence.0 + NEAR >= furthest.0).chain(known);
        let start = near.min_by_key(|mark| mark.sequence).unwrap_or(self.start);
        if known != Some(start) {
            self.start = start;
            self.last = None;
            self.seen.nothing();
        }
        let mut lanes = BTreeMap::new();
        for Port { id, inputs, at } in ports {
            let mut lane = Lane { inputs, away: None, waited: Duration::ZERO };
            if at.sequence < start.sequence {
                let (routing, inputs) = (routing.clone(), lane.inputs.clone());
                self.catch_up(Behind { id: id.clone(), routing, inputs }, at);
                lane.away = Some(Away { from: start.sequence, passed: None });
            }
            lane.inputs.fed_by(lane.away.is_none().then_some(&self.seen));
            lanes.insert(id.lane, lane);
        }
        match self.modules.iter_mut().find(|module| module.routing.module == routing.module) {
            Some(module) => {
                module.routing = routing;
                module.lanes.extend(lanes);
            }
            None => self.modules.push(Fed { routing, lanes }),
        }
    }

    /// Begins to read for all modules, or goes on with the filters that they need now.
    fn read(&mut self) {
        self.seen.nothing();
        self.reader = Some(reader::spawn_telling(self.stream.clone(), self.filters(), self.mark()));
    }

    /// How far it has read.
    fn mark(&self) -> Mark {
        self.last.as_ref().map_or(self.start, |last| last.mark())
    }

    /// It has handed `message` to whom it is for; but perhaps not when the host stops.
    fn has_read(&mut self, message: Arc<Message>) {
        if !self.shutdown.is_cancelled() {
            self.seen.message(message.clone());
        }
        self.last = Some(message);
    }

    /// It is further, without a message.
    fn moved(&mut self, to: Mark) {
        if !self.shutdown.is_cancelled() {
            self.seen.mark(to);
        }
        self.start = to;
        self.last = None;
    }

    /// Tells all lanes what was removed before it was read: those that were further already do not lack it.
    async fn lacks(&mut self, gap: Gap) {
        for at in 0..self.modules.len() {
            let lanes: Vec<u16> = self.modules.get(at).iter().flat_map(|module| module.lanes.keys().copied()).collect();
            for lane in lanes {
                self.hand(at, lane, Input::Gap(gap), gap.first).await;
            }
        }
        self.moved(gap.mark());
    }

    fn catch_up(&mut self, behind: Behind, after: Mark) {
        self.catching_up.spawn(catchup::run(self.stream.clone(), behind, after, self.sender.clone()));
    }

    fn filters(&self) -> Vec<String> {
        union(self.modules.iter().map(|module| &module.routing.input))
    }

    async fn route(&mut self, message: Arc<Message>) {
        // Where filters overlap the whole stream is read.
        if !self.modules.iter().any(|module| module.routing.input.takes(&message.subject)) {
            self.has_read(message);
            return;
        }
        let decoded = Decoded::new(self.stream.name(), message);
        for at in 0..self.modules.len() {
            let Some(module) = self.modules.get(at) else { return };
            if let Some((lane, delivery)) = decoded.route(&module.routing) {
                self.hand(at, lane, Input::Delivery(Arc::new(delivery)), decoded.message.sequence).await;
            }
        }
        self.has_read(decoded.message);
    }

    /// Hands an input to a lane. If it has no room the reader waits, as long as others do not starve for it.
    async fn hand(&mut self, at: usize, number: u16, input: Input, sequence: Sequence) {
        let Some(lane) = self.lane_mut(at, number) else { return };
        if let Some(away) = &mut lane.away {
            away.passed = Some(sequence);
            return;
        }
        let (inputs, waited, began) = (lane.inputs.clone(), lane.waited, Instant::now());
        while !self.shutdown.is_cancelled() {
            match tokio::time::timeout(GLANCE, inputs.place(&input)).await {
                Ok(Ok(place)) => {
                    place.take(input);
                    break;
                }
                Ok(Err(Closed)) => break,
                Err(_) if self.holds_up(began.elapsed(), waited) || self.is_wanted(began.elapsed()) => {
                    return self.send_away(at, number, sequence);
                }
                Err(_) => {}
            }
        }
        if let Some(lane) = self.lane_mut(at, number) {
            lane.waited += began.elapsed();
        }
    }

    fn lane_mut(&mut self, at: usize, number: u16) -> Option<&mut Lane> {
        self.modules.get_mut(at)?.lanes.get_mut(&number)
    }

    /// Whether lanes that are to be fed wait for the reader, which stood still for so long.
    fn is_wanted(&self, now: Duration) -> bool {
        now > PATIENCE && !self.wishes.is_empty()
    }

    /// Whether a lane holds others up that took no input for this long, and made the reader wait for so long before: one
    /// that stands still, while any other has nothing to do; or one that is slow, while most others have nothing to do.
    /// When all are busy it is the host that has no more to give, and readers of their own would only cost more.
    fn holds_up(&self, now: Duration, before: Duration) -> bool {
        let fed = || self.modules.iter().flat_map(|module| module.lanes.values()).filter(|lane| lane.away.is_none());
        let (busy, all) = (fed().filter(|lane| lane.inputs.is_busy()).count(), fed().count());
        (now > PATIENCE && busy < all) || (before + now > PATIENCE && busy * 2 <= all)
    }

    /// Has a lane catch up on a reader of its own, from the input at `sequence` on.
    fn send_away(&mut self, at: usize, number: u16, sequence: Sequence) {
        let after = Mark { sequence: Sequence(sequence.0.saturating_sub(1)), fingerprint: None };
        let Some(module) = self.modules.get_mut(at) else { return };
        let Some(lane) = module.lanes.get_mut(&number) else { return };
        lane.away = Some(Away { from: sequence, passed: Some(sequence) });
        lane.inputs.fed_by(None);
        let (routing, inputs) = (module.routing.clone(), lane.inputs.clone());
        self.catch_up(Behind { id: LaneId { module: routing.module.clone(), lane: number }, routing, inputs }, after);
    }

    fn take_back(&mut self, Attach { id, inputs, covered, all, answer }: Attach) {
        let module = self.modules.iter_mut().find(|module| module.routing.module == id.module);
        // One of the same number may have been started since.
        let lane = module.and_then(|module| module.lanes.get_mut(&id.lane)).filter(|lane| lane.inputs.is_same(&inputs));
        let taken = lane.is_none_or(|lane| lane.come_back(covered, all, &self.seen));
        // A lane that has ended needs no answer.
        answer.send(taken).ok();
    }

    /// Tells the lanes how far the reader is, so that those without inputs advance too.
    fn tell_position(&mut self) {
        let mark = self.mark();
        let passed = self.last.is_none();
        // When the host stops, the last input may not have been handed over.
        if mark.fingerprint.is_none() || self.shutdown.is_cancelled() || (passed && self.told.elapsed() < PASSED) {
            return;
        }
        self.told = Instant::now();
        for module in &mut self.modules {
            for lane in module.lanes.values_mut() {
                lane.waited = Duration::ZERO;
                if lane.away.is_none() {
                    lane.inputs.offer(Input::Covered(mark));
                }
            }
        }
    }

    /// Forgets lanes that have ended. With none left nothing is read, until there is one again.
    fn forget_ended(&mut self) {
        for module in &mut self.modules {
            module.lanes.retain(|_, lane| !lane.inputs.is_closed());
        }
        self.modules.retain(|module| !module.lanes.is_empty());
        if self.modules.is_empty() {
            self.reader = None;
        }
    }
}

/// What the reader gives next; never anything without one.
async fn next_of(reader: &mut Option<mpsc::Receiver<Result<Item, Error>>>) -> Option<Result<Item, Error>> {
    match reader {
        Some(reader) => reader.recv().await,
        None => std::future::pending().await,
    }
}

impl Lane {
    /// Takes the lane back if it has all that the live reader passed.
    fn come_back(&mut self, covered: Sequence, all: bool, seen: &Arc<Seen>) -> bool {
        let taken = self.away.is_none_or(|away| {
            let missed_none = away.passed.is_none_or(|passed| covered >= passed);
            missed_none && (all || covered >= away.from)
        });
        if taken {
            self.away = None;
            self.inputs.fed_by(Some(seen));
        }
        taken
    }
}
