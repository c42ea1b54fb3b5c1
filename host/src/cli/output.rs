//! What verbs print: tables for people, JSON for programs.

use std::io::Write;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use serde::Serialize;

use crate::telemetry::LogFormat;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// A verb that runs prints nothing but its logs.
impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Json => Self::Json,
        }
    }
}

/// Prints `value` as JSON, or what `text` makes of it.
pub fn print<T: Serialize>(format: Format, value: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
    let shown = match format {
        Format::Text => text(value).chars().map(plain).collect(),
        Format::Json => serde_json::to_string_pretty(value)?,
    };
    put(&whole_lines(shown))?;
    Ok(())
}

/// Prints `value` as one line: of JSON, or what `text` makes of it. Says whether anybody still reads.
pub fn line<T: Serialize>(format: Format, value: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<bool> {
    let shown = match format {
        Format::Text => text(value).chars().map(|c| if c == '\n' { ' ' } else { plain(c) }).collect(),
        Format::Json => serde_json::to_string(value)?,
    };
    put(&whole_lines(shown))
}

fn whole_lines(mut shown: String) -> String {
    if !shown.ends_with('\n') {
        shown.push('\n');
    }
    shown
}

/// Prints a text that is Pelton's own, as it is.
pub fn write(shown: &str) -> anyhow::Result<()> {
    put(shown).map(drop)
}

/// Prints, and says whether anybody still reads.
fn put(shown: &str) -> anyhow::Result<bool> {
    match std::io::stdout().lock().write_all(shown.as_bytes()) {
        // Whoever reads has seen enough, as in `pelton dlq ls | head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        other => Ok(other.map(|()| true)?),
    }
}

/// What is shown of a character, which may come from anywhere: none may give orders to a terminal.
fn plain(c: char) -> char {
    if c.is_control() && c != '\n' { '\u{FFFD}' } else { c }
}

/// Prints an error.
pub fn error(text: &str) {
    // Nobody is left to tell if standard error is closed.
    std::io::stderr().lock().write_all(text.as_bytes()).ok();
}

/// Does `work`, and `say`s something meanwhile if it takes longer than `silent`.
pub fn while_slow<T>(silent: Duration, say: impl FnOnce() + Send, work: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        let (working, ended) = mpsc::channel::<()>();
        scope.spawn(move || {
            if ended.recv_timeout(silent) == Err(RecvTimeoutError::Timeout) {
                say();
            }
        });
        let done = work();
        drop(working);
        done
    })
}

/// Rows in columns as wide as their widest cell, under a head.
pub fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut all = vec![head.map(str::to_owned)];
    all.extend(rows);
    let mut widths = [0; N];
    for row in &all {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_work_is_told_of_while_it_goes_on_and_other_work_is_not() {
        let (said, heard) = mpsc::channel();
        let say = |said: mpsc::Sender<()>| move || said.send(()).unwrap();
        assert_eq!(while_slow(Duration::ZERO, say(said.clone()), || heard.recv()), Ok(()));
        assert_eq!(while_slow(Duration::from_secs(3_600), say(said), || 1), 1);
        assert!(heard.recv().is_err(), "nothing was said");
    }
}
