//! `pelton top`: a screen that shows what an app does while it does it.

mod terminal;
mod watch;

use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::bail;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::watch::{Update, Watch};
use super::output::{self, Format};
use super::{Common, Reading};
use crate::config::{Config, Period};
use crate::top::draw::View;
use crate::top::figures::Figures;
use crate::top::look::Looker;
use crate::top::screen::Screen;

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Top {
    /// How often the hosts are asked; with -o json and --once, for how long rates are measured
    #[arg(long, default_value = "1s")]
    every: Period,
    /// Print one frame as text, and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    common: Common,
}

const EXAMPLES: &str = "\
Asks all hosts of the app over NATS. Rates are those between two answers; counts of dead letters, retries and failures are
since the hosts started. With -o json it prints one object with app and modules, and ends.

Keys: j k or arrows move, Enter details of a module, Esc back, s sort by the next column, ? help, q quit.

Examples:
  pelton top                    the screen
  pelton top --every 5s         calmer
  pelton top --once             one frame, for a ticket
  pelton top -o json --every 10s";

/// The width of a frame that is printed where nobody knows how wide lines may be.
const WIDTH: u16 = 100;

impl Top {
    /// Whether it draws on the terminal until it is told to stop.
    pub fn has_screen(&self) -> bool {
        !self.once && self.common.output == Format::Text
    }

    pub async fn main(self) -> anyhow::Result<()> {
        let config = self.common.load()?;
        if self.has_screen() && !terminal::is_one() {
            bail!(
                "this is no terminal to draw on: take `pelton top --once` or `pelton top -o json` for one look, \
                 `pelton lag` for monitors, `pelton module ls -o json` for states"
            );
        }
        let Reading { connections, query, .. } = self.common.connect(&config).await?;
        let looker = Arc::new(Looker::new(&config, connections, query));
        if self.has_screen() {
            let watch = Watch::start(looker, self.every.0);
            return terminal::show(&config.app, watch, self.every.0).await;
        }
        self.print(&config, &looker).await
    }

    async fn print(&self, config: &Config, looker: &Looker) -> anyhow::Result<()> {
        let first = looker.look().await?;
        let figures = if first.reports.is_empty() {
            // Nobody has rates.
            Figures::of(&config.app, None, &first)
        } else {
            tokio::time::sleep(self.every.0).await;
            Figures::of(&config.app, Some(&first), &looker.look().await?)
        };
        output::print(self.common.output, &figures, |figures| frame(figures.clone()))
    }
}

/// One frame as text, as wide as the terminal if there is one.
fn frame(mut figures: Figures) -> String {
    let mut screen = Screen::default();
    screen.arrange(&mut figures);
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    let terminal = || crossterm::terminal::size().ok().filter(|_| std::io::stdout().is_terminal());
    let width = terminal().map(|(width, _)| width).or_else(columns).unwrap_or(WIDTH).max(WIDTH_LEAST);
    let view = View { figures: &figures, screen: &screen, lanes: None, trouble: None, every: None, colours: false };
    let area = Rect::new(0, 0, width, view.height(width));
    let mut buffer = Buffer::empty(area);
    view.draw(area, &mut buffer);
    let line = |y| (0..width).filter_map(|x| buffer.cell((x, y))).map(|cell| cell.symbol()).collect::<String>();
    (0..area.height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
}

/// Less than this and a frame would be of no use.
const WIDTH_LEAST: u16 = 60;
