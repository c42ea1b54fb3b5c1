//! `/livez`, `/readyz` and `/metrics`.

use std::sync::atomic::Ordering;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Access, Problem, Served};
use crate::metrics::CONTENT_TYPE;
use crate::status::Reason;

/// The process answers.
pub async fn live(headers: HeaderMap) -> Response {
    answer(&headers, &[], true)
}

/// Whether everything runs that is meant to run; if not, why.
pub async fn ready(State(served): State<Served>, Extension(access): Extension<Access>, headers: HeaderMap) -> Response {
    answer(&headers, &served.reasons(), access != Access::Probe)
}

/// JSON, or text for those who accept nothing else. What guests said is in `reason`, which is only for those who may read.
fn answer(headers: &HeaderMap, reasons: &[Reason], in_full: bool) -> Response {
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let shown = |reason: &Reason| if in_full { reason.reason.clone() } else { "for details show the token".to_owned() };
    if accepts.starts_with("text/plain") {
        let lines = reasons.iter().map(|reason| {
            let module = reason.module.as_ref().map(|module| format!(" {module}")).unwrap_or_default();
            format!("{}{module}: {}\n", reason.what, shown(reason))
        });
        let text = if reasons.is_empty() { "ok\n".to_owned() } else { lines.collect() };
        return (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response();
    }
    let reasons: Vec<_> = reasons.iter().map(|reason| Reason { reason: shown(reason), ..reason.clone() }).collect();
    let body = json!({ "ok": reasons.is_empty(), "reasons": reasons });
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// All metrics.
pub async fn metrics(State(served): State<Served>) -> Result<Response, Problem> {
    let metrics = served.status.metrics();
    let (read, commit) = served.connections.reconnects();
    metrics.read_reconnects.inner().store(read, Ordering::Relaxed);
    metrics.commit_reconnects.inner().store(commit, Ordering::Relaxed);
    let failed = |error: std::fmt::Error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let text = metrics.text().map_err(failed)?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}
