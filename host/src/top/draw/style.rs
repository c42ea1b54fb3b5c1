//! Colours and weights, which all work without colours too.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use crate::top::figures::State;

/// What there is to draw with.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    /// Whether there may be colours.
    pub colours: bool,
}

impl Palette {
    /// A style in a colour, if there may be any.
    fn colour(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    /// As it is.
    pub fn plain(self, text: impl Into<String>) -> Span<'static> {
        Span::raw(text.into())
    }

    /// What need not be read.
    pub fn faint(self, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), Style::new().add_modifier(Modifier::DIM))
    }

    /// What has to be seen.
    pub fn bad(self, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.of_bad())
    }

    /// What may have to be seen.
    pub fn odd(self, text: impl Into<String>) -> Span<'static> {
        Span::styled(text.into(), self.colour(Color::Yellow))
    }

    /// A state, by how good it is.
    pub fn state(self, text: impl Into<String>, state: State) -> Span<'static> {
        match state {
            State::Halted | State::Differs | State::NotRunning => self.bad(text),
            State::Starting | State::Paused => self.odd(text),
            State::Running => Span::styled(text.into(), self.colour(Color::Green)),
        }
    }

    fn of_bad(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }
}

/// `text` in at most `width` characters and without those that would give orders to a terminal.
pub fn clip(text: &str, width: usize) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() <= width {
        return text;
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    if width == 0 { kept } else { kept + "…" }
}
