//! Finds what is odd in an app: in its config, in its plugins, and in what their cases say that they do. Pure.
//!
//! A warning is something that does not do what it seems to. A note may be meant so.

mod flow;
mod keys;
mod modules;
mod place;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pelton_cases::{Case, Step, Then};
use serde::Serialize;

pub use self::place::Source;
use crate::cases::{File, Place};
use crate::config::{Config, Module};
use crate::guest::{Form, Role};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// It does not do what it seems to.
    Warning,
    /// It may be meant so.
    Note,
}

/// Something odd.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// The module.
    pub module: String,
    /// The file that it is in.
    pub file: PathBuf,
    /// The line there.
    pub line: usize,
    /// What it is.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// What is known of a plugin.
#[derive(Debug)]
pub struct Facts {
    /// What it exports.
    pub role: Role,
    /// What it imports.
    pub imports: Vec<String>,
    /// Whether the host wrapped it: then it imports only what it uses.
    pub form: Form,
}

/// A module with what is known of it.
pub struct Known<'a> {
    /// The module.
    pub module: &'a Module,
    /// Its plugin, or why it does not load.
    pub plugin: Result<Facts, String>,
    /// Its cases; none if it has none.
    pub cases: Vec<File>,
}

impl Known<'_> {
    fn name(&self) -> &str {
        self.module.name.as_str()
    }

    fn cases(&self) -> impl Iterator<Item = &(Case, Place)> {
        self.cases.iter().flat_map(|file| &file.cases)
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        self.cases().flat_map(|(case, _)| &case.steps)
    }

    fn is_tested(&self) -> bool {
        self.cases().next().is_some()
    }

    /// The events that its cases expect, as category and type.
    fn emitted(&self) -> BTreeSet<(&str, &str)> {
        let events = self.steps().flat_map(|step| match &step.then {
            Then::Effects { events, .. } => events.as_slice(),
            Then::Reject(_) | Then::Retry(_) => &[],
        });
        events.map(|event| (event.category.as_str(), event.kind.as_str())).collect()
    }

    /// The views that its cases expect to be written.
    fn written(&self) -> BTreeSet<&str> {
        let writes = self.steps().flat_map(|step| match &step.then {
            Then::Effects { writes, .. } => writes.as_slice(),
            Then::Reject(_) | Then::Retry(_) => &[],
        });
        writes.map(|write| write.view.as_str()).collect()
    }
}

/// An app with what is known of it.
pub struct App<'a> {
    /// Its config.
    pub config: &'a Config,
    /// Where that stands.
    pub source: &'a Source<'a>,
    /// Its modules.
    pub modules: Vec<Known<'a>>,
}

/// What is odd in `app`, by file and line.
pub fn lint(app: &App<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for known in &app.modules {
        findings.extend(keys::lint(app, known));
        findings.extend(modules::lint(app, known));
        findings.extend(flow::lint(app, known));
    }
    findings.extend(flow::circles(app));
    findings.sort_by(|a, b| (&a.file, a.line, a.rule).cmp(&(&b.file, b.line, b.rule)));
    findings
}

impl App<'_> {
    /// A finding about a key of a module's table; about the table itself if the key is not written.
    fn finding(&self, known: &Known<'_>, key: &str, rule: &'static str, message: String, help: &str) -> Finding {
        Finding {
            weight: Weight::Warning,
            rule,
            module: known.name().to_owned(),
            file: self.source.path.to_owned(),
            line: self.source.line(&["modules", known.name(), key]),
            message,
            help: help.to_owned(),
        }
    }
}

impl Finding {
    /// The same as something that may be meant so.
    fn note(self) -> Self {
        Self { weight: Weight::Note, ..self }
    }

    /// The same in a file of cases.
    fn at(self, file: &Path, line: usize) -> Self {
        Self { file: file.to_owned(), line, ..self }
    }
}

#[cfg(test)]
mod tests;
