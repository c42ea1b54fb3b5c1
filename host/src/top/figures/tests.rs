use time::macros::datetime;

use super::*;
use crate::lag::Lag;
use crate::metrics::{Counts, Fate, Histogram, Scale};
use crate::ownership::LaneSet;
use crate::status::Commits;

const SCALE: Scale = Scale { start: 1e-6, factor: 4.0, buckets: 12 };

fn name(name: &str) -> Name {
    name.parse().unwrap()
}

/// Figures of an app with these modules and one host.
pub fn figures(modules: Vec<Module>) -> Figures {
    let host = Host { host: host("box"), uptime_seconds: 7_300.0 };
    let app = App {
        name: name("shop"),
        time: "2026-01-31T12:03:44.5Z".to_owned(),
        hosts: vec![host],
        commits_per_second: Some(312.4),
        messages_per_commit: Some(24.2),
        commit_seconds: Some(Quantiles { p50: 0.0021, p99: 0.0048 }),
        waits_for: None,
    };
    Figures { app, modules }
}

/// A module that runs and has nothing to do.
pub fn idle(called: &str) -> Module {
    Module {
        module: name(called),
        hosts: 1,
        state: State::Running,
        reason: None,
        breaker_open: false,
        inputs_per_second: Some(0.0),
        effects_per_second: Some(0.0),
        lag: Some(0),
        lag_seconds: Some(0.0),
        waiting: 0,
        call_seconds: None,
        inputs: 0,
        events: 0,
        writes: 0,
        dead_letters: 0,
        causes: BTreeMap::new(),
        failures: 0,
        retries: 0,
        last_fault: None,
    }
}

fn host(id: &str) -> status::Host {
    status::Host { id: id.to_owned(), machine: "box".to_owned(), process: 4242, version: "0.1.0".to_owned() }
}

fn spread(values: &[f64]) -> Spread {
    let histogram = Histogram::new(SCALE);
    values.iter().for_each(|value| histogram.observe(*value));
    histogram.spread()
}

/// What the host `id` tells after so many seconds of the module `m`, which has done so many inputs.
fn report(id: &str, uptime: f64, phase: Phase, inputs: u64) -> Report {
    let calls = vec![2e-3; usize::try_from(inputs).unwrap()];
    let counts = Counts { inputs, events: inputs * 2, writes: inputs, lag: 7, lag_seconds: 1.5, ..Counts::default() };
    let module = ModuleReport {
        module: name("m"),
        phase,
        lanes: LaneSet::default(),
        counts,
        lag_is_known: true,
        dead_letters: BTreeMap::from([(CauseKind::Trap, 2)]),
        calls: spread(&calls),
        last_fault: None,
    };
    let commits = Commits {
        outcomes: BTreeMap::from([("committed".to_owned(), inputs / 10)]),
        messages: spread(&vec![4.0; usize::try_from(inputs / 10).unwrap()]),
        seconds: spread(&[]),
    };
    Report { host: host(id), uptime, modules: vec![module], commits, refusal: None }
}

fn seen(reports: Vec<Report>) -> Seen {
    let known = BTreeMap::from([(name("m"), Some(record::State::Running))]);
    Seen { time: datetime!(2026-01-31 12:03:44 UTC), reports, known, lags: BTreeMap::new() }
}

fn of(earlier: Option<&Seen>, later: &Seen) -> (App, Module) {
    let Figures { app, mut modules } = Figures::of(&name("shop"), earlier, later);
    assert_eq!(modules.len(), 1);
    (app, modules.pop().unwrap())
}

#[test]
fn rates_are_by_the_time_that_passed_on_the_host() {
    let earlier = seen(vec![report("a", 10.0, Phase::Running, 100)]);
    let later = seen(vec![report("a", 12.0, Phase::Running, 300)]);
    let (app, module) = of(Some(&earlier), &later);
    assert_eq!((module.inputs_per_second, module.effects_per_second), (Some(100.0), Some(300.0)));
    assert_eq!((app.commits_per_second, app.messages_per_commit), (Some(10.0), Some(4.0)));
    assert_eq!((app.hosts.len(), app.commit_seconds, module.inputs), (1, None, 300));
    let calls = module.call_seconds.unwrap();
    assert!(calls.p50 > 1.4e-3 && calls.p99 < 2.9e-3, "{calls:?}");
}

#[test]
fn a_first_look_and_a_host_that_started_anew_have_no_rates() {
    let later = seen(vec![report("a", 12.0, Phase::Running, 300)]);
    let before = seen(vec![report("before", 900.0, Phase::Running, 9_000)]);
    for earlier in [None, Some(&before), Some(&later)] {
        let (app, module) = of(earlier, &later);
        assert_eq!((module.inputs_per_second, app.commits_per_second), (None, None));
        assert_eq!((module.call_seconds, app.messages_per_commit, module.inputs), (None, None, 300));
    }
}

#[test]
fn hosts_add_up() {
    let both = |at, one, other| {
        seen(vec![report("a", at, Phase::Running, one), report("b", at + 5.0, Phase::Starting, other)])
    };
    let (app, module) = of(Some(&both(1.0, 10, 100)), &both(2.0, 20, 130));
    assert_eq!((module.inputs_per_second, module.inputs, app.hosts.len()), (Some(40.0), 150, 2));
    assert_eq!(module.hosts, 2);
    assert_eq!((module.state, module.lag, module.causes[&CauseKind::Trap]), (State::Running, Some(7), 4));
    let (_, one_new) = of(Some(&seen(vec![report("a", 1.0, Phase::Running, 10)])), &both(2.0, 20, 130));
    assert_eq!(one_new.inputs_per_second, Some(10.0), "what a host did before the first look is not known");
}

#[test]
fn a_state_is_the_hosts_word_and_else_the_records() {
    use Phase::{Differs, Halted, Paused, Running, Starting};
    let other = || Differs("its plugin is another".to_owned());
    let why = || "it broke".to_owned();
    let cases: [(Vec<Phase>, Option<record::State>, State, &str); 12] = [
        (vec![Running], None, State::Running, ""),
        (vec![other(), Running], None, State::Running, ""),
        (vec![Running, Halted(why())], None, State::Halted, "it broke"),
        (vec![Starting], Some(record::State::Halted(why())), State::Starting, ""),
        (vec![Starting, Running], None, State::Running, ""),
        (vec![Paused], None, State::Paused, ""),
        (vec![other()], Some(record::State::Running), State::Differs, "its plugin is another"),
        (vec![], Some(record::State::Running), State::NotRunning, ""),
        (vec![], Some(record::State::Paused), State::Paused, ""),
        (vec![], Some(record::State::Halted(why())), State::Halted, "it broke"),
        (vec![], None, State::NotRunning, "it never ran"),
        (vec![other(), other()], None, State::Differs, "its plugin is another"),
    ];
    for (phases, recorded, state, reason) in cases {
        let shown = format!("{phases:?} {recorded:?}");
        let each = phases.into_iter().enumerate().map(|(id, phase)| report(&id.to_string(), 1.0, phase, 0));
        let seen = Seen { known: BTreeMap::from([(name("m"), recorded)]), ..seen(each.collect()) };
        let (_, module) = of(None, &seen);
        assert_eq!((module.state, module.reason.as_deref().unwrap_or_default()), (state, reason), "{shown}");
    }
}

#[test]
fn an_open_breaker_is_the_reason_of_a_module_that_runs() {
    let mut told = report("a", 1.0, Phase::Running, 0);
    told.modules.first_mut().unwrap().counts.breaker_open = true;
    let (_, module) = of(None, &seen(vec![told]));
    assert_eq!((module.state, module.breaker_open), (State::Running, true));
    assert!(module.reason.unwrap().contains("its inputs fail in a row"));
}

#[test]
fn a_lag_that_no_host_measured_is_the_one_that_was_read() {
    let mut told = report("a", 1.0, Phase::Running, 0);
    told.modules.first_mut().unwrap().lag_is_known = false;
    let lag = Lag { module: name("m"), state: None, messages: Some(3), seconds: Some(9.0) };
    let read = |reports| Seen { lags: BTreeMap::from([(name("m"), lag.clone())]), ..seen(reports) };
    for (reports, expected) in [
        (vec![report("a", 1.0, Phase::Running, 0)], (Some(7), Some(1.5))),
        (vec![told], (Some(3), Some(9.0))),
        (vec![], (Some(3), Some(9.0))),
    ] {
        let (_, module) = of(None, &read(reports));
        assert_eq!((module.lag, module.lag_seconds), expected);
    }
}

#[test]
fn what_the_committer_waits_for_and_the_newest_fault_are_shown() {
    let fault = |time: &str| Fault {
        time: time.to_owned(),
        lane: 0,
        sequence: None,
        kind: CauseKind::Trap,
        message: "unreachable".to_owned(),
        fate: Fate::Again,
    };
    let (mut one, mut other) = (report("a", 1.0, Phase::Running, 0), report("b", 1.0, Phase::Running, 0));
    one.modules.first_mut().unwrap().last_fault = Some(fault("2026-01-31T12:00:01Z"));
    other.modules.first_mut().unwrap().last_fault = Some(fault("2026-01-31T12:00:00Z"));
    other.refusal = Some("insufficient storage".to_owned());
    let (app, module) = of(None, &seen(vec![one, other]));
    assert_eq!(app.waits_for.as_deref(), Some("insufficient storage"));
    assert_eq!(module.last_fault.unwrap().time, "2026-01-31T12:00:01Z");
}
