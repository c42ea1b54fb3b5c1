//! The config file as written: its tables, before what they mean is checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::values::{self, From, Lanes};
use crate::route::{Filter, KeyExpr};
use crate::subject::Name;

/// The file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub app: Name,
    #[serde(default)]
    pub nats: NatsTable,
    #[serde(default)]
    pub stream: StreamTable,
    #[serde(default)]
    pub retention: BTreeMap<Name, Spanned<Retention>>,
    #[serde(default)]
    pub modules: BTreeMap<Name, Spanned<ModuleTable>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct NatsTable {
    pub url: Option<String>,
    pub creds: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct StreamTable {
    pub replicas: Option<Spanned<usize>>,
    pub batch: Option<Spanned<usize>>,
    #[serde(default, deserialize_with = "values::duration")]
    pub advance: Option<Duration>,
}

/// How long events of a category are kept.
#[derive(Clone, Copy, Deserialize)]
pub struct Retention(#[serde(deserialize_with = "values::duration")] pub Option<Duration>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleTable {
    pub plugin: PathBuf,
    pub input: Spanned<InputTable>,
    #[serde(default)]
    pub key: KeyExpr,
    pub lanes: Option<Lanes>,
    #[serde(default)]
    pub from: From,
    #[serde(default)]
    pub views: Vec<Spanned<Name>>,
    #[serde(default)]
    pub emits: BTreeSet<Name>,
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    pub attempts: Option<Spanned<u32>>,
    #[serde(default, deserialize_with = "values::duration")]
    pub deadline: Option<Duration>,
    #[serde(default, deserialize_with = "values::size")]
    pub memory: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputTable {
    pub stream: Option<String>,
    #[serde(default)]
    pub filter: Filters,
    pub events: Option<Name>,
}

#[derive(Deserialize, Default)]
#[serde(untagged, expecting = "a subject filter, or a list of them")]
pub enum Filters {
    #[default]
    All,
    One(Filter),
    Some(Vec<Filter>),
}
