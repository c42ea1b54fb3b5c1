//! Two thousand plugins that nobody wrote, each through the loader and, if it loads, run on one event: modules made at
//! random, which are valid, and real plugins with some of their bytes changed, which mostly are not. Each gives a typed
//! error or an answer; none makes the host panic, and none leaves anything behind.
//!
//! The seeds are fixed, so a failure names a case that can be made again.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "what is not there fails the test")]
#![allow(clippy::print_stdout, reason = "it tells what it saw")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pelton::commit::checkpoint::{NEVER_WRITTEN, Stored};
use pelton::config::Limits;
use pelton::effects::{Grants, Origin};
use pelton::event::{Event, Sequence};
use pelton::guest::{Call, Engine, Plugin, Rate, Setting};
use pelton::lane::views::Views;
use pelton::policy::{Failed, Failure};
use pelton::subject::{Generation, Name, Subjects};
use pelton::traces::Ratio;
use wasm_smith::{Config, Module};
use wasmparser::{Parser, Payload};

/// Modules made at random.
const MADE: u64 = 1_000;
/// Real plugins with changes in them.
const CHANGED: u64 = 1_200;
/// Cases before the host's memory is first looked at: they fill what it keeps in any case.
const WARM_UP: u64 = 300;
/// What the host's memory may grow by over all cases after those.
const GROWTH: u64 = 64 << 20;
/// Threads at work.
const WORKERS: u64 = 2;

#[test]
fn no_module_made_at_random_and_no_damaged_plugin_harms_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Corpus::new();
    let all = MADE + CHANGED;
    let mut seen = corpus.run(0..WARM_UP, folder.path());
    let before = resident();
    for (outcome, count) in corpus.run(WARM_UP..all, folder.path()) {
        *seen.entry(outcome).or_default() += count;
    }
    let grown = resident().saturating_sub(before);
    println!("{seen:#?}\nmemory grew by {} KiB", grown >> 10);
    assert_eq!(seen.values().sum::<u64>(), all);
    // A corpus that never gets anywhere would prove nothing.
    for outcome in
        ["ran: answered", "ran: trap", "ran: timeout", "ran: limit", "refused: NotWasm", "refused: NotWrappable"]
    {
        assert!(seen.contains_key(outcome), "no case ended as {outcome:?}");
    }
    assert!(grown < GROWTH, "the host grew by {grown} bytes");
}

/// How many cases ended in which way.
type Seen = BTreeMap<String, u64>;

/// What the cases are made of.
struct Corpus {
    engine: Engine,
    /// Real plugins.
    plugins: Vec<Vec<u8>>,
    /// What a toolchain writes into a handler, so that the host takes a module for one.
    metadata: Vec<u8>,
    setting: Setting,
}

impl Corpus {
    fn new() -> Self {
        let folder = pelton_tests::plugins().unwrap();
        let plugins =
            ["relay", "fold", "oracle"].map(|name| fs::read(folder.join(name).with_extension("wasm")).unwrap());
        let limits = Limits {
            deadline: Duration::from_millis(10),
            memory: 4 << 20,
            tables: 1_000,
            host_call: 1 << 20,
            ..Limits::default()
        };
        let setting =
            Setting { module: name("corpus"), config: Arc::default(), limits, log_rate: Arc::new(Rate::new(0, 0)) };
        let engine = Engine::new(limits.stack).unwrap();
        Self { engine, metadata: metadata_of(&plugins[0]), plugins: plugins.into(), setting }
    }

    /// Runs the cases of `range` on all workers.
    fn run(&self, range: Range<u64>, folder: &Path) -> Seen {
        thread::scope(|scope| {
            let work = |worker| {
                let mine = range.clone().filter(move |case| case / 2 % WORKERS == worker);
                scope.spawn(move || self.work(mine, &folder.join(format!("{worker}.wasm"))))
            };
            let workers: Vec<_> = (0..WORKERS).map(work).collect();
            let mut seen = Seen::new();
            for (outcome, count) in workers.into_iter().flat_map(|worker| worker.join().unwrap()) {
                *seen.entry(outcome).or_default() += count;
            }
            seen
        })
    }

    fn work(&self, cases: impl Iterator<Item = u64>, path: &Path) -> Seen {
        let mut seen = Seen::new();
        for case in cases {
            fs::write(path, self.bytes(case)).unwrap();
            let ended = catch_unwind(AssertUnwindSafe(|| self.outcome(path)));
            let outcome = ended.unwrap_or_else(|_| panic!("case {case} made the host panic"));
            assert!(!outcome.contains("the compiler failed"), "case {case} made the compiler panic");
            *seen.entry(outcome).or_default() += 1;
        }
        seen
    }

    /// The file of a case: made at random and changed ones in turn, then changed ones only.
    fn bytes(&self, case: u64) -> Vec<u8> {
        let mut random = Random(case);
        let is_made = case.is_multiple_of(2) && case < 2 * MADE;
        if is_made { self.made(&mut random) } else { self.changed(&mut random) }
    }

    /// A valid module that exports what a handler exports, with code that nobody would write.
    fn made(&self, random: &mut Random) -> Vec<u8> {
        let entropy: Vec<u8> = (0..4_096).map(|_| random.next() as u8).collect();
        let config = Config { exports: Some(wat::parse_str(HANDLER).unwrap()), ..config() };
        let mut module = Module::new(config, &mut arbitrary::Unstructured::new(&entropy)).unwrap().to_bytes();
        module.extend_from_slice(&self.metadata);
        module
    }

    /// A real plugin with some bytes changed, some left out, or its end cut off.
    fn changed(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.plugins[random.below(self.plugins.len())].clone();
        // Half of the changes go where names and types are: the beginning and the end.
        for _ in 0..=random.below(4) {
            let at = match random.below(4) {
                0 => random.below(2_048),
                1 => bytes.len() - 1 - random.below(2_048),
                _ => random.below(bytes.len()),
            };
            match random.below(8) {
                0 => drop(bytes.drain(at..bytes.len().min(at + 1 + random.below(16)))),
                1 => bytes.insert(at, random.next() as u8),
                2 => bytes[at] = [0x00, 0x7F, 0x80, 0xFF][random.below(4)],
                3 if random.below(4) == 0 => bytes.truncate(at.max(4_096)),
                _ => bytes[at] ^= 1 << random.below(8),
            }
        }
        bytes
    }

    /// What becomes of the plugin in a file.
    fn outcome(&self, path: &Path) -> String {
        let plugin = match Plugin::load(&self.engine, path, None) {
            Ok(plugin) => plugin,
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains(".wasm"), "an error that names no file: {said}");
                let kind = format!("{error:?}");
                let kind = kind.split([' ', '{', '(']).next().unwrap_or_default();
                let panicked = if said.contains("the compiler failed") { ", the compiler failed" } else { "" };
                return format!("refused: {kind}{panicked}");
            }
        };
        let mut instance = match plugin.instantiate(&self.setting, views()) {
            Ok(instance) => instance,
            Err(stopped) => return format!("not begun: {}", kind_of(&stopped.0)),
        };
        let (event, key) = (event(), Arc::from("k"));
        let answer = instance.call(Call { event: &event, key: &key, stream: "IN", sequence: Sequence(1) });
        match answer {
            Ok(_) => "ran: answered".to_owned(),
            Err(Failed { failure, .. }) => format!("ran: {}", kind_of(&failure)),
        }
    }
}

/// What a handler exports, as a core module.
const HANDLER: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "pelton:plugin/handler@0.1.0#handle") (param i32) (result i32) unreachable))"#;

/// What the modules are made of: all that is on in the host, and no imports, since what they import is decided by others.
fn config() -> Config {
    Config {
        max_imports: 0,
        min_funcs: 2,
        max_funcs: 20,
        max_instructions: 400,
        max_memories: 2,
        max_tables: 4,
        max_memory32_bytes: 8 << 20,
        max_memory64_bytes: 8 << 20,
        max_table_elements: 2_000,
        gc_enabled: false,
        // Of these the host takes functions only, which cannot be said here: the others are a part of garbage collection.
        reference_types_enabled: false,
        exceptions_enabled: false,
        threads_enabled: false,
        shared_everything_threads_enabled: false,
        wide_arithmetic_enabled: false,
        custom_page_sizes_enabled: false,
        memory64_enabled: false,
        ..Config::default()
    }
}

/// The sections of a plugin in which a toolchain says what world it is of.
fn metadata_of(plugin: &[u8]) -> Vec<u8> {
    let mut metadata = Vec::new();
    for payload in Parser::new(0).parse_all(plugin) {
        if let Payload::CustomSection(section) = payload.unwrap()
            && section.name().starts_with("component-type")
        {
            let name = section.name();
            let body = [&leb128(name.len())[..], name.as_bytes(), section.data()].concat();
            metadata.push(0);
            metadata.extend(leb128(body.len()));
            metadata.extend(body);
        }
    }
    assert!(!metadata.is_empty(), "the plugin says nothing of its world");
    metadata
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 128 {
        bytes.push((number % 128) as u8 | 128);
        number /= 128;
    }
    bytes.push(number as u8);
    bytes
}

fn kind_of(failure: &Failure) -> &'static str {
    match failure {
        Failure::Retry(_) => "retry",
        Failure::Reject(_) => "reject",
        Failure::Trap(_) => "trap",
        Failure::Limit(_) => "limit",
        Failure::Timeout(_) => "timeout",
        Failure::Violation(_) => "violation",
        Failure::Undecodable(_) => "undecodable",
        Failure::Refused(_) => "refused",
        Failure::Crash(_) => "crash",
        Failure::Interrupted(_) => "interrupted",
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// Views of the three real plugins, in a world where nothing was ever written.
fn views() -> Views {
    let views = ["last", "fold", "chain"].map(name).into();
    let grants = Grants { views, emits: BTreeMap::new(), many_lanes: false };
    let fetch = |_: &str, _: bool| Ok(Stored { value: None, revision: NEVER_WRITTEN });
    let (app, stream, created) = (name("corpus"), "IN".to_owned(), String::new());
    let (subjects, generation) = (Subjects::new(&app), Generation::default());
    let origin = Origin { subjects, module: app.clone(), app, stream, created, generation, ratio: Ratio::default() };
    Views::new(Arc::new(origin), Arc::new(grants), Arc::new(fetch), true, 1 << 20)
}

fn event() -> Event {
    let text = |text: &str| text.to_owned();
    Event {
        id: text("1"),
        source: text("corpus"),
        kind: text("t"),
        subject: None,
        time: text("2026-01-01T00:00:00Z"),
        content_type: text("application/json"),
        correlation: text("1"),
        causation: None,
        attributes: vec![(text("a"), text("b"))],
        data: b"{}".as_slice().into(),
    }
}

/// The bytes of memory that this process has.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// A generator (SplitMix64) whose numbers are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
