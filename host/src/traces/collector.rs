//! A collector of traces, reached by OTLP over HTTP: one request for each batch of spans.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::rt::{Read, Write};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::otlp::Response;
use crate::config::{Endpoint, Export};

/// How long a request may take, with the connection for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of an answer that are read.
const ANSWER: usize = 64 << 10;

/// A collector, and what it wants to be told with each request.
#[derive(Clone, Debug)]
pub struct Collector {
    endpoint: Endpoint,
    headers: HeaderMap,
    tls: Option<Tls>,
}

#[derive(Clone)]
struct Tls(TlsConnector, ServerName<'static>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({:?})", self.1)
    }
}

/// Why a collector did not take spans.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    /// It may take them later, perhaps after so long.
    Later(String, Option<Duration>),
    /// It will not take these.
    Never(String),
}

/// Spans that the collector took but for some.
#[derive(Debug, Default, PartialEq)]
pub struct Taken {
    /// How many it did not take.
    pub rejected: u64,
    /// Why, or something else that it has to say.
    pub message: String,
}

impl Collector {
    /// The collector that `export` means.
    ///
    /// # Errors
    /// When a header's secret cannot be read or sent, or TLS cannot be set up. The secret is never said.
    pub fn of(export: &Export) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        for (name, secret) in &export.headers {
            let unfit = |_| format!("the header {name} cannot hold what is in {secret}");
            let mut value = HeaderValue::from_str(&secret.read()?).map_err(unfit)?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        let (endpoint, host) = (export.endpoint.clone(), export.endpoint.authority());
        headers.insert(HOST, HeaderValue::from_str(host).map_err(|error| error.to_string())?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let tls = if endpoint.is_secure() { Some(tls(&endpoint)?) } else { None };
        Ok(Self { endpoint, headers, tls })
    }

    /// Sends a batch. On a connection of its own: one every few seconds is not worth keeping any.
    pub async fn send(&self, body: Bytes) -> Result<Taken, Refusal> {
        let late = || Err(Refusal::Later(format!("no answer within {PATIENCE:?}"), None));
        tokio::time::timeout(PATIENCE, self.exchange(body)).await.unwrap_or_else(|_| late())
    }

    async fn exchange(&self, body: Bytes) -> Result<Taken, Refusal> {
        let mut request = Request::post(self.endpoint.path())
            .body(Full::new(body))
            .map_err(|error| Refusal::Never(error.to_string()))?;
        request.headers_mut().clone_from(&self.headers);
        let stream = TcpStream::connect((self.endpoint.host(), self.endpoint.port())).await.map_err(away)?;
        match &self.tls {
            None => answered(TokioIo::new(stream), request).await,
            Some(Tls(connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(away)?;
                answered(TokioIo::new(stream), request).await
            }
        }
    }
}

fn tls(endpoint: &Endpoint) -> Result<Tls, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = endpoint.host().to_owned();
    let name = ServerName::try_from(host).map_err(|error| format!("{endpoint}: {error}"))?;
    Ok(Tls(TlsConnector::from(Arc::new(config)), name))
}

async fn answered(
    stream: impl Read + Write + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Taken, Refusal> {
    let (mut sender, connection) = http1::handshake(stream).await.map_err(away)?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(away)?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER).collect().await.map_or_else(|_| Bytes::new(), |body| body.to_bytes());
        judge(head.status, &head.headers, &body)
    };
    tokio::pin!(connection);
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // What the connection read last may be the answer.
        _ = &mut connection => exchange.await,
    }
}

/// What an answer means, as the OTLP specification has it.
fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Taken, Refusal> {
    if status.is_success() {
        let said = Response::decode(body).ok().and_then(|answer| answer.partial_success).unwrap_or_default();
        return Ok(Taken { rejected: said.rejected_spans.max(0).unsigned_abs(), message: said.error_message });
    }
    let cause = format!("it answers {status}");
    match status.as_u16() {
        429 | 502 | 503 | 504 => {
            let after = headers.get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.trim().parse().ok());
            Err(Refusal::Later(cause, after.map(Duration::from_secs)))
        }
        _ => Err(Refusal::Never(cause)),
    }
}

fn away(error: impl std::fmt::Display) -> Refusal {
    Refusal::Later(error.to_string(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sorted_by_what_to_do_next() {
        let judged = |status: u16, after: Option<&'static str>| {
            let after = after.map(|after| (RETRY_AFTER, HeaderValue::from_static(after)));
            judge(StatusCode::from_u16(status).unwrap(), &after.into_iter().collect(), b"")
        };
        assert_eq!(judged(200, None), Ok(Taken::default()));
        for status in [429, 502, 503, 504] {
            let after = Some(Duration::from_secs(7));
            assert!(matches!(judged(status, Some("7")), Err(Refusal::Later(_, said)) if said == after), "{status}");
            assert!(matches!(judged(status, Some("Fri")), Err(Refusal::Later(_, None))), "{status}");
        }
        for status in [301, 400, 401, 404, 413, 500] {
            assert!(matches!(judged(status, None), Err(Refusal::Never(_))), "{status}");
        }
    }

    #[test]
    fn what_a_collector_did_not_take_is_read_from_its_answer() {
        let said = super::super::otlp::PartialSuccess { rejected_spans: 3, error_message: "no room".to_owned() };
        let body = Response { partial_success: Some(said) }.encode_to_vec();
        let taken = judge(StatusCode::OK, &HeaderMap::new(), &body);
        assert_eq!(taken, Ok(Taken { rejected: 3, message: "no room".to_owned() }));
        assert_eq!(judge(StatusCode::OK, &HeaderMap::new(), b"{}"), Ok(Taken::default()));
    }
}
