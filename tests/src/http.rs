//! An HTTP client that is no part of Pelton: a connection for each request, over TCP or TLS.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Response,
    body::Incoming,
    client::conn::http1,
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, rustls::ClientConfig, rustls::pki_types::ServerName};

/// A client of one host.
#[derive(Clone)]
pub struct Http {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("{} {:?}", self.status, self.text()))
    }

    /// What a problem says; nothing if it is none.
    pub fn problem(&self) -> String {
        let is_problem = self.header("content-type") == "application/problem+json";
        let detail = self.json().ok().and_then(|problem| Some(problem.get("detail")?.as_str()?.to_owned()));
        detail.filter(|_| is_problem).unwrap_or_default()
    }
}

/// Server-sent events as they come.
pub struct Events {
    body: Incoming,
    read: String,
}

impl Events {
    /// The fields of the next event; comments are left out. None if the stream has ended.
    pub async fn next(&mut self) -> Result<Option<Vec<(String, String)>>> {
        loop {
            if let Some(end) = self.read.find("\n\n") {
                let block: String = self.read.drain(..end + 2).collect();
                let fields = block.lines().filter_map(|line| line.split_once(": ").or_else(|| line.split_once(':')));
                let fields = fields.filter(|(name, _)| !name.is_empty());
                let fields: Vec<_> = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                if !fields.is_empty() {
                    return Ok(Some(fields));
                }
                continue;
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Some(data) = frame?.data_ref() {
                self.read.push_str(std::str::from_utf8(data)?);
            }
        }
    }
}

impl Http {
    /// A client of the host at `address`.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, tls: None, token: None }
    }

    /// The same, showing a token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same over TLS.
    pub fn with_tls(&self, config: ClientConfig) -> Self {
        Self { tls: Some(Arc::new(config)), ..self.clone() }
    }

    /// The host's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gets `path`.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send("GET", path, &[], "").await
    }

    /// Gets `path` as JSON, which must succeed.
    pub async fn get_json(&self, path: &str) -> Result<serde_json::Value> {
        let answer = self.get(path).await?;
        anyhow::ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text());
        answer.json()
    }

    /// Sends a request, and waits for the whole answer.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer> {
        let answer = self.request(method, path, headers, body.into()).await?;
        let (parts, body) = answer.into_parts();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.collect().await?.to_bytes() })
    }

    /// Opens a stream of server-sent events.
    pub async fn events(&self, path: &str, headers: &[(&str, &str)]) -> Result<Events> {
        let answer = self.request("GET", path, headers, Bytes::new()).await?;
        anyhow::ensure!(answer.status() == 200, "{path}: {}", answer.status());
        Ok(Events { body: answer.into_body(), read: String::new() })
    }

    async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header("host", self.address.to_string());
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body))?;
        let stream = TcpStream::connect(self.address).await?;
        match &self.tls {
            None => exchange(TokioIo::new(stream), request).await,
            Some(config) => {
                let name = ServerName::from(self.address.ip());
                exchange(TokioIo::new(TlsConnector::from(config.clone()).connect(name, stream).await?), request).await
            }
        }
    }
}

async fn exchange(
    stream: impl Read + Write + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>> {
    let (mut sender, connection) = http1::handshake(stream).await?;
    // It ends with the answer's body.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}
