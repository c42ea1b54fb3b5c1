//! The table `http` as written, and what it means: where the host serves HTTP, and to whom.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::meant::Finding;

/// Where the host serves HTTP, and to whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// The address; port 0 is any free one.
    pub listen: SocketAddr,
    /// The names that clients may call the host by, besides its addresses and `localhost`.
    pub names: Vec<String>,
    /// What clients must show. Without it reading is open, and acting is not to be had.
    pub token: Option<Secret>,
    /// What to speak TLS with.
    pub tls: Option<Tls>,
}

/// Where to find a secret, which is never written in a config file.
#[derive(Clone, Debug, PartialEq)]
pub enum Secret {
    /// In an environment variable.
    Env(String),
    /// In a file.
    File(PathBuf),
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// The chain, the host's own certificate first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Loopback only.
const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7358);
/// What stands for no HTTP at all.
const OFF: &str = "off";

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct HttpTable {
    pub listen: Option<Spanned<String>>,
    #[serde(default)]
    pub names: Vec<String>,
    pub token: Option<Spanned<SecretTable>>,
    pub tls: Option<TlsTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretTable {
    pub env: Option<String>,
    pub file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsTable {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl HttpTable {
    /// What the table in a config file in `folder` means; none if HTTP is off.
    pub fn meant(self, folder: &Path) -> Result<Option<Http>, Finding> {
        let Self { listen, names, token, tls } = self;
        let token = token.map(|token| secret(token, folder)).transpose()?;
        let tls = tls.map(|TlsTable { cert, key }| Tls { cert: folder.join(cert), key: folder.join(key) });
        let Some(written) = listen else { return Ok(Some(Http { listen: DEFAULT, names, token, tls })) };
        if written.as_ref() == OFF {
            return Ok(None);
        }
        let listen: SocketAddr = written.as_ref().parse().map_err(|_| {
            let message = format!("{:?} is no address: write \"127.0.0.1:7358\", or \"off\"", written.as_ref());
            Finding::new(written.span(), message)
        })?;
        if !listen.ip().is_loopback() && (token.is_none() || tls.is_none()) {
            let message = format!(
                "{listen} is reached from other machines, so it needs TLS and a token: set tls = {{ cert = \"…\", key = \
                 \"…\" }} and token = {{ file = \"…\" }} in [http], or listen on 127.0.0.1"
            );
            return Err(Finding::new(written.span(), message));
        }
        Ok(Some(Http { listen, names, token, tls }))
    }
}

fn secret(written: Spanned<SecretTable>, folder: &Path) -> Result<Secret, Finding> {
    let at = written.span();
    match written.into_inner() {
        SecretTable { env: Some(name), file: None } => Ok(Secret::Env(name)),
        SecretTable { env: None, file: Some(file) } => Ok(Secret::File(folder.join(file))),
        SecretTable { .. } => Err(Finding::new(at, "a token is { env = \"NAME\" } or { file = \"…\" }")),
    }
}

/// Where it is to be found; never what it is.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::File(file) => write!(f, "the file {}", file.display()),
        }
    }
}

impl Secret {
    /// Reads it, without the white space around it.
    ///
    /// # Errors
    /// When it is not there; the text says where it was looked for.
    pub fn read(&self) -> Result<String, String> {
        let read = match self {
            Self::Env(name) => std::env::var(name).map_err(|error| error.to_string()),
            Self::File(file) => std::fs::read_to_string(file).map_err(|error| error.to_string()),
        };
        read.map(|secret| secret.trim().to_owned()).map_err(|cause| format!("{self}: {cause}"))
    }
}
