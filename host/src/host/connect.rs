//! The two connections of a host: one to read, one to commit, so that neither holds the other up.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, jetstream};
use tracing::{info, warn};

use super::Error;
use crate::config::Nats;
use crate::event::Sequence;
use crate::policy::backoff;

/// How long a request waits. Requests in flight at a disconnect do not fail sooner.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The connections of a host.
#[derive(Clone)]
pub struct Connections {
    /// For readers and requests.
    pub read: Client,
    /// For batches, and nothing else.
    pub commit: Client,
}

/// Connects twice.
pub async fn connect(nats: &Nats) -> Result<Connections, Error> {
    Ok(Connections { read: one(nats, "pelton-read").await?, commit: one(nats, "pelton-commit").await? })
}

async fn one(nats: &Nats, name: &'static str) -> Result<Client, Error> {
    let failed = |cause: String| Error::Connect { url: nats.url.clone(), cause };
    let mut options = ConnectOptions::new()
        .name(name)
        .request_timeout(Some(TIMEOUT))
        .reconnect_delay_callback(|attempt| backoff(Sequence(u64::from(std::process::id())), reconnects(attempt)))
        .event_callback(move |event| async move { log(name, &event) });
    if let Some(creds) = &nats.creds {
        options = options.credentials_file(creds).await.map_err(|e| failed(format!("{}: {e}", creds.display())))?;
    }
    let servers: Vec<&str> = nats.url.split(',').map(str::trim).collect();
    options.connect(servers).await.map_err(|e| failed(e.to_string()))
}

fn reconnects(attempt: usize) -> u32 {
    u32::try_from(attempt).unwrap_or(u32::MAX)
}

fn log(connection: &str, event: &Event) {
    match event {
        Event::Connected => info!(connection, "connected"),
        Event::Disconnected => warn!(connection, "disconnected; trying to connect again"),
        other => warn!(connection, event = %other, "connection"),
    }
}

impl Connections {
    /// JetStream, on the connection for reading.
    pub fn jetstream(&self) -> jetstream::Context {
        jetstream::new(self.read.clone())
    }

    /// The most bytes of a message that the server takes.
    pub fn max_payload(&self) -> usize {
        self.read.server_info().max_payload
    }

    /// The connections that are down, by name.
    pub fn lost(&self) -> impl Iterator<Item = &'static str> {
        let each = [("pelton-read", self.read.connection_state()), ("pelton-commit", self.commit.connection_state())];
        each.into_iter().filter(|(_, state)| *state != State::Connected).map(|(name, _)| name)
    }

    /// How often the connections that read and commit were made again.
    pub fn reconnects(&self) -> (u64, u64) {
        let of = |client: &Client| client.statistics().connects.load(Ordering::Relaxed).saturating_sub(1);
        (of(&self.read), of(&self.commit))
    }

    /// Sends what is in the buffers, and ends.
    pub async fn close(&self) {
        for client in [&self.commit, &self.read] {
            if let Err(error) = client.flush().await {
                warn!(%error, "the connection was not flushed");
            }
        }
    }
}
