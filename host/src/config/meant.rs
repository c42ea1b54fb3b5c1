//! What a config file means: cross-checks, defaults, and the types that everything else trusts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use super::streams::{self, is_stream_name, not_a_name};
use super::values::{Lanes, Period};
use super::written::{BreakerTable, DedupeTable, File, Filters, InputTable, ModuleTable, Retention, StreamTable};
use super::{Config, Input, Module, Stream, nats, traces};
use crate::effects::Grants;
use crate::ownership::Rhythm;
use crate::policy::breaker;
use crate::route::Filter;
use crate::subject::{Name, Subjects};

/// A finding, and where it is in the text.
pub struct Finding {
    pub at: Range<usize>,
    pub message: String,
}

impl Finding {
    pub fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// What `file`, which stands at `path`, means.
pub fn meant(file: File, path: &Path) -> Result<Config, Finding> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let File { app, nats, stream, hosts, http, traces, streams, retention, modules } = file;
    let mut owners = BTreeMap::new();
    for (name, module) in &modules {
        for view in &module.as_ref().views {
            if let Some(owner) = owners.insert(view.as_ref().clone(), name) {
                let message =
                    format!("view \"{}\" is owned by module \"{owner}\": a view has one owner", view.as_ref());
                return Err(Finding::new(view.span(), message));
            }
        }
    }
    let emitted: BTreeSet<Name> = modules.values().flat_map(|module| module.as_ref().emits.iter().cloned()).collect();
    if let Some((category, kept)) = retention.iter().find(|(category, _)| !emitted.contains(*category)) {
        return Err(Finding::new(kept.span(), format!("no module emits the category \"{category}\"")));
    }
    let context = Context { folder, subjects: Subjects::new(&app), emitted, retention };
    let modules = modules.into_iter().map(|(name, table)| context.module(name, table.into_inner()));
    Ok(Config {
        file: path.to_owned(),
        nats: nats::meant(nats, folder, |name| std::env::var(name).ok())?,
        stream: stream_of(stream)?,
        hosts: Rhythm { ttl: within(hosts.ttl, TTL, Period(TTL_LEAST)..=Period(TTL_MOST), "ttl")?.0 },
        streams: streams::meant(streams, &Subjects::new(&app))?,
        http: http.meant(folder)?,
        traces: traces::meant(traces, folder, app.as_str(), |name| std::env::var(name).ok())?,
        modules: modules.collect::<Result<_, _>>()?,
        app,
    })
}

/// How long a heartbeat counts: longer than the server takes to elect a leader.
const TTL: Period = Period(Duration::from_secs(10));
const TTL_LEAST: Duration = Duration::from_secs(1);
const TTL_MOST: Duration = Duration::from_secs(3_600);

fn stream_of(table: StreamTable) -> Result<Stream, Finding> {
    Ok(Stream {
        replicas: within(table.replicas, 1, 1..=5, "replicas")?,
        batch: within(table.batch, 1_000, 2..=50_000, "batch")?,
        advance: table.advance.map_or(Duration::from_secs(1), |advance| advance.0),
    })
}

/// What is written, if it lies in `range`; `default` if nothing is.
pub fn within<T: PartialOrd + Display + Copy>(
    written: Option<Spanned<T>>,
    default: T,
    range: RangeInclusive<T>,
    what: &str,
) -> Result<T, Finding> {
    let Some(written) = written else { return Ok(default) };
    if range.contains(written.as_ref()) {
        return Ok(*written.as_ref());
    }
    let message = format!("{what} goes from {} to {}", range.start(), range.end());
    Err(Finding::new(written.span(), message))
}

/// What a module's table is understood by.
struct Context<'a> {
    folder: &'a Path,
    subjects: Subjects,
    /// The categories that some module emits.
    emitted: BTreeSet<Name>,
    retention: BTreeMap<Name, Spanned<Retention>>,
}

impl Context<'_> {
    fn module(&self, name: Name, table: ModuleTable) -> Result<Module, Finding> {
        let lanes = table.lanes.unwrap_or(Lanes::ONE);
        Ok(Module {
            name,
            plugin: self.folder.join(table.plugin),
            build: table.build,
            input: self.input(table.input)?,
            key: table.key,
            lanes,
            hosts: table.hosts,
            from: table.from,
            grants: Grants {
                views: table.views.into_iter().map(Spanned::into_inner).collect(),
                emits: table.emits.into_iter().map(|category| self.kept(category)).collect(),
                many_lanes: lanes != Lanes::ONE,
            },
            config: table.config.into_iter().map(|(name, setting)| (name, setting.0)).collect(),
            attempts: within(table.attempts, ATTEMPTS, 1..=1_000, "attempts")?,
            on_failure: table.on_failure,
            on_gap: table.on_gap,
            breaker: breaker_of(table.breaker)?,
            dedupe: table.dedupe.map(window_of).transpose()?,
            digest: table.digest.map(digest_of).transpose()?,
            fresh: table.fresh,
            limits: table.limits.meant()?,
        })
    }

    /// A category, and how long its events are kept.
    fn kept(&self, category: Name) -> (Name, Option<Duration>) {
        let kept = self.retention.get(&category).map(|retention| retention.as_ref().0);
        (category, kept)
    }

    fn input(&self, table: Spanned<InputTable>) -> Result<Input, Finding> {
        let at = table.span();
        match table.into_inner() {
            InputTable { stream: Some(stream), filter, events: None } => {
                if !is_stream_name(&stream) {
                    return Err(Finding::new(at, not_a_name(&stream)));
                }
                Ok(Input { stream, filters: filter.map(filters_of).transpose()?.unwrap_or_default() })
            }
            InputTable { stream: None, filter: None, events: Some(category) } => {
                if !self.emitted.contains(&category) {
                    return Err(Finding::new(at, format!("no module emits the category \"{category}\"")));
                }
                let filter =
                    Filter::try_from(self.subjects.events(&category)).map_err(|message| Finding::new(at, message))?;
                Ok(Input { stream: self.subjects.stream(), filters: vec![filter] })
            }
            InputTable { .. } => {
                let message = "an input is { stream = \"…\" } (with or without filter) or { events = \"…\" }";
                Err(Finding::new(at, message))
            }
        }
    }
}

fn filters_of(written: Spanned<Filters>) -> Result<Vec<Filter>, Finding> {
    let at = written.span();
    let filters = match written.into_inner() {
        Filters::One(filter) => vec![filter],
        Filters::Some(filters) => filters,
    };
    streams::apart(&filters).map_err(|message| Finding::new(at, message))?;
    Ok(filters)
}

/// Tries of an input whose plugin asks for another.
const ATTEMPTS: u32 = 5;

fn breaker_of(table: BreakerTable) -> Result<breaker::Setting, Finding> {
    let default = breaker::Setting::default();
    let pause = Period(Duration::from_millis(100))..=Period(Duration::from_secs(3_600));
    Ok(breaker::Setting {
        failures: within(table.failures, default.failures, 0..=1_000_000, "failures")?,
        pause: within(table.pause, Period(default.pause), pause, "a pause")?.0,
    })
}

fn window_of(table: DedupeTable) -> Result<Duration, Finding> {
    let range = Period(Duration::from_millis(1))..=Period(Duration::from_secs(7 * 24 * 3_600));
    Ok(within(Some(table.window), Period(Duration::ZERO), range, "a window")?.0)
}

fn digest_of(written: Spanned<String>) -> Result<String, Finding> {
    let hex = written.as_ref().strip_prefix("sha256:").unwrap_or_default();
    if hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(written.into_inner());
    }
    let message = "a digest is \"sha256:\" and 64 hex digits, as `pelton inspect` prints it";
    Err(Finding::new(written.span(), message))
}
