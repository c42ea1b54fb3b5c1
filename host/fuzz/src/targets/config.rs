//! Config files: what is refused is shown in its place, what is accepted lies within the bounds that everything trusts.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use pelton::config::{
    Config, Error, LARGEST_MEMORY, LARGEST_STACK, Limits, MOST_INSTANCES, MOST_TABLES, Module, parse,
};
use pelton::route::Filter;
use pelton::subject::Name;

const PATH: &str = "conf/pelton.toml";

/// Any text is a config or an error in one place of it.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse(text, Path::new(PATH)) {
        Ok(config) => is_within_bounds(&config),
        Err(error) => shows_its_place(text, &error),
    }
}

/// Line and column are where the label is, the label lies in the text, and the report can be drawn.
fn shows_its_place(text: &str, error: &Error) {
    let said = error.to_string();
    let mut parts = said.splitn(4, ':');
    let (path, line, column) = (parts.next(), number(parts.next()), number(parts.next()));
    assert!(path == Some(PATH) && parts.next().is_some_and(|message| message.len() > 1), "{said}");
    let label = error.labels().and_then(|mut labels| labels.next());
    let (start, length) = label.map(|label| (label.offset(), label.len())).unwrap_or_default();
    let before = text.get(..start);
    assert!(before.is_some() && text.get(start..start + length).is_some(), "{start}, {length}: {said}");
    let lines: Vec<&str> = before.unwrap_or_default().split('\n').collect();
    let place = (lines.len(), lines.last().map_or(0, |line| line.chars().count()) + 1);
    assert_eq!((line, column), place, "{said}");
    let mut report = String::new();
    let drawn = GraphicalReportHandler::new_themed(GraphicalTheme::none()).render_report(&mut report, error);
    assert!(drawn.is_ok() && !report.is_empty(), "{said}");
}

fn number(text: Option<&str>) -> usize {
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn is_within_bounds(config: &Config) {
    let stream = config.stream;
    is_in(&stream.replicas, 1..=5);
    is_in(&stream.batch, 2..=50_000);
    assert!(!stream.advance.is_zero());
    assert!(!config.nats.servers.is_empty());
    is_name(&config.app);
    assert!(config.modules.is_sorted_by(|one, other| one.name < other.name), "{:?}", config.modules);
    let views: Vec<&Name> = config.modules.iter().flat_map(|module| &module.grants.views).collect();
    assert_eq!(views.iter().collect::<BTreeSet<_>>().len(), views.len(), "a view has one owner");
    for module in &config.modules {
        module_is_within_bounds(module);
    }
}

fn module_is_within_bounds(module: &Module) {
    let Module { name, plugin, input, lanes, grants, attempts, breaker, dedupe, digest, limits, .. } = module;
    [name].into_iter().chain(&grants.views).chain(grants.emits.keys()).for_each(is_name);
    assert!(plugin.is_absolute() || plugin.starts_with("conf"), "{plugin:?}");
    is_in(&lanes.get(), 1..=256);
    assert_eq!(grants.many_lanes, lanes.get() > 1);
    assert!(!grants.emits.values().any(|kept| kept.is_some_and(|kept| kept.is_zero())));
    is_in(attempts, 1..=1_000);
    is_in(&breaker.failures, 0..=1_000_000);
    is_in(&breaker.pause, Duration::from_millis(100)..=Duration::from_secs(3_600));
    is_in(&dedupe.unwrap_or(Duration::from_millis(1)), Duration::from_millis(1)..=Duration::from_secs(7 * 24 * 3_600));
    assert!(digest.as_ref().is_none_or(|digest| digest.len() == "sha256:".len() + 64 && digest.is_ascii()));
    limits_are_within_bounds(limits);
    assert!(!input.stream.is_empty() && !input.stream.contains(['.', '*', '>', ' ', '\r', '\n', '\t']), "{input:?}");
    assert!(input.filters.iter().all(|filter| Filter::try_from(filter.as_str().to_owned()).is_ok()), "{input:?}");
}

fn limits_are_within_bounds(limits: &Limits) {
    const LEAST: usize = 4 << 10;
    is_in(&limits.deadline, Duration::from_millis(10)..=Duration::from_secs(600));
    is_in(&limits.memory, LEAST..=LARGEST_MEMORY);
    is_in(&limits.tables, 0..=MOST_TABLES);
    is_in(&limits.instances, 1..=MOST_INSTANCES);
    is_in(&limits.stack, LEAST..=LARGEST_STACK);
    is_in(&limits.host_call, LEAST..=LARGEST_MEMORY);
    is_in(&limits.handles, 0..=100_000);
    is_in(&limits.reads, 0..=1_000_000);
    is_in(&limits.log_lines, 0..=1_000_000);
    is_in(&limits.log_bytes, LEAST..=1 << 30);
    is_in(&limits.effects, 0..=50_000);
    is_in(&limits.effects_bytes, LEAST..=64 << 20);
}

fn is_name(name: &Name) {
    assert!(name.as_str().parse::<Name>().is_ok_and(|again| again == *name), "{name}");
}

fn is_in<T: PartialOrd + Debug>(value: &T, range: RangeInclusive<T>) {
    assert!(range.contains(value), "{value:?} is not in {range:?}");
}
