//! Tests that are data: files of cases, which a plugin in any language can be held against.
//!
//! A file is JSON. What its cases have in common stands in `when` at the top; the `when` of a step is laid over it as
//! a JSON merge patch (RFC 7396), so a null there leaves a field out.
//!
//! ```json
//! {
//!   "when": { "key": "tea", "payload": { "item": "tea", "quantity": 1 } },
//!   "cases": [
//!     {
//!       "name": "an order is taken from the stock",
//!       "given": { "views": { "stock": { "tea": 5 } }, "config": { "place": "cellar" } },
//!       "when": { "payload": { "quantity": 3 } },
//!       "then": { "writes": [{ "view": "stock", "key": "tea", "value": 2 }] }
//!     },
//!     {
//!       "name": "damaged orders are rejected, those for what is not there come again",
//!       "steps": [
//!         { "when": { "payload": null, "data": "not JSON" }, "then": { "reject": "payload" } },
//!         { "then": { "retry": { "milliseconds": 1000 } } }
//!       ]
//!     }
//!   ]
//! }
//! ```
//!
//! - `when`: `key`, `id`, `source`, `kind`, `time`, `sequence` and `content_type` have the [`defaults`]; `subject` and
//!   `attributes` (an object) are empty without. The payload is JSON in `payload`, or any text in `data`.
//! - `then`: `events` (each with `category`, `kind`, `data`, and if need be `key`, else that of the input, `subject`,
//!   `content_type`, `attributes`) and `writes` (a null `value` removes the key); or `reject` with a part of the reason;
//!   or `retry`. Nothing at all stands for no effects.

mod answer;
mod written;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

pub use answer::{Answer, Emitted, Unsaid, Written};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use written::{File, WrittenThen};

/// What an event has where a case says nothing.
pub mod defaults {
    /// The module's key.
    pub const KEY: &str = "key";
    /// The id, and the correlation with it.
    pub const ID: &str = "test-1";
    /// The CloudEvents source.
    pub const SOURCE: &str = "test";
    /// The CloudEvents type.
    pub const KIND: &str = "test";
    /// The input stream.
    pub const STREAM: &str = "TEST";
    /// The position in it.
    pub const SEQUENCE: u64 = 1;
    /// The time.
    pub const TIME: &str = "2026-01-01T00:00:00Z";
    /// The media type of payloads, of what comes and of what is emitted.
    pub const CONTENT_TYPE: &str = "application/json";
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file that it stands in.
    pub file: PathBuf,
    /// Its name.
    pub name: String,
    /// What stands before the first event.
    pub given: Given,
    /// Events and answers, in order. The views hold what earlier steps wrote.
    pub steps: Vec<Step>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.file_name().unwrap_or_default().to_string_lossy(), self.name)
    }
}

/// What stands before the first event of a case.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Given {
    /// The values of views, by view and key.
    pub views: BTreeMap<String, BTreeMap<String, Value>>,
    /// The module's settings.
    pub config: BTreeMap<String, String>,
}

/// An event and what the plugin answers to it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The event.
    pub when: When,
    /// The answer.
    pub then: Then,
}

/// The event of a step. What is none has its [default](defaults).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "the fields of an event")]
pub struct When {
    pub key: Option<String>,
    pub id: Option<String>,
    pub source: Option<String>,
    pub kind: Option<String>,
    pub subject: Option<String>,
    pub time: Option<String>,
    pub sequence: Option<u64>,
    pub content_type: Option<String>,
    pub attributes: BTreeMap<String, String>,
    /// The payload as JSON.
    pub payload: Option<Value>,
    /// The payload as text; not together with `payload`.
    pub data: Option<String>,
}

impl When {
    /// The bytes of the payload.
    pub fn bytes(&self) -> Vec<u8> {
        match (&self.data, &self.payload) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(json)) => json.to_string().into_bytes(),
            (None, None) => Vec::new(),
        }
    }
}

/// The answer that a step expects.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "WrittenThen")]
pub enum Then {
    /// These effects and no others.
    Effects {
        /// The events, in this order.
        events: Vec<Event>,
        /// The writes, in this order.
        writes: Vec<Write>,
    },
    /// A rejection whose reason contains this.
    Reject(String),
    /// The wish for the same event again.
    Retry(Retry),
}

/// An event that a step expects.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields of an emitted event")]
pub struct Event {
    pub category: String,
    /// None for the input's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// None for `application/json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    pub data: Value,
}

/// A view write that a step expects.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// The view.
    pub view: String,
    /// The key.
    pub key: String,
    /// The value; none removes the key.
    pub value: Option<Value>,
}

/// The wish for the same event again.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// After how long; none leaves it to the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u32>,
}

/// Reads the cases of all `.json` files in `folder`, by file name. An error names the file.
pub fn read(folder: &Path) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for path in files(folder)? {
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        cases.append(&mut parse(&text, &path)?);
    }
    if cases.is_empty() {
        return Err(format!("{}: no cases: it needs a .json file with some", folder.display()));
    }
    Ok(cases)
}

/// The cases in `text`, the content of the file at `path`. An error names the file.
pub fn parse(text: &str, path: &Path) -> Result<Vec<Case>, String> {
    let in_file = |error: String| format!("{}: {error}", path.display());
    let file: File = serde_json::from_str(text).map_err(|error| in_file(error.to_string()))?;
    file.cases.into_iter().map(|case| case.over(&file.when, path).map_err(in_file)).collect()
}

/// The `.json` files in `folder`, by name.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let in_folder = |error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(in_folder)?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(in_folder)?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    Ok(paths)
}
