//! What flows between modules: who emits, who reads, which views nobody writes, and who feeds whom in a circle. Pure.

use std::collections::BTreeSet;

use super::{App, Finding, Known};
use crate::route::Filter;
use crate::subject::{Name, Subjects};

pub(super) fn lint(app: &App<'_>, known: &Known<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let emitted: BTreeSet<&str> = known.emitted().into_iter().map(|(category, _)| category).collect();
    for category in known.module.grants.emits.keys() {
        if known.is_tested() && !emitted.contains(category.as_str()) {
            let what = format!("no case emits to the category {category}");
            let help = "add a case that does, or remove it from `emits`";
            findings.push(app.finding(known, "emits", "unemitted", what, help));
        }
        if !app.modules.iter().any(|reader| reads(app, reader, category)) {
            let what = format!("no module of the app reads the category {category}");
            let subject = Subjects::new(&app.config.app).events(category);
            let help = format!("clients read it from {subject:?}; if none do, remove it from `emits`");
            findings.push(app.finding(known, "emits", "unread", what, &help).note());
        }
    }
    let written = known.written();
    for view in known.module.grants.views.iter().filter(|view| !written.contains(view.as_str())) {
        if known.is_tested() {
            let what = format!("no case writes the view {view}");
            let help = "add a case that does, or remove it from `views`";
            findings.push(app.finding(known, "views", "unwritten", what, help));
        }
    }
    findings.extend(kinds(app, known));
    findings
}

/// Whether a module takes events of that category.
fn reads(app: &App<'_>, reader: &Known<'_>, category: &Name) -> bool {
    let subjects = Subjects::new(&app.config.app);
    let input = &reader.module.input;
    let Ok(events) = Filter::try_from(subjects.events(category)) else { return false };
    let overlaps = input.filters.is_empty() || input.filters.iter().any(|filter| filter.overlaps(&events));
    input.stream == subjects.stream() && overlaps
}

/// The categories of the app that a module takes, with the modules that may emit them.
fn sources<'a>(app: &'a App<'a>, reader: &Known<'_>) -> Vec<(&'a Name, &'a Known<'a>)> {
    let emitters = app.modules.iter().flat_map(|known| known.module.grants.emits.keys().map(move |name| (name, known)));
    emitters.filter(|(category, _)| reads(app, reader, category)).collect()
}

/// Types that the cases of a module expect of other modules, though none of these has a case that emits them.
fn kinds(app: &App<'_>, reader: &Known<'_>) -> Vec<Finding> {
    let sources = sources(app, reader);
    // Of a module without cases, it is not known what it emits.
    if sources.is_empty() || sources.iter().any(|(_, emitter)| !emitter.is_tested()) {
        return Vec::new();
    }
    let emitted: BTreeSet<&str> = sources
        .iter()
        .flat_map(|(category, emitter)| emitter.emitted().into_iter().filter(|(to, _)| *to == category.as_str()))
        .map(|(_, kind)| kind)
        .collect();
    let mut findings = Vec::new();
    for (case, place) in reader.cases() {
        let unknown =
            case.steps.iter().filter_map(|step| step.when.kind.as_deref()).find(|kind| !emitted.contains(kind));
        if let Some(kind) = unknown {
            let what =
                format!("case {:?}: no module that it reads from has a case that emits the type {kind:?}", case.name);
            let help = "mend the type, or add the case to the module that emits it";
            findings.push(app.finding(reader, "input", "unemitted-type", what, help).at(&case.file, place.line));
        }
    }
    findings
}

/// Modules that feed each other in a circle, each circle once.
pub(super) fn circles(app: &App<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for known in &app.modules {
        let Some(circle) = circle_through(app, known) else { continue };
        let names: BTreeSet<&str> = circle.iter().map(|known| known.name()).collect();
        if told.insert(names) {
            let path: Vec<&str> = circle.iter().chain(circle.first()).map(|known| known.name()).collect();
            let what = format!("modules feed each other in a circle: {}", path.join(" → "));
            let help = "see to it that it ends: an event that came through 64 modules becomes a dead letter";
            findings.push(app.finding(known, "input", "circle", what, help).note());
        }
    }
    findings
}

/// A shortest way from a module over those that it feeds back to itself.
fn circle_through<'a>(app: &'a App<'a>, start: &'a Known<'a>) -> Option<Vec<&'a Known<'a>>> {
    let mut paths = std::collections::VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(path) = paths.pop_front() {
        let last = *path.last()?;
        for next in &app.modules {
            if !last.module.grants.emits.keys().any(|category| reads(app, next, category)) {
                continue;
            }
            if next.name() == start.name() {
                return Some(path);
            }
            if seen.insert(next.name()) {
                let mut longer = path.clone();
                longer.push(next);
                paths.push_back(longer);
            }
        }
    }
    None
}
