//! What a server tells at its monitoring address, of which an app's own connection hears nothing: when it writes to disk, and
//! how full its storage is.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Uri, body::Bytes};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

use super::{Storage, Sync};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of an answer that are read.
const ANSWER: usize = 1 << 20;
/// The port, unless the address has one.
const PORT: u16 = 8222;

/// What a server tells of itself.
#[derive(Clone, Debug)]
pub struct Monitored {
    /// Its name.
    pub server: String,
    /// When it writes to disk.
    pub sync: Sync,
    /// Its storage, for all accounts.
    pub storage: Storage,
}

/// What a server answers of its variables, as far as it matters; by HTTP as by NATS.
#[derive(Deserialize)]
pub(super) struct Variables {
    #[serde(default)]
    server_name: String,
    jetstream: JetStream,
}

#[derive(Deserialize)]
struct JetStream {
    config: Option<Setting>,
    stats: Option<Stats>,
}

#[derive(Deserialize)]
struct Setting {
    #[serde(default)]
    sync_interval: u64,
    #[serde(default)]
    sync_always: bool,
    #[serde(default)]
    max_storage: u64,
}

#[derive(Deserialize)]
struct Stats {
    #[serde(default)]
    storage: u64,
}

impl Variables {
    /// When the server writes to disk, if it stores anything.
    pub(super) fn sync(&self) -> Option<Sync> {
        let setting = self.jetstream.config.as_ref()?;
        let every = Duration::from_nanos(setting.sync_interval);
        Some(if setting.sync_always { Sync::Always } else { Sync::Every(every) })
    }

    fn monitored(self) -> Option<Monitored> {
        let sync = self.sync()?;
        let (setting, stats) = (self.jetstream.config?, self.jetstream.stats?);
        let storage = Storage { used: stats.storage, limit: Some(setting.max_storage) };
        Some(Monitored { server: self.server_name, sync, storage })
    }
}

/// Asks the server whose monitoring address this is, like `http://HOST:8222`.
pub async fn ask(address: &Uri) -> Result<Monitored, String> {
    let late = || Err(format!("no answer within {PATIENCE:?}"));
    let body = tokio::time::timeout(PATIENCE, get(address)).await.unwrap_or_else(|_| late())?;
    let told: Variables = serde_json::from_slice(&body)
        .map_err(|error| format!("it answers something else than a server's state: {error}"))?;
    told.monitored().ok_or_else(|| "JetStream is not enabled there".to_owned())
}

async fn get(address: &Uri) -> Result<Bytes, String> {
    if address.scheme_str() != Some("http") {
        return Err("only http:// addresses are asked".to_owned());
    }
    let authority = address.authority().ok_or("there is no host in it")?;
    let (host, port) = (authority.host().trim_matches(['[', ']']), authority.port_u16().unwrap_or(PORT));
    let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let path = format!("{}/varz", address.path().trim_end_matches('/'));
    let request = Request::get(path).header(HOST, authority.as_str()).body(Empty::<Bytes>::new());
    let answer = sender.send_request(request.map_err(|error| error.to_string())?).await;
    let answer = answer.map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("it answers {}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), ANSWER).collect().await.map_err(|error| error.to_string())?;
    connection.abort();
    Ok(body.to_bytes())
}
