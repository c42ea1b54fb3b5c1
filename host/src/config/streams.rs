//! The tables `streams` as written, and what they mean: the input streams that an app declares.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::meant::{Finding, within};
use super::values::Period;
use super::{Config, Module};
use crate::route::Filter;
use crate::source::streams::{Source, Wanted};
use crate::subject::Subjects;

/// One of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamsTable {
    #[serde(default)]
    subjects: Vec<Filter>,
    #[serde(default)]
    sources: Vec<SourceForm>,
    replicas: Option<Spanned<usize>>,
    max_age: Option<Period>,
}

/// A stream to copy, as written.
#[derive(Deserialize)]
#[serde(untagged)]
enum SourceForm {
    /// All of it.
    All(String),
    /// What passes a filter.
    Some(SourceTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    stream: String,
    filter: Filter,
}

impl SourceForm {
    fn meant(self) -> Source {
        match self {
            Self::All(stream) => Source { stream, filter: None },
            Self::Some(SourceTable { stream, filter }) => Source { stream, filter: Some(filter.as_str().to_owned()) },
        }
    }
}

/// What the tables mean.
pub fn meant(tables: BTreeMap<String, Spanned<StreamsTable>>, subjects: &Subjects) -> Result<Vec<Wanted>, Finding> {
    let streams = tables.into_iter().map(|(name, table)| {
        let (at, table) = (table.span(), table.into_inner());
        if !is_stream_name(&name) {
            return Err(Finding::new(at, not_a_name(&name)));
        }
        if name == subjects.stream() {
            return Err(Finding::new(at, "the app stream is Pelton's: it is made and verified by itself"));
        }
        if table.subjects.is_empty() && table.sources.is_empty() {
            let message = "a stream stores the messages on its subjects, or those of its sources: name some";
            return Err(Finding::new(at, message));
        }
        let sources: Vec<Source> = table.sources.into_iter().map(SourceForm::meant).collect();
        if let Some(bad) = sources.iter().find(|source| source.stream == name || !is_stream_name(&source.stream)) {
            let message =
                if bad.stream == name { "a stream cannot copy itself".to_owned() } else { not_a_name(&bad.stream) };
            return Err(Finding::new(at, message));
        }
        Ok(Wanted {
            name,
            subjects: Filter::texts(&table.subjects),
            sources,
            replicas: within(table.replicas, 1, 1..=5, "replicas")?,
            max_age: table.max_age.map(|age| age.0),
        })
    });
    streams.collect()
}

/// Whether the server takes `name` for a stream.
pub fn is_stream_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || ".*>/\\".contains(c))
}

/// Why it does not.
pub fn not_a_name(name: &str) -> String {
    format!("{name:?} is no stream name: no spaces, dots, slashes, * or >")
}

impl Config {
    /// The input streams that modules read and nobody declares, with the subjects that they read from them.
    pub fn undeclared_streams(&self) -> impl Iterator<Item = Wanted> {
        let app_stream = Subjects::new(&self.app).stream();
        let is_known = move |name: &String| *name == app_stream || self.streams.iter().any(|known| known.name == *name);
        let names: BTreeSet<&String> = self.modules.iter().map(|module| &module.input.stream).collect();
        names.into_iter().filter(move |name| !is_known(name)).map(|name| Wanted {
            name: name.clone(),
            subjects: subjects_of(name, &self.modules),
            sources: Vec::new(),
            replicas: 1,
            max_age: None,
        })
    }
}

/// What modules read from the stream `name`: their filters, or all that begins with its name.
fn subjects_of(name: &str, modules: &[Module]) -> Vec<String> {
    let inputs = || modules.iter().map(|module| &module.input).filter(|input| input.stream == name);
    if inputs().any(|input| input.filters.is_empty()) {
        return vec![format!("{}.>", name.to_lowercase())];
    }
    let mut subjects = Vec::new();
    inputs().flat_map(|input| &input.filters).for_each(|filter| add(&mut subjects, filter.clone()));
    subjects.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    Filter::texts(&subjects)
}

/// Adds a subject of a stream. The server takes none that overlap: one that covers them stands for those that do.
fn add(subjects: &mut Vec<Filter>, subject: Filter) {
    let overlapping = subjects.iter().position(|other| other.overlaps(&subject));
    match overlapping.and_then(|at| subjects.swap_remove(at).joined(&subject)) {
        Some(joined) => add(subjects, joined),
        None => subjects.push(subject),
    }
}

/// Refuses filters of one module that overlap: the server takes no such filters from one reader.
pub fn apart(filters: &[Filter]) -> Result<(), String> {
    let others = |at| filters.iter().skip(at + 1);
    let pairs = filters.iter().enumerate().flat_map(|(at, one)| others(at).map(move |other| (one, other)));
    match pairs.filter_map(|(one, other)| Some((one, other, one.joined(other)?))).next() {
        Some((one, other, joined)) => Err(overlap(one, other, &joined)),
        None => Ok(()),
    }
}

fn overlap(one: &Filter, other: &Filter, joined: &Filter) -> String {
    let within = |narrow: &Filter, wide: &Filter| {
        let narrow = narrow.as_str();
        format!("the filter {narrow:?} is within {:?}: leave {narrow:?} out", wide.as_str())
    };
    if one == other {
        format!("the filter {:?} stands there twice: leave one out", one.as_str())
    } else if one.covers(other) {
        within(other, one)
    } else if other.covers(one) {
        within(one, other)
    } else {
        let (one, other, joined) = (one.as_str(), other.as_str(), joined.as_str());
        format!("the filters {one:?} and {other:?} overlap: leave one out, or put {joined:?} for both")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::parse;

    #[test]
    fn a_stream_that_nobody_declares_stores_what_is_read_from_it_by_subjects_that_do_not_overlap() {
        for (filters, subjects) in [
            (&["orders.>", "orders.*"][..], &["orders.>"][..]),
            (&["orders.*", "orders.>"], &["orders.>"]),
            (&["orders.new", "orders.*", "bills.>"], &["bills.>", "orders.*"]),
            (&["a.*.c", "a.b.*"], &["a.*.*"]),
            (&["a.b.c", "a.d.e", "a.>"], &["a.>"]),
            (&["a.*.c", "d.b.e", "a.b.*", "*.b.e"], &["*.*.*"]),
            (&["a.b", "a.b"], &["a.b"]),
        ] {
            let modules = filters.iter().enumerate().map(|(at, filter)| {
                format!("[modules.m{at}]\nplugin = \"p\"\ninput = {{ stream = \"S\", filter = \"{filter}\" }}\n")
            });
            let config = parse(&format!("app = \"a\"\n{}", modules.collect::<String>()), Path::new("pelton.toml"));
            let wanted: Vec<_> = config.unwrap().undeclared_streams().collect();
            assert_eq!(wanted.len(), 1);
            assert_eq!(wanted[0].subjects, subjects, "{filters:?}");
        }
    }
}
