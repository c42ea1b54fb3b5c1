//! Takes connections in: bounded in number and time, with TLS if asked for, and ended in order.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use super::guard::Guard;
use super::{Served, router};
use crate::config::{Http, HttpTls as Tls};

/// Why HTTP is not served.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("the token of [http]: {0}")]
    Token(String),
    #[error("the tls of [http]: {0}")]
    Tls(String),
    #[error("cannot serve HTTP on {address}: {cause}. Set another listen in [http], or listen = \"off\"")]
    Listen { address: SocketAddr, cause: std::io::Error },
}

/// Connections at a time; more wait until one ends.
const CONNECTIONS: usize = 256;
/// How long a client may take for the head of a request, also for the next one on the same connection.
const HEAD: Duration = Duration::from_secs(15);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long answers may take that are at work when the host is told to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// How long to wait when the system has no more connections to give.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// A host's HTTP server, which listens already.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    guard: Arc<Guard>,
}

impl Server {
    /// Listens as `http` says. What comes waits until it is served.
    ///
    /// # Errors
    /// When token or TLS files cannot be used, or the address is taken.
    pub async fn bind(http: &Http) -> Result<Self, Error> {
        let guard = Arc::new(Guard::of(http)?);
        let tls = http.tls.as_ref().map(acceptor).transpose()?;
        let failed = |cause| Error::Listen { address: http.listen, cause };
        let listener = TcpListener::bind(http.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        info!(%address, tls = tls.is_some(), token = http.token.is_some(), "serving HTTP");
        Ok(Self { listener, tls, guard })
    }

    /// Answers until the host is told to stop, and then finishes what is at work.
    pub async fn serve(self, served: Served) {
        let shutdown = served.shutdown.clone();
        let (router, tasks, room) =
            (router(served, self.guard), TaskTracker::new(), Arc::new(Semaphore::new(CONNECTIONS)));
        let next = async || {
            let place = room.clone().acquire_owned().await.ok()?;
            Some((place, self.listener.accept().await))
        };
        while let Some(Some((place, accepted))) = shutdown.run_until_cancelled(next()).await {
            match accepted {
                Ok((stream, _)) => {
                    let (tls, router) = (self.tls.clone(), router.clone());
                    tasks.spawn(connection(stream, tls, router, shutdown.clone(), place));
                }
                Err(error) => {
                    warn!(%error, "a connection could not be taken in");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            }
        }
        tasks.close();
        if tokio::time::timeout(LAST_ANSWERS, tasks.wait()).await.is_err() {
            warn!("clients did not take their last answers in time");
        }
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    shutdown: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    match tls {
        None => answer(stream, router, shutdown).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => answer(stream, router, shutdown).await,
            Ok(Err(error)) => debug!(%error, "a TLS handshake failed"),
            Err(_) => debug!("a TLS handshake took too long"),
        },
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router, shutdown: CancellationToken) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD);
    let mut serving = std::pin::pin!(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = shutdown.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended badly");
    }
}

fn acceptor(tls: &Tls) -> Result<TlsAcceptor, Error> {
    let unusable = |file: &Path, cause: &dyn std::fmt::Display| Error::Tls(format!("{}: {cause}", file.display()));
    let chain = CertificateDer::pem_file_iter(&tls.cert).map_err(|error| unusable(&tls.cert, &error))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|error| unusable(&tls.cert, &error))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| unusable(&tls.key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let mut config = config.map_err(|error| unusable(&tls.cert, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
