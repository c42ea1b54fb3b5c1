//! Shows how a long step goes on: a bar with rate and time left, or now and then a line where there is no terminal.

use std::{
    fmt,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::money::thousands;

const STYLE: &str = "{msg:<22} {wide_bar:.cyan/dim} {human_pos}/{human_len}  {rate}/s  {eta} left";
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The progress of one step.
pub struct Progress {
    title: &'static str,
    bar: ProgressBar,
    begin: Instant,
    first: u64,
    total: u64,
    spoke: Instant,
}

impl Progress {
    /// Begins a step that stands at `first` of `total`.
    pub fn new(title: &'static str, first: u64, total: u64) -> Self {
        let style = ProgressStyle::with_template(STYLE).unwrap_or_else(|_| ProgressStyle::default_bar());
        let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // A bar that cannot be written is no reason to stop.
            write!(out, "{}", thousands(state.per_sec() as u64)).ok();
        });
        let bar = ProgressBar::new(total).with_style(style).with_message(title).with_position(first);
        bar.reset_eta();
        let now = Instant::now();
        Self { title, bar, begin: now, first, total, spoke: now }
    }

    /// Shows that the step has come to `position`.
    pub fn at(&mut self, position: u64) {
        self.bar.set_position(position);
        if position > self.first && self.bar.is_hidden() && self.spoke.elapsed() > LINE_EVERY {
            self.spoke = Instant::now();
            self.speak(position);
        }
    }

    /// Ends the step with a line on what it came to.
    pub fn done(self) {
        let elapsed = self.begin.elapsed();
        self.done_in(elapsed);
    }

    /// The same for a step that was at work only for so long; says how many lines a second that was.
    pub fn done_in(self, time: Duration) -> u64 {
        self.bar.finish_and_clear();
        let (lines, seconds) = (self.total - self.first, time.as_secs_f64());
        let rate = (lines as f64 / seconds) as u64;
        println!("{:<22} {} lines in {seconds:.1} s, {}/s", self.title, thousands(lines), thousands(rate));
        rate
    }

    fn speak(&self, position: u64) {
        let rate = (position - self.first) as f64 / self.begin.elapsed().as_secs_f64();
        let left = (self.total - position) as f64 / rate;
        let (position, total) = (thousands(position), thousands(self.total));
        println!("{:<22} {position} of {total}, {}/s, {left:.0} s left", self.title, thousands(rate as u64));
    }
}
