//! The graph as a tree of lines, for a terminal. What is fed by several is drawn once, and named where it comes again.

use std::collections::BTreeSet;

use super::{Graph, Id, Kind, Node};
use crate::commit::record::State;

impl Graph {
    /// As a tree of lines.
    pub fn text(&self) -> String {
        let mut tree = Tree { graph: self, drawn: BTreeSet::new(), lines: Vec::new() };
        let fed: BTreeSet<&Id> = self.edges.iter().map(|edge| &edge.to).collect();
        for root in self.nodes.iter().filter(|node| !fed.contains(&node.id)) {
            tree.draw(root, "", "");
        }
        // Modules that only feed each other hang on nothing else.
        for rest in &self.nodes {
            if !tree.drawn.contains(&rest.id) {
                tree.draw(rest, "", "");
            }
        }
        tree.lines.join("\n")
    }
}

struct Tree<'a> {
    graph: &'a Graph,
    drawn: BTreeSet<&'a Id>,
    lines: Vec<String>,
}

impl<'a> Tree<'a> {
    /// Draws `node` behind `first`, and what it feeds behind `rest`.
    fn draw(&mut self, node: &'a Node, first: &str, rest: &str) {
        let is_new = self.drawn.insert(&node.id);
        let again = if is_new { "" } else { " (see above)" };
        self.lines.push(format!("{first}{}{again}", self.line(node)));
        if !is_new {
            return;
        }
        let graph = self.graph;
        let fed = graph.edges.iter().filter(|edge| edge.from == node.id);
        let fed: Vec<&Node> = fed.filter_map(|edge| graph.nodes.iter().find(|node| node.id == edge.to)).collect();
        for (at, next) in fed.iter().enumerate() {
            let (branch, trunk) = if at + 1 == fed.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.draw(next, &format!("{rest}{branch}"), &format!("{rest}{trunk}"));
        }
    }

    fn line(&self, node: &Node) -> String {
        let taken = match node.kind {
            Kind::Module => self.graph.taken(node).map(|filters| format!(" takes {filters}")),
            Kind::Stream | Kind::Category | Kind::View => None,
        };
        let live = node.live.as_ref().map(|live| format!(" ({})", live.words()));
        let why = match node.live.as_ref().and_then(|live| live.state.as_ref()) {
            Some(State::Halted(why)) => Some(format!(": {why}")),
            _ => None,
        };
        let more: String = [taken, live, why].into_iter().flatten().collect();
        format!("{} {}{more}", node.kind.word(), node.name)
    }
}
