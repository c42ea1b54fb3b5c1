//! The tables `streams` as written, and what they mean: the input streams that an app declares.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::meant::{Finding, within};
use super::values::Period;
use super::{Config, Module};
use crate::route::Filter;
use crate::source::streams::Wanted;
use crate::subject::Subjects;

/// One of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamsTable {
    subjects: Vec<Filter>,
    replicas: Option<Spanned<usize>>,
    max_age: Option<Period>,
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
        if table.subjects.is_empty() {
            return Err(Finding::new(at, "a stream stores the messages on its subjects: name some"));
        }
        Ok(Wanted {
            name,
            subjects: Filter::texts(&table.subjects),
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
    let mut filters: Vec<&Filter> = inputs().flat_map(|input| &input.filters).collect();
    filters.sort_by_key(|filter| filter.as_str());
    filters.dedup();
    // The server takes no subjects that overlap: the wider one stands for the narrower.
    let is_covered = |one: &&Filter| {
        filters.iter().any(|other| other != one && other.overlaps(one) && other.as_str().len() <= one.as_str().len())
    };
    filters.iter().filter(|one| !is_covered(one)).map(|one| one.as_str().to_owned()).collect()
}
