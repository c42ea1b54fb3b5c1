//! Reads a config file as written, then as meant; what does not fit is shown in its place.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::{Diagnostic, NamedSource, SourceSpan};
use serde::Deserialize;
use toml::Spanned;

use super::values::{self, From, Lanes};
use super::{Config, Input, Limits, Module, Nats, Stream};
use crate::effects::Grants;
use crate::route::{Filter, KeyExpr};
use crate::subject::{Name, Subjects};

/// Why a config file cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("cannot read {path}: {cause}")]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Bad(Box<Bad>),
}

/// What does not fit, and where.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{path}:{line}:{column}: {message}")]
pub struct Bad {
    path: String,
    line: usize,
    column: usize,
    message: String,
    #[source_code]
    text: NamedSource<String>,
    #[label("here")]
    at: SourceSpan,
}

/// The file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    app: Name,
    #[serde(default)]
    nats: NatsTable,
    #[serde(default)]
    stream: StreamTable,
    #[serde(default)]
    modules: BTreeMap<Name, Spanned<ModuleTable>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct NatsTable {
    url: Option<String>,
    creds: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct StreamTable {
    replicas: Option<Spanned<usize>>,
    batch: Option<Spanned<usize>>,
    #[serde(default, deserialize_with = "values::duration")]
    advance: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModuleTable {
    plugin: PathBuf,
    input: Spanned<InputTable>,
    #[serde(default)]
    key: KeyExpr,
    lanes: Option<Lanes>,
    #[serde(default)]
    from: From,
    #[serde(default)]
    views: Vec<Spanned<Name>>,
    #[serde(default)]
    emits: BTreeSet<Name>,
    #[serde(default)]
    config: BTreeMap<String, String>,
    attempts: Option<Spanned<u32>>,
    #[serde(default, deserialize_with = "values::duration")]
    deadline: Option<Duration>,
    #[serde(default, deserialize_with = "values::size")]
    memory: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputTable {
    stream: Option<String>,
    #[serde(default)]
    filter: Filters,
    events: Option<Name>,
}

#[derive(Deserialize, Default)]
#[serde(untagged, expecting = "a subject filter, or a list of them")]
enum Filters {
    #[default]
    All,
    One(Filter),
    Some(Vec<Filter>),
}

/// A finding, and where it is in the text.
struct Finding {
    at: Range<usize>,
    message: String,
}

impl Finding {
    fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// Reads the config file at `path`. Paths in it are relative to its folder.
pub fn load(path: &Path) -> Result<Config, Error> {
    let text = std::fs::read_to_string(path).map_err(|cause| Error::Unreadable { path: path.to_owned(), cause })?;
    parse(&text, path)
}

/// Parses `text`, the content of the file at `path`.
pub fn parse(text: &str, path: &Path) -> Result<Config, Error> {
    let file: File = toml::from_str(text)
        .map_err(|error| bad(text, path, &Finding::new(error.span().unwrap_or(0..0), error.message())))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    meant(file, folder).map_err(|finding| bad(text, path, &finding))
}

fn bad(text: &str, path: &Path, Finding { at, message }: &Finding) -> Error {
    let before = text.get(..at.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let path = path.display().to_string();
    Error::Bad(Box::new(Bad {
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        message: message.clone(),
        text: NamedSource::new(&path, text.to_owned()),
        at: (at.start, at.len()).into(),
        path,
    }))
}

fn meant(file: File, folder: &Path) -> Result<Config, Finding> {
    let File { app, nats, stream, modules } = file;
    let subjects = Subjects::new(&app);
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
    let modules = modules.into_iter().map(|(name, module)| module_of(name, module, folder, &subjects, &emitted));
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

fn module_of(
    name: Name,
    table: Spanned<ModuleTable>,
    folder: &Path,
    subjects: &Subjects,
    emitted: &BTreeSet<Name>,
) -> Result<Module, Finding> {
    let table = table.into_inner();
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
        plugin: folder.join(table.plugin),
        input: input_of(table.input, subjects, emitted)?,
        key: table.key,
        lanes,
        from: table.from,
        grants: Grants {
            views: table.views.into_iter().map(Spanned::into_inner).collect(),
            emits: table.emits,
            many_lanes: lanes != Lanes::ONE,
        },
        config: table.config,
        limits: Limits {
            attempts,
            deadline: table.deadline.unwrap_or(defaults.deadline),
            memory: table.memory.unwrap_or(defaults.memory),
        },
    })
}

fn input_of(table: Spanned<InputTable>, subjects: &Subjects, emitted: &BTreeSet<Name>) -> Result<Input, Finding> {
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
            if !emitted.contains(&category) {
                return Err(Finding::new(at, format!("no module emits the category \"{category}\"")));
            }
            let filter = Filter::try_from(subjects.events(&category)).map_err(|message| Finding::new(at, message))?;
            Ok(Input { stream: subjects.stream(), filters: vec![filter] })
        }
        InputTable { .. } => {
            let message = "an input is { stream = \"…\" } (with or without filter) or { events = \"…\" }";
            Err(Finding::new(at, message))
        }
    }
}

#[cfg(test)]
mod tests;
