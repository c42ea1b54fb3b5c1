//! The table `http` as written, and what it means: where the host serves HTTP, and to whom.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::meant::Finding;
use super::secret::{Secret, SecretTable};

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
pub struct TlsTable {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl HttpTable {
    /// What the table in a config file in `folder` means; none if HTTP is off.
    pub fn meant(self, folder: &Path) -> Result<Option<Http>, Finding> {
        let Self { listen, names, token, tls } = self;
        let secret = |token: Spanned<SecretTable>| {
            let at = token.span();
            token.into_inner().meant(folder).map_err(|why| Finding::new(at, why))
        };
        let token = token.map(secret).transpose()?;
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
