//! The details of one module, as lines that are scrolled through.

use ratatui::style::Stylize;
use ratatui::text::{Line, Span};

use super::View;
use super::style::{Palette, clip};
use crate::metrics::{Fate, Fault};
use crate::query::ModuleState;
use crate::subject::Name;
use crate::top::column::state;
use crate::top::figures::Module;
use crate::top::text;

/// The width of what stands left of each fact, with its margin.
const LABEL: usize = 15;

impl View<'_> {
    /// All lines about a module, for a window of that width.
    pub(super) fn details(&self, name: &Name, width: u16) -> Vec<Line<'static>> {
        let page = Page { width: usize::from(width), palette: self.palette() };
        let Some(module) = self.figures.modules.iter().find(|module| module.module == *name) else {
            return page.fact("module", &format!("{name} is gone"), |palette, text| palette.bad(text));
        };
        let lanes = self.lanes.filter(|lanes| lanes.record.module == *name);
        let mut lines = page.module(module);
        for part in [page.flow(module), page.failures(module), page.lanes(lanes)] {
            lines.push(Line::default());
            lines.extend(part);
        }
        lines
    }
}

/// Makes lines.
#[derive(Clone, Copy)]
struct Page {
    width: usize,
    palette: Palette,
}

impl Page {
    fn label(self, label: &str) -> Span<'static> {
        self.palette.faint(format!(" {label:width$}", width = LABEL - 1))
    }

    /// A fact with its label, on as many lines as it needs.
    fn fact(self, label: &str, fact: &str, style: impl Fn(Palette, String) -> Span<'static>) -> Vec<Line<'static>> {
        let room = self.width.saturating_sub(LABEL + 1).max(8);
        let lines = text::wrapped(fact, room).into_iter().enumerate();
        let line = |(number, line): (usize, String)| {
            let label = if number == 0 { label } else { "" };
            Line::from(vec![self.label(label), style(self.palette, clip(&line, room))])
        };
        lines.map(line).collect()
    }

    fn plain(self, label: &str, fact: &str) -> Vec<Line<'static>> {
        self.fact(label, fact, Palette::plain)
    }

    fn module(self, module: &Module) -> Vec<Line<'static>> {
        let name = clip(module.module.as_str(), self.width.saturating_sub(LABEL));
        let mut lines = vec![Line::from(vec![self.label("module"), name.bold()])];
        lines.push(Line::from(vec![self.label("state"), self.palette.state(state(module.state), module.state)]));
        if let Some(reason) = &module.reason {
            lines.extend(self.fact("reason", reason, |palette, text| palette.bad(text)));
        }
        let breaker = if module.breaker_open { "open" } else { "closed" };
        lines.extend(self.plain("breaker", breaker));
        lines
    }

    fn flow(self, module: &Module) -> Vec<Line<'static>> {
        let rates = format!(
            "{} inputs/s  {} effects/s",
            text::rate(module.inputs_per_second),
            text::rate(module.effects_per_second)
        );
        let calls = module.call_seconds.map_or_else(
            || "none lately".to_owned(),
            |took| format!("p50 {}  p99 {}", text::seconds(took.p50), text::seconds(took.p99)),
        );
        let lag = match (module.lag, module.lag_seconds) {
            (None, _) => "unknown".to_owned(),
            (Some(0), _) => "none".to_owned(),
            (Some(messages), age) => {
                format!("{} inputs, the oldest {} old", text::count(messages), text::maybe_seconds(age))
            }
        };
        let waiting = format!("{} inputs in the lanes", text::count(module.waiting));
        let done = [(module.inputs, "inputs"), (module.events, "events"), (module.writes, "view writes")];
        let done = done.map(|(number, what)| format!("{} {what}", text::count(number))).join("  ");
        let facts = [("rates", rates), ("calls", calls), ("lag", lag), ("waiting", waiting), ("since start", done)];
        facts.into_iter().flat_map(|(label, fact)| self.plain(label, &fact)).collect()
    }

    fn failures(self, module: &Module) -> Vec<Line<'static>> {
        let tries = [(module.failures, "failed"), (module.retries, "tried again")];
        let tries = tries.map(|(number, what)| format!("{} {what}", text::count(number))).join("  ");
        let causes: Vec<String> = module.causes.iter().map(|(kind, of)| format!("{of} {}", kind.name())).collect();
        let letters = if causes.is_empty() { "none".to_owned() } else { causes.join("  ") };
        let mut lines = self.plain("tries", &tries);
        let has_letters = !causes.is_empty();
        lines.extend(self.fact("dead letters", &letters, |palette, text| {
            if has_letters { palette.odd(text) } else { palette.plain(text) }
        }));
        match &module.last_fault {
            None => lines.extend(self.plain("last failure", "none since the hosts started")),
            Some(fault) => {
                lines.extend(self.plain("last failure", &about(fault)));
                lines.extend(self.fact("", &fault.message, |palette, text| palette.bad(text)));
            }
        }
        lines
    }

    fn lanes(self, lanes: Option<&ModuleState>) -> Vec<Line<'static>> {
        let Some(ModuleState { record, checkpoints, .. }) = lanes else {
            return self.plain("lanes", "being read");
        };
        let input = format!("{}  plugin {}", record.stream, record.edition.plugin.chars().take(19).collect::<String>());
        let mut lines = self.plain("input", &input);
        lines.push(Line::default());
        let head = format!(" {:>5}  {:>12}  {:>12}  {:>6}", "LANE", "POSITION", "COVERED", "EPOCH");
        lines.push(Line::from(self.palette.faint(clip(&head, self.width))));
        lines.extend(checkpoints.iter().enumerate().map(|(lane, at)| {
            let line = format!(" {lane:>5}  {:>12}  {:>12}  {:>6}", at.position.0, at.covered.0, at.epoch);
            Line::from(clip(&line, self.width))
        }));
        lines
    }
}

/// When and where a try failed, and what became of its input.
fn about(Fault { time, lane, sequence, kind, fate, .. }: &Fault) -> String {
    let time: String = time.chars().take("2026-01-31T12:00:00".len()).collect();
    let input = sequence.map(|sequence| format!(" input {sequence}")).unwrap_or_default();
    let fate = match fate {
        Fate::Again => "it is tried again",
        Fate::DeadLetter => "it is a dead letter",
        Fate::Halt => "the module halts before it",
    };
    format!("{time}Z  {}  lane {lane}{input}: {fate}", kind.name())
}
