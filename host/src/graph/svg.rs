//! The graph as an image that reads in dark and in light, by eye and by screen reader.

use super::layout::{Drawing, Layout};
use super::{Graph, Kind, Node};
use crate::commit::record::State;

/// The margin around the drawing, and in boxes.
const MARGIN: f64 = 12.0;
/// The height of a line of text.
const LINE: f64 = 17.0;
/// The width of a character of the monospaced font.
const CHARACTER: f64 = 7.9;
/// The most characters of a line; the whole is in the box's title.
const LONGEST: usize = 48;
/// Room below the boxes for lines that run back.
const BACK: f64 = 22.0;

const STYLE: &str = "\
.pelton-graph{--ink:#1c2128;--soft:#59636e;--line:#8c959f;--box:#ffffff;--module:#e8f0fb;--bad:#b3261e;--wait:#7a5c00}\
@media(prefers-color-scheme:dark){.pelton-graph{--ink:#e6edf3;--soft:#9aa4af;--line:#6b7580;--box:#161b22;\
--module:#1b2a41;--bad:#ff8a80;--wait:#e0b84c}}\
.pelton-graph text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:var(--ink)}\
.pelton-graph .kind{fill:var(--soft);font-size:11px}\
.pelton-graph .box{fill:var(--box);stroke:var(--line);stroke-width:1.2}\
.pelton-graph .module .box{fill:var(--module)}\
.pelton-graph .halted .box{stroke:var(--bad);stroke-width:2.5}\
.pelton-graph .paused .box{stroke:var(--wait);stroke-width:2;stroke-dasharray:5 3}\
.pelton-graph .line{fill:none;stroke:var(--line);stroke-width:1.4}\
.pelton-graph .tip{fill:var(--line)}";

impl Graph {
    /// As SVG.
    pub fn svg(&self) -> String {
        let at = |id| self.nodes.iter().position(|node| node.id == id);
        let lines: Vec<(usize, usize)> =
            self.edges.iter().filter_map(|edge| Some((at(edge.from.clone())?, at(edge.to.clone())?))).collect();
        let layout = Drawing { sizes: self.nodes.iter().map(|node| self.size(node)).collect(), lines }.layout();
        let bottom = layout.size.1 + if layout.back.contains(&true) { BACK } else { 0.0 };
        let (width, height) = (layout.size.0 + 2.0 * MARGIN, bottom + 2.0 * MARGIN);
        let edges: String = (0..layout.lines.len()).map(|line| edge(&layout, line)).collect();
        let boxes: String = self.nodes.iter().zip(&layout.boxes).map(|(node, at)| self.node(node, *at)).collect();
        let (app, text) = (escaped(self.app.as_str()), escaped(&self.text()));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"pelton-graph\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" aria-labelledby=\"pelton-graph-title \
             pelton-graph-text\">\n<title id=\"pelton-graph-title\">Who feeds whom in the app {app}</title>\n\
             <desc id=\"pelton-graph-text\">{text}</desc>\n<style>{STYLE}</style>\n<defs><marker id=\"pelton-graph-tip\" \
             viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
             <path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n\
             <g transform=\"translate({MARGIN} {MARGIN})\">\n{edges}{boxes}</g>\n</svg>\n"
        )
    }

    /// The lines of text in a box, besides its kind.
    fn lines(&self, node: &Node) -> Vec<String> {
        let lines = [Some(node.name.clone()), self.taken(node), node.live.as_ref().map(super::Live::words)];
        lines.into_iter().flatten().map(|line| cut(&line)).collect()
    }

    fn size(&self, node: &Node) -> (f64, f64) {
        let lines = self.lines(node);
        let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
        (longest.max(8) as f64 * CHARACTER + 2.0 * MARGIN, (lines.len() + 1) as f64 * LINE + MARGIN)
    }

    fn node(&self, node: &Node, (x, y): (f64, f64)) -> String {
        let (width, height) = self.size(node);
        let state = match node.live.as_ref().and_then(|live| live.state.as_ref()) {
            Some(State::Halted(_)) => " halted",
            Some(State::Paused) => " paused",
            Some(State::Running) | None => "",
        };
        let why = match node.live.as_ref().and_then(|live| live.state.as_ref()) {
            Some(State::Halted(why)) => format!(": {why}"),
            _ => self.taken(node).map(|filters| format!(" takes {filters}")).unwrap_or_default(),
        };
        let title = escaped(&format!("{} {}{why}", node.kind.word(), node.name));
        let lines = self.lines(node).into_iter().enumerate().map(|(at, line)| {
            let class = if at == 0 { "name" } else { "kind" };
            let down = (at + 2) as f64 * LINE;
            format!("<text class=\"{class}\" x=\"{MARGIN}\" y=\"{down}\">{}</text>", escaped(&line))
        });
        let (word, lines): (_, String) = (node.kind.word(), lines.collect());
        let corner = corner(node.kind);
        format!(
            "<g class=\"{word}{state}\" transform=\"translate({x:.1} {y:.1})\"><title>{title}</title>\
             <rect class=\"box\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{corner}\"/>\
             <text class=\"kind\" x=\"{MARGIN}\" y=\"{LINE}\">{word}</text>{lines}</g>\n"
        )
    }
}

/// How round the corners are: kinds are told apart without colours, too.
fn corner(kind: Kind) -> u32 {
    match kind {
        Kind::Stream => 2,
        Kind::Module => 8,
        Kind::Category => 18,
        Kind::View => 0,
    }
}

fn edge(layout: &Layout, line: usize) -> String {
    let (Some(points), Some(back)) = (layout.lines.get(line), layout.back.get(line)) else { return String::new() };
    let path = match points.as_slice() {
        [from, to] if *back => around(*from, *to, layout.size.1 + BACK),
        [first, rest @ ..] => {
            let mut path = format!("M{:.1} {:.1}", first.0, first.1);
            let mut last = *first;
            for next in rest {
                let middle = f64::midpoint(last.0, next.0);
                path += &format!("C{middle:.1} {:.1} {middle:.1} {:.1} {:.1} {:.1}", last.1, next.1, next.0, next.1);
                last = *next;
            }
            path
        }
        [] => String::new(),
    };
    format!("<path class=\"line\" marker-end=\"url(#pelton-graph-tip)\" d=\"{path}\"/>\n")
}

/// The way back: out to the right, below all boxes, in from the left.
fn around(from: (f64, f64), to: (f64, f64), below: f64) -> String {
    let (right, left) = (from.0 + 24.0, to.0 - 24.0);
    format!(
        "M{:.1} {:.1}C{right:.1} {:.1} {right:.1} {below:.1} {:.1} {below:.1}L{:.1} {below:.1}C{left:.1} {below:.1} \
         {left:.1} {:.1} {:.1} {:.1}",
        from.0, from.1, from.1, from.0, to.0, to.1, to.0, to.1
    )
}

fn cut(line: &str) -> String {
    if line.chars().count() <= LONGEST {
        return line.to_owned();
    }
    line.chars().take(LONGEST - 1).collect::<String>() + "…"
}

/// Text in XML, where no control character but a line's end may stand.
fn escaped(text: &str) -> String {
    let plain = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    plain.replace(|c: char| c.is_control() && c != '\n', "\u{FFFD}")
}
