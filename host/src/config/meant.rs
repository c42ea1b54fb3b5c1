//! What a config file means: cross-checks, defaults, and the types that everything else trusts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use super::values::Lanes;
use super::written::{File, Filters, InputTable, ModuleTable, NatsTable, Retention, StreamTable};
use super::{Config, Input, Limits, Module, Nats, Stream};
use crate::effects::Grants;
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

/// What `file`, which stands in `folder`, means.
pub fn meant(file: File, folder: &Path) -> Result<Config, Finding> {
    let File { app, nats, stream, retention, modules } = file;
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
        nats: nats_of(nats, folder),
        stream: stream_of(&stream)?,
        modules: modules.collect::<Result<_, _>>()?,
        app,
    })
}

fn nats_of(table: NatsTable, folder: &Path) -> Nats {
    let from_environment = || std::env::var("NATS_URL").ok();
    let url = table.url.or_else(from_environment).unwrap_or_else(|| "nats://127.0.0.1:4222".to_owned());
    Nats { url, creds: table.creds.map(|creds| folder.join(creds)) }
}

fn stream_of(table: &StreamTable) -> Result<Stream, Finding> {
    let within = |value: &Option<Spanned<usize>>, default, range: std::ops::RangeInclusive<usize>, what: &str| {
        let Some(value) = value else { return Ok(default) };
        if range.contains(value.as_ref()) {
            return Ok(*value.as_ref());
        }
        let message = format!("{what} goes from {} to {}", range.start(), range.end());
        Err(Finding::new(value.span(), message))
    };
    Ok(Stream {
        replicas: within(&table.replicas, 1, 1..=5, "replicas")?,
        batch: within(&table.batch, 1_000, 2..=50_000, "batch")?,
        advance: table.advance.unwrap_or(Duration::from_secs(1)),
    })
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
        let defaults = Limits::default();
        let attempts = match table.attempts {
            Some(attempts) if *attempts.as_ref() == 0 => {
                return Err(Finding::new(attempts.span(), "attempts count from 1"));
            }
            Some(attempts) => attempts.into_inner(),
            None => defaults.attempts,
        };
        Ok(Module {
            name,
            plugin: self.folder.join(table.plugin),
            input: self.input(table.input)?,
            key: table.key,
            lanes,
            from: table.from,
            grants: Grants {
                views: table.views.into_iter().map(Spanned::into_inner).collect(),
                emits: table.emits.into_iter().map(|category| self.kept(category)).collect(),
                many_lanes: lanes != Lanes::ONE,
            },
            config: table.config,
            limits: Limits {
                attempts,
                deadline: table.deadline.unwrap_or(defaults.deadline),
                memory: table.memory.unwrap_or(defaults.memory),
                ..defaults
            },
        })
    }

    /// A category, and how long its events are kept.
    fn kept(&self, category: Name) -> (Name, Option<Duration>) {
        let kept = self.retention.get(&category).and_then(|retention| retention.as_ref().0);
        (category, kept)
    }

    fn input(&self, table: Spanned<InputTable>) -> Result<Input, Finding> {
        let at = table.span();
        match table.into_inner() {
            InputTable { stream: Some(stream), filter, events: None } => {
                let fits = !stream.is_empty() && !stream.contains(|c: char| c.is_whitespace() || ".*>/\\".contains(c));
                if !fits {
                    return Err(Finding::new(
                        at,
                        format!("{stream:?} is no stream name: no spaces, dots, slashes, * or >"),
                    ));
                }
                let filters = match filter {
                    Filters::All => Vec::new(),
                    Filters::One(filter) => vec![filter],
                    Filters::Some(filters) => filters,
                };
                Ok(Input { stream, filters })
            }
            InputTable { stream: None, filter: Filters::All, events: Some(category) } => {
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
