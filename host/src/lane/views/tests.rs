use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::event::Sequence;
use crate::subject::{Generation, Name, Subjects};
use crate::traces::Ratio;

const HALF: usize = 16 << 20;
const VIEW: &str = "totals";

/// What the app stream holds of a view, and what was read of it: key, and whether from the leader.
#[derive(Default)]
struct Store {
    values: HashMap<String, Stored<Option<Bytes>>>,
    reads: Vec<(String, bool)>,
    away: bool,
}

/// Views and the store behind them.
struct Rig {
    views: Views,
    store: Arc<Mutex<Store>>,
}

fn origin() -> Arc<Origin> {
    let app: Name = "shop".parse().unwrap();
    let (subjects, module, generation) = (Subjects::new(&app), "m".parse().unwrap(), Generation::default());
    let (stream, created, ratio) = ("IN".to_owned(), String::new(), Ratio::default());
    Arc::new(Origin { subjects, app, module, stream, created, generation, ratio })
}

impl Rig {
    fn new(complete: bool, stored: &[(&str, &str, u64)]) -> Self {
        let store = Arc::new(Mutex::new(Store::default()));
        let behind = store.clone();
        let fetch: Fetch = Arc::new(move |subject, from_leader| {
            let mut store = behind.lock().unwrap();
            if store.away {
                return Err("away".to_owned());
            }
            store.reads.push((key_of(subject), from_leader));
            let never = Stored { value: None, revision: NEVER_WRITTEN };
            Ok(store.values.get(&key_of(subject)).cloned().unwrap_or(never))
        });
        let grants = Grants { views: [VIEW.parse().unwrap()].into(), many_lanes: false, ..Grants::default() };
        let mut rig = Self { views: Views::new(origin(), Arc::new(grants), fetch, complete, 2 * HALF), store };
        for (key, value, revision) in stored {
            rig.store(key, Some(Bytes::copy_from_slice(value.as_bytes())), *revision);
        }
        rig
    }

    fn store(&mut self, key: &str, value: Option<Bytes>, revision: u64) {
        let stored = Stored { value, revision: Sequence(revision) };
        self.store.lock().unwrap().values.insert(key.to_owned(), stored);
    }

    fn get(&mut self, key: &str) -> Option<String> {
        let value = self.views.get(VIEW, key, key).unwrap().value;
        value.map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    fn put(&mut self, key: &str, value: Option<Bytes>) -> Write {
        let subject = format!("$KV.shop.totals.1.{key}").into();
        self.views.put(CheckedWrite { subject, value })
    }

    fn set(&mut self, key: &str, value: &str) -> Write {
        self.put(key, Some(Bytes::copy_from_slice(value.as_bytes())))
    }

    /// What was read from the store since the last call.
    fn reads(&self) -> Vec<(String, bool)> {
        std::mem::take(&mut self.store.lock().unwrap().reads)
    }
}

fn key_of(subject: &str) -> String {
    subject.strip_prefix("$KV.shop.totals.1.").unwrap().to_owned()
}

fn read(key: &str, from_leader: bool) -> (String, bool) {
    (key.to_owned(), from_leader)
}

/// The guard that a write would carry: none, or the revision as far as it is known.
fn guard(write: &Write) -> Option<Option<u64>> {
    write.guarded.then(|| write.revision.get().map(|revision| revision.0))
}

#[test]
fn a_value_is_fetched_once() {
    let mut rig = Rig::new(false, &[("a", "1", 5)]);
    for _ in 0..3 {
        assert_eq!(rig.get("a").as_deref(), Some("1"));
        assert_eq!(rig.get("b"), None);
    }
    assert_eq!(rig.reads(), [read("a", false), read("b", false)]);
}

#[test]
fn a_lane_sees_its_own_writes_before_they_are_committed() {
    let mut rig = Rig::new(false, &[("a", "1", 5)]);
    let _in_flight = [rig.set("a", "2"), rig.set("b", "3")];
    assert_eq!((rig.get("a").as_deref(), rig.get("b").as_deref()), (Some("2"), Some("3")));
    rig.put("a", None);
    assert_eq!(rig.get("a"), None);
    assert_eq!(rig.reads(), []);
}

#[test]
fn a_write_is_guarded_if_its_key_was_read() {
    let mut rig = Rig::new(false, &[("a", "1", 5), ("gone", "", 8)]);
    rig.store("gone", None, 8);
    assert_eq!(guard(&rig.set("a", "2")), None, "nobody read it");
    for (key, revision) in [("gone", 8), ("never", 0)] {
        rig.get(key);
        assert_eq!(guard(&rig.set(key, "2")), Some(Some(revision)), "{key}");
    }
    rig.get("a");
    assert_eq!(guard(&rig.set("a", "3")), Some(None), "its revision is that of the first write, not yet known");
}

#[test]
fn the_revision_of_a_committed_write_guards_the_next() {
    let mut rig = Rig::new(false, &[("a", "1", 5)]);
    rig.get("a");
    let (first, second) = (rig.set("a", "2"), rig.set("a", "3"));
    first.revision.set(Sequence(20));
    assert_eq!(guard(&second), Some(Some(20)));
    second.revision.set(Sequence(30));
    assert_eq!(guard(&rig.put("a", None)), Some(Some(30)));
    let blind = rig.set("b", "1");
    blind.revision.set(Sequence(40));
    assert_eq!(guard(&rig.set("b", "2")), None);
    rig.get("b");
    assert_eq!(guard(&rig.set("b", "3")), Some(Some(40)));
}

#[test]
fn a_lane_that_never_ran_reads_nothing() {
    let mut rig = Rig::new(true, &[("a", "of another lane", 5)]);
    assert_eq!(rig.get("a"), None);
    assert_eq!(guard(&rig.set("a", "1")), Some(Some(0)), "the guard tells if that was wrong");
    assert_eq!(rig.get("a").as_deref(), Some("1"));
    assert_eq!(rig.reads(), []);
}

#[test]
fn after_forgetting_all_is_read_from_the_leader() {
    for complete in [false, true] {
        let mut rig = Rig::new(complete, &[("a", "1", 5)]);
        rig.get("a");
        let _in_flight = rig.set("a", "2");
        rig.reads();
        rig.views.forget();
        assert_eq!(rig.get("a").as_deref(), Some("1"));
        assert_eq!(guard(&rig.set("a", "3")), Some(Some(5)));
        assert_eq!(rig.get("b"), None);
        assert_eq!(rig.reads(), [read("a", true), read("b", true)]);
    }
}

#[test]
fn a_failed_read_is_not_remembered() {
    let mut rig = Rig::new(false, &[("a", "1", 5)]);
    rig.store.lock().unwrap().away = true;
    assert!(matches!(rig.views.get(VIEW, "a", "a"), Err(GetError::Unavailable(cause)) if cause == "away"));
    rig.store.lock().unwrap().away = false;
    assert_eq!(rig.get("a").as_deref(), Some("1"));
}

#[test]
fn what_is_not_granted_is_not_read() {
    let mut rig = Rig::new(false, &[]);
    for (view, key) in [("other", "a"), ("totals.1", "a"), ("totals", "")] {
        assert!(matches!(rig.views.get(view, key, "a"), Err(GetError::Violation(_))), "{view} {key}");
    }
    assert_eq!(rig.reads(), []);
}

/// A value of which a few fill a half.
fn large() -> Option<Bytes> {
    Some(Bytes::from_static(&[b'x'; HALF / 8]))
}

/// Reads keys until what was used before is old, and then too old.
fn fill(rig: &mut Rig) {
    for key in 0..20 {
        rig.get(&format!("large-{key}"));
    }
}

fn with_large_values(complete: bool, stored: &[(&str, &str, u64)]) -> Rig {
    let mut rig = Rig::new(complete, stored);
    for key in 0..20 {
        rig.store(&format!("large-{key}"), large(), 1);
    }
    rig
}

#[test]
fn keys_that_are_not_used_are_forgotten_in_time() {
    let mut rig = with_large_values(false, &[("old", "1", 5), ("used", "2", 6)]);
    rig.get("old");
    for key in 0..20 {
        rig.get("used");
        rig.get(&format!("large-{key}"));
    }
    rig.reads();
    rig.get("used");
    assert_eq!(rig.reads(), []);
    rig.get("old");
    assert_eq!(rig.reads(), [read("old", false)]);
}

#[test]
fn a_key_whose_write_is_in_flight_is_never_forgotten() {
    let mut rig = with_large_values(false, &[("a", "1", 5)]);
    rig.get("a");
    let in_flight = rig.set("a", "2");
    fill(&mut rig);
    rig.reads();
    assert_eq!(rig.get("a").as_deref(), Some("2"));
    fill(&mut rig);
    in_flight.revision.set(Sequence(20));
    assert_eq!(guard(&rig.set("a", "3")), Some(Some(20)));
    rig.store("a", Some(Bytes::from_static(b"3")), 21);
    drop(in_flight);
    fill(&mut rig);
    rig.reads();
    assert_eq!(rig.get("a").as_deref(), Some("3"));
    assert_eq!(rig.reads(), [read("a", false)], "once it is committed it may go");
}

#[test]
fn a_lane_that_forgot_a_key_knows_that_it_does_not_know_all() {
    let mut rig = Rig::new(true, &[]);
    rig.set("a", "1");
    rig.store("a", Some(Bytes::from_static(b"1")), 20);
    for key in 0..20 {
        rig.put(&format!("large-{key}"), large());
    }
    rig.reads();
    assert_eq!(rig.get("a").as_deref(), Some("1"));
    assert_eq!(rig.get("never"), None);
    assert_eq!(rig.reads(), [read("a", false), read("never", false)]);
}

#[derive(Clone, Debug)]
enum Op {
    Get(u8),
    Put(u8, Option<bool>),
    /// This many writes are committed.
    Commit(usize),
    /// All that is not committed is dropped.
    Forget,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..12_u8).prop_map(Op::Get),
        4 => (0..12_u8, prop::option::weighted(0.9, any::<bool>())).prop_map(|(key, value)| Op::Put(key, value)),
        2 => (1..4_usize).prop_map(Op::Commit),
        1 => Just(Op::Forget),
    ]
}

proptest! {
    /// With nobody else writing, every value is the last one written, and every guard holds.
    #[test]
    fn a_lone_writer_reads_what_it_wrote_and_its_guards_hold(
        ops in prop::collection::vec(op(), 0..200),
        complete: bool,
        ages: bool,
    ) {
        let mut rig = Rig::new(complete, &[]);
        let mut in_flight: VecDeque<Write> = VecDeque::new();
        let (mut own, mut read, mut last) = (HashMap::new(), HashSet::new(), 0);
        for op in ops {
            match op {
                Op::Get(key) => {
                    let stored = rig.store.lock().unwrap().values.get(&key.to_string()).and_then(|stored| stored.value.clone());
                    let expected = own.get(&key).cloned().unwrap_or(stored);
                    let found = rig.views.get(VIEW, &key.to_string(), "k").unwrap();
                    prop_assert!(found.value == expected, "{:?}", key);
                    read.insert(key);
                }
                Op::Put(key, value) => {
                    last += 1;
                    let value = value.map(|is_large| if ages && is_large { large().unwrap() } else { Bytes::from(format!("{last}")) });
                    let write = rig.put(&key.to_string(), value.clone());
                    prop_assert!(!write.guarded || read.contains(&key));
                    prop_assert!(ages || write.guarded == read.contains(&key));
                    own.insert(key, value);
                    in_flight.push_back(write);
                }
                Op::Commit(count) => {
                    for write in in_flight.drain(..count.min(in_flight.len())) {
                        last += 1;
                        let key = key_of(&write.write.subject);
                        let revision = rig.store.lock().unwrap().values.get(&key).map_or(NEVER_WRITTEN, |stored| stored.revision);
                        prop_assert!(!write.guarded || write.revision.get() == Some(revision), "{}", key);
                        rig.store(&key, write.write.value.clone(), last);
                        write.revision.set(Sequence(last));
                    }
                }
                Op::Forget => {
                    in_flight.clear();
                    own.clear();
                    read.clear();
                    rig.views.forget();
                }
            }
        }
    }
}
