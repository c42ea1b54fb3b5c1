//! Keeps an eye on the host, and on the signals that ask the demo to end.

use std::{future::Future, time::Duration};

use anyhow::{Error, Result, anyhow};
use pelton_tests::Host;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

const POLL: Duration = Duration::from_millis(200);
/// Lines of the host's log shown with an error.
const TAIL: usize = 20;

/// Does `work` as long as the host runs; an error comes with the end of the host's log.
pub async fn while_running<T>(host: &mut Host, work: impl Future<Output = Result<T>>) -> Result<T> {
    let outcome = tokio::select! {
        outcome = work => outcome,
        error = ended(host) => Err(error),
    };
    outcome.map_err(|error| anyhow!("{}\n\nThe host's log ends with:\n{}", explain(&error), tail(host)))
}

/// Waits for Ctrl-C, or another signal that asks to end.
pub async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome?,
        _ = terminate.recv() => (),
        _ = hang_up.recv() => (),
    }
    Ok(())
}

/// An error with its causes, each said once.
pub fn explain(error: &Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

async fn ended(host: &mut Host) -> Error {
    loop {
        match host.ended() {
            Ok(None) => sleep(POLL).await,
            Ok(Some(status)) => return anyhow!("the host ended by itself ({status})"),
            Err(error) => return error,
        }
    }
}

fn tail(host: &Host) -> String {
    let lines = host.log().unwrap_or_default();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
