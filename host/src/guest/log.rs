//! What guests say: lines for the operator's log, without control characters and within the module's rate. The last
//! lines of a call are kept, for the dead letter that it may end in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::{Level, debug, error, info, warn};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::event::Sequence;
use crate::subject::Name;

/// The most characters of a line.
const LINE: usize = 4 << 10;
/// The lines of a call that are kept.
const KEPT: usize = 20;
/// What WASI may write at once.
const AT_ONCE: usize = 64 << 10;

/// How much a module may write in a second; its instances share it.
#[derive(Debug)]
pub struct Rate {
    lines: f64,
    bytes: f64,
    left: Mutex<Left>,
}

#[derive(Debug)]
struct Left {
    lines: f64,
    bytes: f64,
    at: Instant,
    dropped: u64,
    /// When it was last said how many were dropped.
    told: Option<Instant>,
}

/// How often it is said at most that lines were dropped.
const TELL: Duration = Duration::from_secs(1);

impl Rate {
    /// So many lines and bytes a second, and as many at once.
    pub fn new(lines: u32, bytes: usize) -> Self {
        let (lines, bytes) = (f64::from(lines), bytes as f64);
        Self { lines, bytes, left: Mutex::new(Left { lines, bytes, at: Instant::now(), dropped: 0, told: None }) }
    }

    /// Whether a line of `module` with `size` bytes may be written now. Says how many were not, once one may again.
    pub fn admits(&self, module: &Name, size: usize) -> bool {
        let taken = self.take(size, Instant::now());
        if let Some(dropped) = taken.filter(|dropped| *dropped > 0) {
            warn!(%module, dropped, "lines of the plugin's log were dropped: it writes more than its limit");
        }
        taken.is_some()
    }

    /// Whether a line of `size` bytes may be written at `now`, and how many dropped ones are to be told of.
    fn take(&self, size: usize, now: Instant) -> Option<u64> {
        let (mut left, size) = (lock(&self.left), size as f64);
        let passed = now.saturating_duration_since(left.at).as_secs_f64();
        left.lines = passed.mul_add(self.lines, left.lines).min(self.lines);
        left.bytes = passed.mul_add(self.bytes, left.bytes).min(self.bytes);
        left.at = now;
        if left.lines < 1.0 || left.bytes < size {
            left.dropped += 1;
            return None;
        }
        left.lines -= 1.0;
        left.bytes -= size;
        if left.dropped == 0 || left.told.is_some_and(|told| now.saturating_duration_since(told) < TELL) {
            return Some(0);
        }
        left.told = Some(now);
        Some(std::mem::take(&mut left.dropped))
    }
}

/// The log of one instance. Clones share it: a guest writes to it by the import `log` and by WASI's output.
#[derive(Clone)]
pub struct Log(Arc<Mutex<Lines>>);

struct Lines {
    module: Name,
    rate: Arc<Rate>,
    sequence: Sequence,
    last: VecDeque<String>,
    /// The last line that it called an error.
    fault: Option<String>,
    /// What WASI wrote behind the last end of a line.
    begun: Vec<u8>,
}

impl Log {
    pub(super) fn new(module: Name, rate: Arc<Rate>) -> Self {
        let (last, begun) = (VecDeque::new(), Vec::new());
        Self(Arc::new(Mutex::new(Lines { module, rate, sequence: Sequence(0), last, fault: None, begun })))
    }

    /// Begins the lines of the input at `sequence`.
    pub(super) fn begin(&self, sequence: Sequence) {
        let mut lines = lock(&self.0);
        lines.sequence = sequence;
        lines.last.clear();
        lines.fault = None;
    }

    /// Writes a line.
    pub(super) fn line(&self, level: Level, text: &str) {
        lock(&self.0).write(level, text);
    }

    /// The last line of an input that its guest called an error.
    pub(super) fn fault(&self) -> Option<String> {
        lock(&self.0).fault.clone()
    }

    /// Ends the lines of an input; gives the last ones.
    pub(super) fn end(&self) -> Vec<String> {
        let mut lines = lock(&self.0);
        let begun = std::mem::take(&mut lines.begun);
        if !begun.is_empty() {
            lines.write(Level::INFO, &String::from_utf8_lossy(&begun));
        }
        lines.last.drain(..).collect()
    }
}

impl Lines {
    fn write(&mut self, level: Level, text: &str) {
        let line: String = text.chars().take(LINE).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let (module, sequence) = (&self.module, self.sequence.0);
        if self.rate.admits(module, line.len()) {
            match level {
                Level::ERROR => error!(target: "plugin", %module, sequence, line, "plugin says"),
                Level::WARN => warn!(target: "plugin", %module, sequence, line, "plugin says"),
                Level::INFO => info!(target: "plugin", %module, sequence, line, "plugin says"),
                _ => debug!(target: "plugin", %module, sequence, line, "plugin says"),
            }
        }
        if level == Level::ERROR {
            self.fault = Some(line.clone());
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// Takes what WASI writes, which comes in pieces of any size.
    fn output(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n').flat_map(|line| line.chunks(LINE)) {
            self.begun.extend_from_slice(piece);
            if self.begun.len() >= LINE || piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.begun);
                self.write(Level::INFO, String::from_utf8_lossy(&line).trim_end());
            }
        }
    }
}

/// WASI's standard output and error.
impl StdoutStream for Log {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl IsTerminal for Log {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl OutputStream for Log {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // The epoch does not end a call of the host: what it does for a guest at once is bounded.
        if bytes.len() > AT_ONCE {
            return Err(StreamError::trap("more bytes are written at once than `check-write` allows"));
        }
        lock(&self.0).output(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(AT_ONCE)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Log {
    async fn ready(&mut self) {}
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_lets_a_burst_through_and_then_as_much_as_it_says() {
        let (rate, start) = (Rate::new(2, 100), Instant::now());
        assert_eq!(rate.take(10, start), Some(0));
        assert_eq!(rate.take(10, start), Some(0));
        assert_eq!(rate.take(10, start), None);
        assert_eq!(rate.take(10, start), None);
        assert_eq!(
            rate.take(10, start + Duration::from_millis(600)),
            Some(2),
            "one more line, after two that were dropped"
        );
        let later = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(rate.take(10, later(700)), None);
        assert_eq!(rate.take(10, later(1_200)), Some(0), "it is told once a second");
        assert_eq!(rate.take(10, later(1_700)), Some(1));
        assert_eq!(rate.take(101, later(60_000)), None, "longer than all bytes of a second");
    }

    #[test]
    fn output_in_pieces_makes_lines() {
        let log = Log::new("m".parse().unwrap(), Arc::new(Rate::new(100, 1 << 20)));
        let mut stream = log.p2_stream();
        for piece in ["one\ntw", "o\u{1b}[1m\r\n", "\nthr", "ee"] {
            stream.write(piece.into()).unwrap();
        }
        assert_eq!(log.end(), ["one", "two [1m", "", "three"]);
        stream.write("x".repeat(LINE + 10).into()).unwrap();
        assert_eq!(log.end().iter().map(String::len).collect::<Vec<_>>(), [LINE, 10]);
    }

    #[test]
    fn the_last_lines_of_a_call_are_kept_even_if_they_are_over_the_rate() {
        let log = Log::new("m".parse().unwrap(), Arc::new(Rate::new(1, 10)));
        log.begin(Sequence(1));
        (0..50).for_each(|number| log.line(Level::INFO, &number.to_string()));
        assert_eq!(log.end(), (30..50).map(|number| number.to_string()).collect::<Vec<_>>());
        log.begin(Sequence(2));
        assert!(log.end().is_empty());
    }
}
