//! The list of modules.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget};

use super::View;
use super::style::{Palette, clip};
use crate::top::column::Column;
use crate::top::figures::Module;

/// The widest a name is shown.
const NAME: u16 = 28;
/// What stands left of each row.
const MARGIN: u16 = 1;
/// What stands between columns.
const GAP: u16 = 2;

/// A row of one module, or of what is the matter with it.
pub struct Row {
    module: usize,
    line: Line<'static>,
}

impl View<'_> {
    /// Draws the list, with the selected module in view.
    pub(super) fn list(&self, area: Rect, buffer: &mut Buffer) {
        let [head, body] = [Rect { height: 1.min(area.height), ..area }, below(area)];
        self.titles(area.width).render(head, buffer);
        let rows = self.rows(area.width);
        let selected = self.selected();
        let at = rows.iter().position(|row| Some(row.module) == selected).unwrap_or(0);
        let height = usize::from(body.height);
        let from = at.saturating_sub(height / 2).min(rows.len().saturating_sub(height));
        for (row, y) in rows.iter().skip(from).zip(body.top()..body.bottom()) {
            let place = Rect { y, height: 1, ..body };
            Paragraph::new(row.line.clone()).render(place, buffer);
            if Some(row.module) == selected {
                buffer.set_style(place, Style::new().add_modifier(Modifier::REVERSED));
            }
        }
        if rows.is_empty() {
            Line::from(self.palette().faint(" the app has no modules")).render(body, buffer);
        }
    }

    /// The number of the selected module; none is shown where there are no keys.
    fn selected(&self) -> Option<usize> {
        let selected = self.screen.selected.as_ref().filter(|_| self.every.is_some())?;
        self.figures.modules.iter().position(|module| module.module == *selected)
    }

    /// All rows.
    pub(super) fn rows(&self, width: u16) -> Vec<Row> {
        let (columns, palette) = (self.columns(width), self.palette());
        let each = self.figures.modules.iter().enumerate().flat_map(|(number, module)| {
            let figures = Row { module: number, line: figures(module, &columns, palette) };
            let room = usize::from(width.saturating_sub(MARGIN + 3));
            let reason = module.reason.as_ref().map(|reason| {
                let line = vec!["   ".into(), palette.bad(clip(reason, room))];
                Row { module: number, line: Line::from(line) }
            });
            [Some(figures), reason].into_iter().flatten()
        });
        each.collect()
    }

    fn titles(&self, width: u16) -> Line<'static> {
        let mut spans = vec![Span::raw(" ".repeat(usize::from(MARGIN)))];
        for (column, width) in self.columns(width) {
            let is_sorted = column == self.screen.sorted_by && self.every.is_some();
            let style = if is_sorted { Modifier::BOLD | Modifier::UNDERLINED } else { Modifier::DIM };
            let title = column.title();
            let (before, behind) = around(title, column, width);
            spans.extend([before.into(), Span::styled(title, style), behind.into()]);
        }
        Line::from(spans)
    }

    /// The columns that there is room for, with their widths.
    fn columns(&self, width: u16) -> Vec<(Column, u16)> {
        let names = self.figures.modules.iter().map(|module| module.module.as_str().len()).max().unwrap_or_default();
        let name = u16::try_from(names).unwrap_or(NAME).clamp(6, NAME);
        let state = Column::State.width();
        let name = name.min(width.saturating_sub(MARGIN + state + GAP));
        let mut room = width.saturating_sub(MARGIN + name + GAP + state);
        let mut fit = Vec::new();
        for column in Column::DEAREST {
            let Some(left) = room.checked_sub(GAP + column.width()) else { break };
            room = left;
            fit.push(column);
        }
        let figures = Column::figures().filter(|column| fit.contains(column));
        let figures = figures.map(|column| (column, column.width()));
        [(Column::Name, name), (Column::State, state)].into_iter().chain(figures).collect()
    }
}

/// All but the first line.
fn below(area: Rect) -> Rect {
    Rect { y: area.y + 1.min(area.height), height: area.height.saturating_sub(1), ..area }
}

fn figures(module: &Module, columns: &[(Column, u16)], palette: Palette) -> Line<'static> {
    let mut spans = vec![Span::raw(" ".repeat(usize::from(MARGIN)))];
    for (column, width) in columns {
        let text = clip(&column.text(module), usize::from(*width));
        let (before, behind) = around(&text, *column, *width);
        let span = match column {
            Column::State if module.breaker_open => palette.odd(text),
            Column::State => palette.state(text, module.state),
            Column::Breaker if module.breaker_open => palette.bad(text),
            Column::DeadLetters if module.dead_letters > 0 => palette.odd(text),
            Column::Breaker => palette.faint(text),
            _ => palette.plain(text),
        };
        spans.extend([before.into(), span, behind.into()]);
    }
    Line::from(spans)
}

/// The spaces before and behind a text in its column: figures stand to the right, words to the left.
fn around(text: &str, column: Column, width: u16) -> (String, String) {
    let left = usize::from(width).saturating_sub(text.chars().count());
    match column {
        Column::Name => (String::new(), " ".repeat(left)),
        Column::State => (" ".repeat(GAP.into()), " ".repeat(left)),
        _ => (" ".repeat(usize::from(GAP) + left), String::new()),
    }
}
