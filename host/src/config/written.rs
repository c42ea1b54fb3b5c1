//! The config file as written: its tables, before what they mean is checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::http::HttpTable;
use super::limits::LimitsTable;
use super::nats::NatsTable;
use super::streams::StreamsTable;
use super::traces::TracesTable;
use super::values::{From, Lanes, Period, Setting};
use crate::policy::{OnFailure, OnGap};
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
    pub hosts: HostsTable,
    #[serde(default)]
    pub http: HttpTable,
    #[serde(default)]
    pub traces: TracesTable,
    #[serde(default)]
    pub streams: BTreeMap<String, Spanned<StreamsTable>>,
    #[serde(default)]
    pub retention: BTreeMap<Name, Spanned<Retention>>,
    #[serde(default)]
    pub modules: BTreeMap<Name, Spanned<ModuleTable>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct StreamTable {
    pub replicas: Option<Spanned<usize>>,
    pub batch: Option<Spanned<usize>>,
    pub advance: Option<Period>,
}

/// How hosts of the app tell each other that they live.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct HostsTable {
    pub ttl: Option<Spanned<Period>>,
}

/// How long events of a category are kept.
pub type Retention = Period;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleTable {
    pub plugin: PathBuf,
    pub build: Option<String>,
    pub input: Spanned<InputTable>,
    #[serde(default)]
    pub key: KeyExpr,
    pub lanes: Option<Lanes>,
    #[serde(default)]
    pub hosts: BTreeSet<Name>,
    #[serde(default)]
    pub from: From,
    #[serde(default)]
    pub views: Vec<Spanned<Name>>,
    #[serde(default)]
    pub emits: BTreeSet<Name>,
    #[serde(default)]
    pub config: BTreeMap<String, Setting>,
    pub attempts: Option<Spanned<u32>>,
    #[serde(default)]
    pub on_failure: OnFailure,
    #[serde(default)]
    pub on_gap: OnGap,
    #[serde(default)]
    pub breaker: BreakerTable,
    pub dedupe: Option<DedupeTable>,
    pub digest: Option<Spanned<String>>,
    #[serde(default)]
    pub fresh: bool,
    #[serde(default)]
    pub limits: LimitsTable,
}

/// When a module stops itself for a while.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct BreakerTable {
    pub failures: Option<Spanned<u32>>,
    pub pause: Option<Spanned<Period>>,
}

/// What of repeated inputs has no effect.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DedupeTable {
    /// The one way there is; written out, so that there can be others.
    #[allow(dead_code, reason = "its being there is its meaning")]
    pub by: DedupeBy,
    pub window: Spanned<Period>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DedupeBy {
    Id,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputTable {
    pub stream: Option<String>,
    pub filter: Option<Spanned<Filters>>,
    pub events: Option<Name>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a subject filter, or a list of them")]
pub enum Filters {
    One(Filter),
    Some(Vec<Filter>),
}
