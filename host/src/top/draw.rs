//! Draws what an operator looks at into a buffer of any size. Pure.

mod details;
mod list;
mod style;

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Stylize;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph, Widget};

use self::style::{Palette, clip};
use super::figures::{App, Figures};
use super::screen::{Screen, Shows};
use super::text;
use crate::config::Period;
use crate::query::ModuleState;

/// All that is drawn.
#[derive(Debug)]
pub struct View<'a> {
    /// The figures, in the order of the screen.
    pub figures: &'a Figures,
    /// What of them is looked at.
    pub screen: &'a Screen,
    /// The lanes of the module whose details are shown, once they are read.
    pub lanes: Option<&'a ModuleState>,
    /// Why the figures are old, if they are.
    pub trouble: Option<&'a str>,
    /// How often they are asked for; none if they are drawn once, for no keys.
    pub every: Option<Duration>,
    /// Whether there may be colours.
    pub colours: bool,
}

/// The smallest window in which anything can be read.
const LEAST: (u16, u16) = (28, 7);

const HELP: &str = " j k arrows   move, or scroll details
 g G          to the first, to the last
 Enter        details of the module
 s            sort by the next column
 Esc          back; in the list: quit
 q Ctrl-C     quit

 IN/S EFF/S   committed inputs; events and
              view writes, a second
 LAG AGE      inputs before the lane furthest
              behind; how old the oldest is.
              Measured every 5 s
 DEAD RETRY   since the hosts started
 BREAKER      open: the module waits, since
              its inputs fail in a row
 P50 P99      how long calls take";

impl View<'_> {
    /// Draws it.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer) {
        if self.every.is_some() && (area.width < LEAST.0 || area.height < LEAST.1) {
            let (width, height) = LEAST;
            let [wide, high] = ["the window is too small:".to_owned(), format!("{width} x {height} at least")];
            return Paragraph::new(vec![Line::from(wide), Line::from(high)]).render(area, buffer);
        }
        let [head, body, foot] = self.parts(area);
        Paragraph::new(self.head(area.width)).render(head, buffer);
        match &self.screen.shows {
            Shows::List => self.list(body, buffer),
            Shows::Details(module, from) => {
                let lines = self.details(module, body.width);
                let from = (*from).min(lines.len().saturating_sub(usize::from(body.height)));
                Paragraph::new(lines.into_iter().skip(from).collect::<Vec<_>>()).render(body, buffer);
            }
        }
        if self.every.is_some() {
            self.foot().render(foot, buffer);
        }
        if self.screen.helps {
            help(area, buffer);
        }
    }

    /// From how many lines on the details may be shown in `area`.
    pub fn beginnings(&self, area: Rect) -> usize {
        let Shows::Details(module, _) = &self.screen.shows else { return 1 };
        let [_, body, _] = self.parts(area);
        self.details(module, body.width).len().saturating_sub(usize::from(body.height)) + 1
    }

    /// Lines that all of the list and its head need.
    pub fn height(&self, width: u16) -> u16 {
        let lines = self.head(width).len() + 1 + self.rows(width).len();
        u16::try_from(lines).unwrap_or(u16::MAX)
    }

    fn palette(&self) -> Palette {
        Palette { colours: self.colours }
    }

    /// Where the head, the body and the line of keys stand.
    fn parts(&self, area: Rect) -> [Rect; 3] {
        let foot = u16::from(self.every.is_some());
        let most = area.height.saturating_sub(foot + 3);
        let head = u16::try_from(self.head(area.width).len()).unwrap_or(most).min(most);
        let body = area.height.saturating_sub(head + foot);
        let part = |above, height| Rect { y: area.y + above, height, ..area };
        [part(0, head), part(head, body), part(head + body, foot)]
    }

    /// What is said of the app.
    fn head(&self, width: u16) -> Vec<Line<'static>> {
        let (app, palette, room) = (&self.figures.app, self.palette(), usize::from(width));
        let clock: String = app.time.chars().skip("2026-01-31T".len()).take("12:00:00".len()).collect();
        let every = self.every.map(|every| format!("every {}  ", Period(every)));
        let right = format!("{}{clock} UTC ", every.unwrap_or_default());
        let left = clip(app.name.as_str(), room.saturating_sub(right.len() + 3));
        let gap = " ".repeat(room.saturating_sub(right.len() + left.chars().count() + 1));
        let mut lines = vec![Line::from(vec![" ".into(), left.bold(), gap.into(), palette.faint(right)])];
        let hosts = match hosts(app) {
            Some(hosts) => palette.plain(clip(&hosts, room.saturating_sub(10))),
            None => palette.bad(clip("none answers: nobody runs the app", room.saturating_sub(10))),
        };
        lines.push(Line::from(vec![palette.faint(" hosts    "), hosts]));
        let commits = clip(&commits(app), room.saturating_sub(10));
        lines.push(Line::from(vec![palette.faint(" commits  "), palette.plain(commits)]));
        let troubles = [(" NATS     ", self.trouble), (" waits    ", app.waits_for.as_deref())];
        for (label, trouble) in troubles.into_iter().filter_map(|(label, trouble)| Some((label, trouble?))) {
            for (number, line) in text::wrapped(trouble, room.saturating_sub(11)).into_iter().enumerate().take(3) {
                let label = if number == 0 { label.to_owned() } else { " ".repeat(10) };
                lines.push(Line::from(vec![palette.bad(label), palette.bad(clip(&line, room))]));
            }
        }
        lines.push(Line::default());
        lines
    }

    /// What keys there are.
    fn foot(&self) -> Line<'static> {
        let keys: &[(&str, &str)] = match (&self.screen.shows, self.screen.helps) {
            (_, true) => &[("Esc", "back"), ("q", "quit")],
            (Shows::List, _) => &[("Enter", "details"), ("s", "sort"), ("?", "help"), ("q", "quit")],
            (Shows::Details(..), _) => &[("Esc", "back"), ("j/k", "scroll"), ("?", "help"), ("q", "quit")],
        };
        let palette = self.palette();
        let each = keys.iter().flat_map(|(key, does)| [format!(" {key}").bold(), palette.faint(format!(" {does} "))]);
        Line::from(each.collect::<Vec<_>>())
    }
}

/// The hosts that answer, with how long they have run.
fn hosts(app: &App) -> Option<String> {
    let each = app
        .hosts
        .iter()
        .map(|host| format!("{} ({}) up {}", host.host.machine, host.host.process, text::seconds(host.uptime_seconds)));
    let all = each.collect::<Vec<_>>().join(", ");
    match app.hosts.len() {
        0 => None,
        1 => Some(all),
        several => Some(format!("{several}: {all}")),
    }
}

fn commits(app: &App) -> String {
    let rate = format!("{}/s", text::rate(app.commits_per_second));
    let messages = app.messages_per_commit.map(|messages| format!("{} messages each", text::rate(Some(messages))));
    let took = app.commit_seconds;
    let took = took.map(|took| format!("p50 {}  p99 {}", text::seconds(took.p50), text::seconds(took.p99)));
    [Some(rate), messages, took].into_iter().flatten().collect::<Vec<_>>().join("  ")
}

/// Draws the help over the middle of `area`.
fn help(area: Rect, buffer: &mut Buffer) {
    let width = HELP.lines().map(|line| line.chars().count()).max().unwrap_or_default() + 3;
    let height = HELP.lines().count() + 2;
    let size = |needs: usize, has: u16| u16::try_from(needs).unwrap_or(has).min(has);
    let (width, height) = (size(width, area.width), size(height, area.height));
    let middle = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    Clear.render(middle, buffer);
    let lines: Vec<Line<'_>> = HELP.lines().map(Line::from).collect();
    Paragraph::new(lines).block(Block::bordered().title(" keys and columns ")).render(middle, buffer);
}

#[cfg(test)]
mod tests;
