use super::*;
use crate::commit::record::State;
use crate::event::Sequence;
use crate::ownership::Edition;
use crate::route::{HASH_VERSION, KeyExpr};
use crate::subject::Generation;

const CREATED: &str = "2026-01-01T00:00:00Z";

fn name() -> Name {
    "totals".parse().unwrap()
}

fn checkpoint(covered: u64) -> Checkpoint {
    let at = crate::event::Mark { sequence: Sequence(covered), fingerprint: None };
    Checkpoint::start("ORDERS", CREATED, at)
}

fn monitored(name: &str, used: u64) -> Monitored {
    let storage = Storage { used, limit: Some(100) };
    Monitored { server: name.to_owned(), sync: Sync::Always, storage }
}

fn well() -> Facts {
    let record = Record {
        format: 1,
        module: name(),
        stream: "ORDERS".to_owned(),
        filters: Vec::new(),
        key: KeyExpr::Subject,
        hash: HASH_VERSION,
        lanes: 2,
        scaled: Vec::new(),
        views: Vec::new(),
        edition: Edition { plugin: "sha256:1".to_owned(), settings: String::new() },
        generation: Generation::default(),
        state: State::Running,
    };
    let module = Module {
        stream: "ORDERS".to_owned(),
        ran: Ok(Some((record, vec![checkpoint(7), checkpoint(9)]))),
        changed: None,
        behind: (Some(2), Some(0.5)),
        hosts: Some(1),
    };
    let input = Input {
        created: CREATED.to_owned(),
        holds: (1, 9),
        in_files: true,
        replicas: 3,
        most_messages: Some(100),
        longest: Some(Duration::from_secs(60)),
        limits_bytes: false,
        refuses: false,
        overlaps: None,
    };
    Facts {
        server: Server {
            version: "2.15.1".to_owned(),
            fits: true,
            jetstream: Ok(Storage { used: 10, limit: Some(1_000) }),
            sync: Some(Sync::Always),
            monitored: ["n1", "n2", "n3"].map(|name| (format!("http://{name}:8222/"), Ok(monitored(name, 10)))).into(),
            ahead: Some(-0.1),
        },
        app_stream: Some(AppStream {
            setting: Ok(()),
            replicas: 3,
            bytes: 5 << 20,
            messages: 100,
            age: Duration::from_secs(86_400),
            may_publish: Ok(()),
            kept_for_ever: vec!["alerts".parse().unwrap()],
        }),
        witness: Ok(()),
        plugins: [(name(), Ok(()))].into(),
        inputs: [("ORDERS".to_owned(), Ok(input))].into(),
        modules: [(name(), module)].into(),
        left: Vec::new(),
        unlisted: Vec::new(),
        dead_letters: [(name(), 0)].into(),
    }
}

fn module(facts: &mut Facts) -> &mut Module {
    facts.modules.get_mut(&name()).unwrap()
}

fn input(facts: &mut Facts) -> &mut Input {
    facts.inputs.get_mut("ORDERS").unwrap().as_mut().unwrap()
}

fn stream(facts: &mut Facts) -> &mut AppStream {
    facts.app_stream.as_mut().unwrap()
}

fn ran(facts: &mut Facts) -> &mut (Record, Vec<Checkpoint>) {
    module(facts).ran.as_mut().unwrap().as_mut().unwrap()
}

fn state(facts: &mut Facts, state: State) {
    ran(facts).0.state = state;
}

#[test]
fn an_app_that_is_well_has_only_good_findings() {
    let found = findings(&well());
    assert!(found.iter().all(|finding| finding.level == Level::Ok && finding.mend.is_none()), "{found:#?}");
    let seen: Vec<_> = found.iter().map(|finding| (finding.what.as_str(), finding.seen.as_str())).collect();
    for expected in [
        ("server", "nats-server 2.15.1"),
        ("jetstream", "10 B of 1000 B stored"),
        ("durability", "a commit is stored by 2 of 3 servers, on disk"),
        ("clock", "the server's is 0.1 s behind this machine's"),
        (
            "growth",
            "100 messages, 5.0 MiB, 5.0 MiB a day; kept for ever: alerts ([retention] in the config limits that)",
        ),
        ("stream ORDERS", "it keeps 100 messages and 60s; it holds 1 to 9"),
        ("module totals", "runs, 2 inputs behind"),
    ] {
        assert!(seen.contains(&expected), "{expected:?}: {seen:#?}");
    }
}

/// How facts are spoilt, and what is found then.
type Case = (fn(&mut Facts), Level, &'static str, &'static str, &'static str);

#[test]
fn what_is_wrong_is_named_with_what_mends_it() {
    let cases: [Case; 31] = [
        (
            |f| f.server.monitored.retain(|address, _| address.contains("n1")),
            Level::Warn,
            "durability",
            "unknown",
            "--monitor",
        ),
        (
            |f| *f.server.monitored.get_mut("http://n1:8222/").unwrap() = Ok(monitored("n1", 96)),
            Level::Error,
            "storage of n1",
            "96 B of 100 B",
            "max_file_store",
        ),
        (
            |f| drop(f.server.monitored.insert("http://n4:8222/".to_owned(), Err("refused".to_owned()))),
            Level::Error,
            "server at http://n4:8222/",
            "refused",
            "http_port",
        ),
        (|f| input(f).replicas = 1, Level::Warn, "stream ORDERS", "by 1 of the servers", "--replicas 3"),
        (|f| f.unlisted.push("no list".to_owned()), Level::Error, "app stream", "no list", "stream info"),
        (|f| module(f).ran = Err("not JSON".to_owned()), Level::Error, "module totals", "not JSON", "backup"),
        (|f| f.server.fits = false, Level::Error, "server", "too old", "install nats-server 2.14.4"),
        (|f| f.server.jetstream = Err("off".to_owned()), Level::Error, "jetstream", "off", "enable jetstream"),
        (
            |f| f.server.jetstream = Ok(Storage { used: 80, limit: Some(100) }),
            Level::Warn,
            "jetstream",
            "80 B of",
            "raise",
        ),
        (
            |f| f.server.jetstream = Ok(Storage { used: 95, limit: Some(100) }),
            Level::Error,
            "jetstream",
            "95 B of",
            "raise",
        ),
        (|f| f.server.ahead = Some(7.0), Level::Warn, "clock", "7.0 s ahead of", "time service"),
        (|f| f.server.sync = None, Level::Warn, "durability", "unknown", "sync_interval"),
        (
            |f| (f.server.sync, stream(f).replicas) = (Some(Sync::Every(Duration::from_secs(120))), 1),
            Level::Warn,
            "durability",
            "1 of 1 servers, on disk within 120s",
            "sync_interval: always",
        ),
        (|f| f.app_stream = None, Level::Warn, "app stream", "none yet", "pelton run"),
        (
            |f| f.witness = Err("it was rolled back".to_owned()),
            Level::Error,
            "app stream",
            "rolled back",
            "nats stream",
        ),
        (|f| stream(f).setting = Err("max_age is 1s".to_owned()), Level::Error, "app stream", "max_age", "stream edit"),
        (|f| stream(f).may_publish = Err("denied".to_owned()), Level::Error, "permissions", "denied", "--role host"),
        (
            |f| *f.plugins.get_mut(&name()).unwrap() = Err("no wasm".to_owned()),
            Level::Error,
            "plugin of totals",
            "no wasm",
            "validate",
        ),
        (
            |f| *f.inputs.get_mut("ORDERS").unwrap() = Err("not found".to_owned()),
            Level::Error,
            "stream ORDERS",
            "not found",
            "stream info ORDERS",
        ),
        (
            |f| input(f).overlaps = Some("pelton.>".to_owned()),
            Level::Error,
            "stream ORDERS",
            "pelton.> overlaps",
            "--subjects",
        ),
        (|f| input(f).in_files = false, Level::Warn, "stream ORDERS", "memory", "file storage"),
        (|f| input(f).refuses = true, Level::Warn, "stream ORDERS", "discard new", "--discard old"),
        (|f| module(f).hosts = Some(0), Level::Warn, "module totals", "no host runs it", "pelton run"),
        (|f| state(f, State::Paused), Level::Warn, "module totals", "paused", "pelton module resume totals"),
        (|f| state(f, State::Halted("no more".to_owned())), Level::Error, "module totals", "no more", "resume totals"),
        (
            |f| module(f).changed = Some("its key changed".to_owned()),
            Level::Error,
            "module totals",
            "key",
            "set it back",
        ),
        (|f| ran(f).1.truncate(1), Level::Error, "module totals", "1 of its 2 lanes", "backup"),
        (
            |f| input(f).created = "2026-02-02T00:00:00Z".to_owned(),
            Level::Error,
            "module totals",
            "stream made 2026-01-01",
            "restore",
        ),
        (|f| input(f).holds = (1, 8), Level::Error, "module totals", "at 9, but stream ORDERS ends at 8", "restore"),
        (
            |f| input(f).holds = (9, 9),
            Level::Error,
            "module totals",
            "at 7, but stream ORDERS begins at 9",
            "raise the limits",
        ),
        (|f| module(f).behind = (Some(51), None), Level::Warn, "module totals", "outrun", "raise the limits"),
    ];
    for (spoil, level, what, seen, mend) in cases {
        let mut facts = well();
        spoil(&mut facts);
        let found = findings(&facts);
        let bad: Vec<_> = found.iter().filter(|finding| finding.level != Level::Ok).collect();
        let [finding] = bad.as_slice() else { panic!("{seen}: {found:#?}") };
        assert_eq!((finding.level, finding.what.as_str()), (level, what), "{finding:?}");
        assert!(finding.seen.contains(seen), "{seen}: {finding:?}");
        assert!(finding.mend.as_ref().is_some_and(|text| text.contains(mend)), "{mend}: {finding:?}");
    }
}

#[test]
fn what_waits_or_is_left_over_is_said_too() {
    let mut facts = well();
    facts.dead_letters = [(name(), 3)].into();
    facts.left = vec!["old".parse().unwrap()];
    module(&mut facts).ran = Ok(None);
    module(&mut facts).behind = (None, Some(31.0));
    let found = findings(&facts);
    let seen: Vec<_> = found.iter().filter(|one| one.level == Level::Warn).map(|one| one.seen.as_str()).collect();
    assert!(seen.contains(&"3 dead letters wait") && seen.contains(&"it never ran"), "{seen:?}");
    assert!(found.iter().any(|one| one.what == "module old"), "{found:?}");
}
