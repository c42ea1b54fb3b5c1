//! `/api/app`: which app, host and server this is, and what whoever asks may do.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use crate::http::params::Params;
use crate::http::problem::as_json;
use crate::http::{Access, Problem, Served};

/// The app, its host, and NATS.
pub async fn app(
    State(served): State<Served>,
    Extension(access): Extension<Access>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let server = served.connections.read.server_info();
    let lost: Vec<&str> = served.connections.lost().collect();
    Ok(as_json(&json!({
        "app": served.config.app,
        "stream": served.query.subjects().stream(),
        "version": env!("CARGO_PKG_VERSION"),
        "host": super::machine(),
        "nats": { "name": server.server_name, "version": server.version, "lost": lost },
        "acts": access == Access::Act,
    })))
}
