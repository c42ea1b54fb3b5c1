//! The graph in the language of Graphviz.

use super::{Graph, Kind, Node};

impl Graph {
    /// In the language of Graphviz, for `dot -Tpng` and its like.
    pub fn dot(&self) -> String {
        let nodes = self.nodes.iter().map(|node| {
            format!("  {} [shape={} label={}];\n", quoted(node.id.as_str()), shape(node.kind), self.label(node))
        });
        let edges = self
            .edges
            .iter()
            .map(|edge| format!("  {} -> {};\n", quoted(edge.from.as_str()), quoted(edge.to.as_str())));
        let lines: String = nodes.chain(edges).collect();
        format!(
            "digraph {} {{\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n{lines}}}\n",
            quoted(self.app.as_str())
        )
    }

    fn label(&self, node: &Node) -> String {
        let lines = [Some(node.name.clone()), self.taken(node), node.live.as_ref().map(super::Live::words)];
        quoted(&lines.into_iter().flatten().collect::<Vec<_>>().join("\n"))
    }
}

fn shape(kind: Kind) -> &'static str {
    match kind {
        Kind::Stream => "cylinder",
        Kind::Module => "box",
        Kind::Category => "ellipse",
        Kind::View => "note",
    }
}

fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}
