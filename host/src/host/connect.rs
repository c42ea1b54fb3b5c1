//! The two connections of a host: one to read, one to commit, so that neither holds the other up.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, ServerError, jetstream};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::Error;
use crate::commit::batch::Publisher;
use crate::config::{Auth, Nats, Tls};
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
    /// What the server last did not let through on the connection for batches, as it says it.
    denied: watch::Receiver<String>,
    api_prefix: String,
}

/// Connects twice.
pub async fn connect(nats: &Nats) -> Result<Connections, Error> {
    let ((read, _), (commit, denied)) = (one(nats, "pelton-read").await?, one(nats, "pelton-commit").await?);
    Ok(Connections { read, commit, denied, api_prefix: nats.api_prefix.clone() })
}

/// A connection, and what the server does not let through on it.
async fn one(nats: &Nats, name: &'static str) -> Result<(Client, watch::Receiver<String>), Error> {
    let hint = if nats.is_named { "" } else { ". No server is named: `pelton dev` starts one, [nats] url names one" };
    let failed = |cause: String| Error::Connect { url: nats.shown(), cause: cause + hint };
    let (deny, denied) = watch::channel(String::new());
    let options = ConnectOptions::new()
        .name(name)
        .request_timeout(Some(TIMEOUT))
        .reconnect_delay_callback(|attempt| backoff(Sequence(u64::from(std::process::id())), reconnects(attempt)))
        .event_callback(move |event| {
            let deny = deny.clone();
            async move { heard(name, &event, &deny) }
        });
    let options = authenticated(options, &nats.auth).await.map_err(failed)?;
    let options = secured(options, nats.tls.as_ref());
    let options = match &nats.inbox_prefix {
        Some(prefix) => options.custom_inbox_prefix(prefix),
        None => options,
    };
    let servers: Vec<&str> = nats.servers.iter().map(String::as_str).collect();
    let client = options.connect(servers).await.map_err(|e| failed(because(&e)))?;
    Ok((client, denied))
}

/// An error with its causes, which the client keeps apart.
fn because(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

async fn authenticated(options: ConnectOptions, auth: &Auth) -> Result<ConnectOptions, String> {
    Ok(match auth {
        Auth::None => options,
        Auth::User(user, password) => options.user_and_password(user.clone(), password.read()?),
        Auth::Token(token) => options.token(token.read()?),
        Auth::Nkey(path) => options.nkey(seed(path)?),
        Auth::Creds(path) => {
            let shown = |cause| format!("cannot use the credentials in {}: {cause}", path.display());
            options.credentials_file(path).await.map_err(shown)?
        }
    })
}

/// The seed in a file that may hold more, as those of `nk` and `nsc` do.
fn seed(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|cause| format!("cannot read {}: {cause}", path.display()))?;
    let seed = text.lines().map(str::trim).find(|line| line.starts_with("SU"));
    seed.map(str::to_owned).ok_or_else(|| format!("{} holds no seed of a user, which begins with SU", path.display()))
}

fn secured(mut options: ConnectOptions, tls: Option<&Tls>) -> ConnectOptions {
    let Some(Tls { ca, client, first }) = tls else { return options };
    options = options.require_tls(true);
    if let Some(ca) = ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let Some((cert, key)) = client {
        options = options.add_client_certificate(cert.clone(), key.clone());
    }
    if *first { options.tls_first() } else { options }
}

fn reconnects(attempt: usize) -> u32 {
    u32::try_from(attempt).unwrap_or(u32::MAX)
}

fn heard(connection: &str, event: &Event, deny: &watch::Sender<String>) {
    match event {
        Event::Connected => info!(connection, "connected"),
        Event::Disconnected => warn!(connection, "disconnected; trying to connect again"),
        // This program closes it.
        Event::Closed => debug!(connection, "closed"),
        // Each message that is not let through gives one.
        Event::ServerError(ServerError::Other(said)) if is_denial(said) => {
            debug!(connection, said, "not let through");
            deny.send_replace(said.clone());
        }
        other => warn!(connection, event = %other, "connection"),
    }
}

/// Whether the server says that it does not let a message through.
fn is_denial(said: &str) -> bool {
    said.to_ascii_lowercase().contains("permissions violation for publish")
}

impl Connections {
    /// What publishes batches.
    pub fn publisher(&self) -> Publisher {
        Publisher::new(self.commit.clone(), self.denied.clone())
    }

    /// JetStream, on the connection for reading.
    pub fn jetstream(&self) -> jetstream::Context {
        jetstream::with_prefix(self.read.clone(), &self.api_prefix)
    }

    /// What subjects of JetStream's API begin with.
    pub fn api_prefix(&self) -> &str {
        &self.api_prefix
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
