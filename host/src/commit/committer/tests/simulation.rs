//! The committer with real lanes and real views against a model of a stream that answers wrongly, late or not at all.

mod member;
mod stream;

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;

use self::member::Member;
use self::stream::{Stream, number};
use super::*;
use crate::commit::checkpoint::NEVER_WRITTEN;
use crate::effects::{Grants, Origin};
use crate::lane::views::{Fetch, Views};
use crate::lane::{Input, Lane as Spine, Ran, Slice, Step, Verdict};
use crate::ownership::HostId;
use crate::policy::breaker::Permit;
use crate::policy::{Failure, OnFailure, Rules};
use crate::traces::Ratio;

const LANES: u16 = 4;
const INPUTS: u64 = 30;
/// Small, so that lanes share batches in many ways.
const BOUNDS: Bounds = Bounds { batch_messages: 24, ..ROOMY };
/// An event that the server never takes.
const POISON: &[u8] = b"poison";

/// What becomes of an input.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// It counts up, replaces a value and emits an event.
    Counts,
    /// It has no effects.
    Silent,
    /// The guest gives it up.
    Rejected,
    /// The server refuses its effects.
    Poisonous,
}

fn kind(sequence: u64) -> Kind {
    match (sequence % 4, sequence % 13, sequence % 41) {
        (0, ..) => Kind::Silent,
        (_, 6, _) => Kind::Rejected,
        (_, _, 5) => Kind::Poisonous,
        _ => Kind::Counts,
    }
}

/// The inputs of a lane: the stream's messages go to the lanes in turn.
fn inputs(lane: u16) -> impl Iterator<Item = u64> {
    (0..INPUTS).map(move |at| at * u64::from(LANES) + u64::from(lane) + 1)
}

fn subjects() -> Subjects {
    Subjects::new(&"shop".parse().unwrap())
}

fn origin() -> Arc<Origin> {
    let (app, module, generation) = ("shop".parse().unwrap(), id(0).module, Generation::default());
    let (stream, created, ratio) = ("IN".to_owned(), String::new(), Ratio::default());
    Arc::new(Origin { subjects: subjects(), app, module, stream, created, generation, ratio })
}

fn view_key(lane: u16, key: &str) -> Arc<str> {
    subjects().view_value(&"v".parse().unwrap(), Generation::default(), &format!("{lane}-{key}")).into()
}

/// The key that an input counts.
fn counter(sequence: u64) -> String {
    format!("count-{}", sequence % 3)
}

/// The subject that tells that an input is done.
fn tag(lane: u16, input: u64) -> Option<String> {
    match kind(input) {
        Kind::Silent => None,
        Kind::Counts => Some(format!("pelton.shop.events.m.{lane}.{input}")),
        Kind::Rejected | Kind::Poisonous => Some(dead_letter(lane, input)),
    }
}

fn dead_letter(lane: u16, input: u64) -> String {
    subjects().dead_letter(&id(lane).module, lane, input)
}

/// What happens to a batch on its way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It arrives, and so does the answer.
    Answered,
    /// It arrives; the answer does not.
    Unanswered,
    /// It is lost.
    Lost,
    /// It may arrive later.
    Late,
    /// The server cannot store at present.
    Unavailable,
}

/// What may happen.
#[derive(Clone, Debug)]
enum Op {
    /// A lane is handed some inputs.
    Read(u16, usize),
    /// A lane is told that there is nothing for it up to its next input.
    Cover(u16),
    /// A lane begins a slice, or ends it.
    Turn(u16),
    /// A lane does all that, and nothing comes between.
    Work(u16, usize),
    /// The committer sends a batch, or sends one again.
    Send(Fate),
    /// A batch arrives that was thought lost.
    Arrive(Index),
    /// Another host takes a lane over, and ends.
    TakeOver(u16),
    /// A lane is given up, and taken by another host.
    Release(u16),
    /// Somebody writes a value of a lane anew, so that a guard breaks.
    Meddle(u16, u64),
}

fn op() -> impl Strategy<Value = Op> {
    let fate = prop_oneof![
        6 => Just(Fate::Answered),
        2 => Just(Fate::Unanswered),
        1 => Just(Fate::Lost),
        3 => Just(Fate::Late),
        1 => Just(Fate::Unavailable),
    ];
    prop_oneof![
        1 => (0..LANES, 1..4_usize).prop_map(|(lane, count)| Op::Read(lane, count)),
        1 => (0..LANES).prop_map(Op::Cover),
        2 => (0..LANES).prop_map(Op::Turn),
        6 => (0..LANES, 1..4_usize).prop_map(|(lane, count)| Op::Work(lane, count)),
        8 => fate.prop_map(Op::Send),
        4 => any::<Index>().prop_map(Op::Arrive),
        1 => (0..LANES).prop_map(Op::TakeOver),
        1 => (0..LANES).prop_map(Op::Release),
        1 => (0..LANES, 0..3_u64).prop_map(|(lane, key)| Op::Meddle(lane, key)),
    ]
}

struct World {
    stream: Arc<Mutex<Stream>>,
    committer: Committer,
    members: Vec<Member>,
    /// Batches that may arrive later.
    late: Vec<Vec<Outgoing>>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let committer = Committer::new(subjects(), BOUNDS);
        let (stream, members, late) = (Arc::default(), Vec::new(), Vec::new());
        let mut world = Self { stream, committer, members, late, now: Instant::now() };
        for lane in 0..LANES {
            let member = world.own(lane);
            world.members.push(member);
        }
        world
    }

    /// Takes a lane over, as its first owner or the next.
    fn own(&mut self, lane: u16) -> Member {
        let owned = self.take_over(lane);
        let covered = owned.value.covered;
        let stream = self.stream.clone();
        let fetch: Fetch = Arc::new(move |subject, from_leader| Ok(stream.lock().unwrap().read(subject, from_leader)));
        let grants = Grants { views: ["v".parse().unwrap()].into(), ..Grants::default() };
        let is_new = owned.value.epoch == 1;
        self.committer.attach(id(lane), Generation::default(), owned);
        Member {
            lane,
            spine: Spine::new(covered, Rules { attempts: 3, on_failure: OnFailure::DeadLetter }, 1 << 20),
            views: Views::new(origin(), Arc::new(grants), fetch, is_new, 1 << 20),
            unread: inputs(lane).collect(),
            running: None,
            releases: false,
        }
    }

    /// Writes the next epoch of a lane's checkpoint.
    fn take_over(&self, lane: u16) -> Stored<Checkpoint> {
        let mut stream = self.stream.lock().unwrap();
        let Stored { value, revision } = stream.checkpoint(lane);
        let subject = subjects().checkpoint(&id(lane).module, Generation::default(), lane).into();
        let outcome =
            stream.store(&[checkpoint_message(&subject, &value.taken_over(HostId::from_u128(9), |_| false), revision)]);
        assert!(matches!(outcome, Outcome::Committed(_)));
        stream.checkpoint(lane)
    }

    fn member(&mut self, lane: u16) -> &mut Member {
        &mut self.members[usize::from(lane)]
    }

    fn apply(&mut self, op: &Op) {
        let before = self.stream.lock().unwrap().last;
        match op {
            Op::Read(lane, count) => self.member(*lane).read(*count),
            Op::Cover(lane) => self.member(*lane).cover(),
            Op::Turn(lane) => self.turn(*lane),
            Op::Work(lane, count) => {
                self.member(*lane).read(*count);
                self.turn(*lane);
                self.turn(*lane);
            }
            Op::Send(fate) => self.send(*fate),
            Op::Arrive(at) if !self.late.is_empty() => {
                let batch = self.late.swap_remove(at.index(self.late.len()));
                self.stream.lock().unwrap().store(&batch);
            }
            Op::Arrive(_) => {}
            Op::TakeOver(lane) => drop(self.take_over(*lane)),
            Op::Release(lane) => {
                self.member(*lane).releases = true;
                self.committer.release(&id(*lane));
            }
            Op::Meddle(lane, key) => self.meddle(&view_key(*lane, &counter(*key))),
        }
        let stream = self.stream.lock().unwrap();
        if stream.last > before {
            (0..LANES).for_each(|lane| stream.audit(lane));
        }
    }

    fn turn(&mut self, lane: u16) {
        self.now += Duration::from_secs(1);
        let now = self.now;
        let member = self.member(lane);
        let (steps, incarnation) = (member.turn(now), member.spine.incarnation());
        if !steps.is_empty() {
            self.committer.submit(&id(lane), incarnation, steps);
        }
    }

    fn meddle(&self, subject: &Arc<str>) {
        let mut stream = self.stream.lock().unwrap();
        if let Some(value) = stream.value(subject).cloned() {
            let revision = stream.revision(subject);
            stream.store(&[replacing(subject, value.to_vec(), revision)]);
        }
    }

    fn send(&mut self, fate: Fate) {
        let batch = match self.committer.next_batch() {
            Some(batch) => Some(batch),
            None => self.committer.resend(),
        };
        let Some(batch) = batch else { return };
        let outcome = match fate {
            Fate::Answered => self.stream.lock().unwrap().store(batch),
            Fate::Unanswered => {
                self.stream.lock().unwrap().store(batch);
                ambiguous()
            }
            Fate::Lost => ambiguous(),
            Fate::Late => {
                self.late.push(batch.to_vec());
                ambiguous()
            }
            Fate::Unavailable => Outcome::Unavailable(Hindrance::Server, "no leader".to_owned()),
        };
        let actions = self.committer.resolve(outcome);
        self.act(actions);
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Committed { lane, covered, .. } => self.member(lane.lane).spine.committed(covered),
                Action::Check(lane) => {
                    let stored = self.stream.lock().unwrap().checkpoint(lane.lane);
                    let actions = self.committer.checked(Some(stored));
                    self.act(actions);
                }
                Action::Resend(_) => {}
                Action::Reset { lane, incarnation, covered, condemned } => {
                    self.member(lane.lane).spine.reset(incarnation, covered, condemned);
                }
                Action::Released { lane } => {
                    let released = self.stream.lock().unwrap().checkpoint(lane.lane).value;
                    assert_eq!(released.owner, None, "nobody owns what was released");
                    *self.member(lane.lane) = self.own(lane.lane);
                }
                Action::Lost { lane, .. } => *self.member(lane.lane) = self.own(lane.lane),
                Action::Halt { lane, reason } => panic!("{lane} halts: {reason}"),
            }
        }
    }

    fn is_done(&self) -> bool {
        let stream = self.stream.lock().unwrap();
        (0..LANES).all(|lane| stream.checkpoint(lane).value.covered.0 >= inputs(lane).last().unwrap())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whatever gets lost, comes late or is taken away: effects are stored with the checkpoint that covers them, once
    /// and in order, and in the end all are.
    #[test]
    fn effects_are_stored_exactly_once_and_in_order(ops in prop::collection::vec(op(), 0..250)) {
        let mut world = World::new();
        ops.iter().for_each(|op| world.apply(op));
        for _ in 0..2_000 {
            if world.is_done() {
                break;
            }
            for lane in 0..LANES {
                world.apply(&Op::Read(lane, 9));
                world.apply(&Op::Turn(lane));
            }
            world.apply(&Op::Send(Fate::Answered));
        }
        prop_assert!(world.is_done(), "inputs were lost, or wait for ever");
        // What was on its way all the time changes nothing.
        while let Some(batch) = world.late.pop() {
            let outcome = world.stream.lock().unwrap().store(&batch);
            prop_assert!(!matches!(outcome, Outcome::Committed(_)));
        }
    }
}
