//! A collector of traces that is no part of Pelton: takes OTLP over HTTP, and reads it with the messages that OpenTelemetry
//! publishes.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
pub use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
};
use prost::Message;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::{SOON, eventually};

/// A collector that takes spans, until it is dropped.
pub struct Collector {
    address: SocketAddr,
    is_secure: bool,
    got: Arc<Got>,
    serving: JoinHandle<()>,
}

/// What came so far.
#[derive(Default)]
struct Got {
    /// What to answer; 0 for 200.
    status: AtomicU16,
    requests: Mutex<Vec<(String, HeaderMap)>>,
    spans: Mutex<Vec<Told>>,
}

/// A span, and who told of it.
#[derive(Clone, Debug)]
pub struct Told {
    /// The span.
    pub span: Span,
    /// What its resource says.
    pub resource: Vec<KeyValue>,
}

impl Told {
    /// The span's id, its parent's and its trace's, in hex.
    pub fn ids(&self) -> (String, String, String) {
        (hex(&self.span.span_id), hex(&self.span.parent_span_id), hex(&self.span.trace_id))
    }

    /// The context that a child of the span would carry, if it is sampled.
    pub fn context(&self) -> String {
        let (id, _, trace) = self.ids();
        format!("00-{trace}-{id}-01")
    }

    /// An attribute as text, or nothing.
    pub fn attribute(&self, name: &str) -> String {
        attribute(&self.span.attributes, name)
    }

    /// What its resource says of that, or nothing.
    pub fn of_resource(&self, name: &str) -> String {
        attribute(&self.resource, name)
    }

    /// Whether it failed, and why.
    pub fn failure(&self) -> Option<&str> {
        let status = self.span.status.as_ref()?;
        (status.code() == StatusCode::Error).then_some(status.message.as_str())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(all: &[KeyValue], name: &str) -> String {
    let value = all.iter().find(|pair| pair.key == name).and_then(|pair| pair.value.clone()?.value);
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        _ => String::new(),
    }
}

impl Collector {
    /// A collector on a free port of this machine.
    pub async fn start() -> Result<Self> {
        Self::serve(None).await
    }

    /// The same over TLS.
    pub async fn start_with(tls: TlsAcceptor) -> Result<Self> {
        Self::serve(Some(tls)).await
    }

    async fn serve(tls: Option<TlsAcceptor>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, is_secure, got) = (listener.local_addr()?, tls.is_some(), Arc::<Got>::default());
        let all = got.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, got) = (tls.clone(), all.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, got).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                answer(stream, got).await;
                            }
                        }
                    }
                });
            }
        });
        Ok(Self { address, is_secure, got, serving })
    }

    /// Where it is.
    pub fn endpoint(&self) -> String {
        format!("http{}://{}", if self.is_secure { "s" } else { "" }, self.address)
    }

    /// Answers with this status from now on, and takes no spans unless it is 200.
    pub fn answers(&self, status: u16) {
        self.got.status.store(status, Ordering::Release);
    }

    /// Paths and headers of the requests so far.
    pub fn requests(&self) -> Vec<(String, HeaderMap)> {
        lock(&self.got.requests).clone()
    }

    /// The spans that it took so far.
    pub fn spans(&self) -> Vec<Told> {
        lock(&self.got.spans).clone()
    }

    /// Waits until it has as many spans, and gives them.
    pub async fn gets(&self, spans: usize) -> Result<Vec<Told>> {
        let what = format!("{spans} spans");
        eventually(&what, SOON, async || Ok(Some(self.spans()).filter(|got| got.len() >= spans))).await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, got: Arc<Got>) {
    let take = service_fn(async |request| Ok::<_, Infallible>(take(&got, request).await));
    // A client that goes away is no matter.
    http1::Builder::new().serve_connection(TokioIo::new(stream), take).await.ok();
}

async fn take(got: &Got, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    lock(&got.requests).push((head.uri.to_string(), head.headers));
    let read = match body.collect().await {
        Ok(body) => ExportTraceServiceRequest::decode(body.to_bytes()).ok(),
        Err(_) => None,
    };
    let status = match (got.status.load(Ordering::Acquire), read) {
        (0 | 200, Some(request)) => {
            lock(&got.spans).extend(told(request));
            200
        }
        (0 | 200, None) => 400,
        (other, _) => other,
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = status.try_into().unwrap_or_default();
    response
}

fn told(request: ExportTraceServiceRequest) -> impl Iterator<Item = Told> {
    request.resource_spans.into_iter().flat_map(|from| {
        let resource = from.resource.unwrap_or_default().attributes;
        let spans = from.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.map(move |span| Told { span, resource: resource.clone() })
    })
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
