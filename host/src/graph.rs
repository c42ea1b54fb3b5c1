//! Who feeds whom: input streams, modules, categories of events and views of an app, from its config. Pure.
//!
//! [`Graph`] is the data; [`Graph::text`], [`Graph::dot`] and [`Graph::svg`] draw it.

mod dot;
mod layout;
mod svg;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::commit::record::State;
use crate::config::{Config, Module};
use crate::route::Filter;
use crate::subject::{Name, Subjects};

/// The graph of one app.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Graph {
    /// The app.
    pub app: Name,
    /// Streams, modules, categories and views, each kind in the order of names.
    pub nodes: Vec<Node>,
    /// What flows from which node to which.
    pub edges: Vec<Edge>,
}

/// One thing that data flows through.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// Unique in the graph.
    pub id: Id,
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// How a module fares, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
}

/// Names a node: its kind and name, as in `module:totals`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Id(String);

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An input stream.
    Stream,
    /// A module.
    Module,
    /// A category of emitted events.
    Category,
    /// A view.
    View,
}

/// How a module fares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Live {
    /// Its state; none if it never ran.
    pub state: Option<State>,
    /// Inputs that are before it, if that is known.
    pub lag: Option<u64>,
}

/// A flow from one node to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Edge {
    /// From here.
    pub from: Id,
    /// To here.
    pub to: Id,
    /// The subjects that a module takes of a stream; none is all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
}

impl Kind {
    /// What people call it.
    fn word(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Module => "module",
            Self::Category => "events",
            Self::View => "view",
        }
    }

    fn id(self, name: &str) -> Id {
        Id(format!("{}:{name}", self.word()))
    }
}

impl Id {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Graph {
    /// The graph of the app that `config` describes.
    pub fn of(config: &Config) -> Self {
        let subjects = Subjects::new(&config.app);
        let categories: BTreeSet<&Name> = config.modules.iter().flat_map(|module| module.grants.emits.keys()).collect();
        let mut edges = Vec::new();
        for module in &config.modules {
            edges.extend(inputs(module, &subjects, &categories));
            let from = Kind::Module.id(module.name.as_str());
            let emitted = module.grants.emits.keys().map(|category| Kind::Category.id(category.as_str()));
            let written = module.grants.views.iter().map(|view| Kind::View.id(view.as_str()));
            edges.extend(emitted.chain(written).map(|to| Edge { from: from.clone(), to, filters: Vec::new() }));
        }
        edges.sort_by(|one, other| (&one.from, &one.to).cmp(&(&other.from, &other.to)));
        let streams = edges.iter().filter_map(|edge| edge.from.0.strip_prefix("stream:").map(str::to_owned));
        let views = config.modules.iter().flat_map(|module| &module.grants.views).map(Name::to_string);
        let named: BTreeSet<(Kind, String)> = streams
            .map(|name| (Kind::Stream, name))
            .chain(config.modules.iter().map(|module| (Kind::Module, module.name.to_string())))
            .chain(categories.iter().map(|name| (Kind::Category, name.to_string())))
            .chain(views.map(|name| (Kind::View, name)))
            .collect();
        let nodes = named.into_iter().map(|(kind, name)| Node { id: kind.id(&name), kind, name, live: None });
        Self { app: config.app.clone(), nodes: nodes.collect(), edges }
    }

    /// The same with how the modules fare; those that are not named never ran.
    pub fn with_live(mut self, live: &BTreeMap<String, Live>) -> Self {
        for node in self.nodes.iter_mut().filter(|node| node.kind == Kind::Module) {
            let never = Live { state: None, lag: None };
            node.live = Some(live.get(&node.name).cloned().unwrap_or(never));
        }
        self
    }

    /// The subjects that a module takes, if not all of its stream.
    fn taken(&self, module: &Node) -> Option<String> {
        let filters = self.edges.iter().filter(|edge| edge.to == module.id).flat_map(|edge| &edge.filters);
        let filters: Vec<&str> = filters.map(Filter::as_str).collect();
        (!filters.is_empty()).then(|| filters.join(", "))
    }
}

/// What feeds a module: a stream; or the categories that it takes of the app stream.
fn inputs(module: &Module, subjects: &Subjects, categories: &BTreeSet<&Name>) -> Vec<Edge> {
    let to = Kind::Module.id(module.name.as_str());
    let edge = |from, filters| Edge { from, to: to.clone(), filters };
    let is_taken = |category: &Name| {
        let events = Filter::try_from(subjects.events(category));
        let overlaps = |events: Filter| module.input.filters.iter().any(|filter| filter.overlaps(&events));
        module.input.filters.is_empty() || events.is_ok_and(overlaps)
    };
    if module.input.stream == subjects.stream() {
        let taken: Vec<_> = categories.iter().filter(|category| is_taken(category)).collect();
        if !taken.is_empty() {
            return taken.iter().map(|category| edge(Kind::Category.id(category.as_str()), Vec::new())).collect();
        }
    }
    vec![edge(Kind::Stream.id(&module.input.stream), module.input.filters.clone())]
}

impl Live {
    /// In a few words.
    fn words(&self) -> String {
        let lag = self.lag.map_or_else(|| "lag unknown".to_owned(), |lag| format!("lag {lag}"));
        match &self.state {
            None => "never ran".to_owned(),
            Some(State::Running) => format!("running, {lag}"),
            Some(State::Paused) => format!("paused, {lag}"),
            Some(State::Halted(_)) => format!("halted, {lag}"),
        }
    }
}

#[cfg(test)]
mod tests;
