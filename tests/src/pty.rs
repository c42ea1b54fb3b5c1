//! A terminal that only a test looks at.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::process::signal;
use crate::wait::eventually;

/// A program on a terminal of its own. Dropped, it is killed.
pub struct Pty {
    child: Child,
    keys: File,
    terminal: OwnedFd,
    shown: Arc<Mutex<Vec<u8>>>,
    before: Modes,
}

/// How a terminal treats keys and output: input, output, control and local modes.
type Modes = [libc::tcflag_t; 4];

impl Pty {
    /// Starts `command` on a terminal of 100 columns and 30 lines.
    pub fn spawn(mut command: Command) -> Result<Self> {
        let (master, terminal) = open()?;
        let before = modes(&terminal)?;
        command.stdin(terminal.try_clone()?).stdout(terminal.try_clone()?).stderr(terminal.try_clone()?);
        let child = command.spawn()?;
        let keys = File::from(master);
        let (mut output, shown) = (keys.try_clone()?, Arc::<Mutex<Vec<u8>>>::default());
        let seen = shown.clone();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut part) {
                seen.lock().unwrap_or_else(PoisonError::into_inner).extend(part.get(..read).unwrap_or_default());
            }
        });
        Ok(Self { child, keys, terminal, shown, before })
    }

    /// All that was written so far, with its orders to the terminal.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until `text` was written.
    pub async fn shows(&self, text: &str) -> Result<()> {
        let what = format!("{text:?} on the terminal");
        eventually(&what, Duration::from_secs(20), async || Ok(self.shown().contains(text).then_some(()))).await
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        Ok(self.keys.write_all(keys.as_bytes())?)
    }

    /// Asks the program to end (SIGTERM).
    pub fn terminate(&self) -> Result<()> {
        signal(self.child.id(), libc::SIGTERM)
    }

    /// Waits for the program to end.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        eventually("the end of the program", Duration::from_secs(20), async || Ok(self.child.try_wait()?)).await
    }

    /// Whether the terminal treats keys and output as before the program.
    pub fn is_as_before(&self) -> Result<bool> {
        Ok(modes(&self.terminal)? == self.before)
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // It may have ended before.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[allow(unsafe_code, reason = "openpty(3) gives two new descriptors, which nobody else owns")]
fn open() -> Result<(OwnedFd, OwnedFd)> {
    let size = libc::winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    let (mut master, mut terminal) = (-1, -1);
    let none = std::ptr::null_mut();
    let opened =
        unsafe { libc::openpty(&raw mut master, &raw mut terminal, none, none.cast(), (&raw const size).cast_mut()) };
    ensure!(opened == 0, "no terminal: {}", std::io::Error::last_os_error());
    Ok(unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(terminal)) })
}

#[allow(unsafe_code, reason = "tcgetattr(3) fills a structure that may hold anything before")]
fn modes(terminal: &OwnedFd) -> Result<Modes> {
    let mut is: libc::termios = unsafe { std::mem::zeroed() };
    let got = unsafe { libc::tcgetattr(terminal.as_raw_fd(), &raw mut is) };
    ensure!(got == 0, "the terminal cannot be read: {}", std::io::Error::last_os_error());
    Ok([is.c_iflag, is.c_oflag, is.c_cflag, is.c_lflag])
}
