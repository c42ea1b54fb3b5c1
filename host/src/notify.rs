//! Tells the service manager what the host is about, as `sd_notify(3)` says: a datagram to the socket that it names.

use std::ffi::OsStr;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::status::{Reason, Status};

/// Names the socket; set by systemd for units of `Type=notify`.
const VARIABLE: &str = "NOTIFY_SOCKET";
/// How often it is looked whether there is something new to tell.
const INTERVAL: Duration = Duration::from_secs(1);
/// The most bytes of a status: it is one line on a screen.
const LINE: usize = 500;

/// The way to a service manager.
#[derive(Debug)]
pub struct Manager(UnixDatagram);

impl Manager {
    /// The one that started this process; none if none did, or it cannot be reached.
    pub fn of_process() -> Option<Self> {
        let address = std::env::var_os(VARIABLE).filter(|address| !address.is_empty())?;
        let manager = connect(&address).and_then(|socket| socket.set_nonblocking(true).map(|()| Self(socket)));
        manager.inspect_err(|error| warn!(%error, ?address, "{VARIABLE} cannot be reached: nobody is notified")).ok()
    }

    /// Tells that the host runs, then what is wrong with it whenever that changes, and in the end that it stops.
    pub async fn keep_told(self, status: Status, shutdown: CancellationToken) {
        let mut told = line(&status.reasons());
        self.tell(&format!("READY=1\nSTATUS={told}"));
        let mut tick = tokio::time::interval(INTERVAL);
        while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
            let now = line(&status.reasons());
            if now != told {
                self.tell(&format!("STATUS={now}"));
                told = now;
            }
        }
        self.tell("STOPPING=1\nSTATUS=stopping: what is in hand is finished and committed");
    }

    fn tell(&self, state: &str) {
        if let Err(error) = self.0.send(state.as_bytes()) {
            warn!(%error, state, "the service manager could not be notified");
        }
    }
}

/// A socket that sends to `address`: a path, or a name in the abstract namespace behind an `@`.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match address.as_encoded_bytes().strip_prefix(b"@") {
        Some(name) => connect_abstract(&socket, name)?,
        None => socket.connect(address)?,
    }
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn connect_abstract(socket: &UnixDatagram, name: &[u8]) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    socket.connect_addr(&SocketAddr::from_abstract_name(name)?)
}

#[cfg(not(target_os = "linux"))]
fn connect_abstract(_: &UnixDatagram, _: &[u8]) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has an abstract namespace"))
}

/// What is wrong, in one line.
fn line(reasons: &[Reason]) -> String {
    if reasons.is_empty() {
        return "running".to_owned();
    }
    let each = reasons.iter().map(|reason| match &reason.module {
        Some(module) => format!("module {module}: {}", reason.reason),
        None => format!("{}: {}", reason.what, reason.reason),
    });
    let line = each.collect::<Vec<_>>().join("; ").replace(char::is_control, " ");
    line.get(..line.floor_char_boundary(LINE)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_one_short_line() {
        let reason = |what, module: Option<&str>, reason: &str| Reason {
            what,
            module: module.map(|name| name.parse().unwrap()),
            reason: reason.to_owned(),
        };
        let full = reason("commit", None, "insufficient storage\n(10047)");
        let halted = reason("module", Some("totals"), "it halted: STOPPING=1");
        for (reasons, expected) in [
            (vec![], "running"),
            (vec![full.clone()], "commit: insufficient storage (10047)"),
            (vec![full, halted], "commit: insufficient storage (10047); module totals: it halted: STOPPING=1"),
        ] {
            assert_eq!(line(&reasons), expected);
        }
        let long = line(&[reason("commit", None, &"é".repeat(LINE))]);
        assert!(long.len() <= LINE && long.ends_with('é'), "{long}");
    }
}
