//! What a host serves over HTTP: its health, its metrics, and the app's views and events.
//!
//! [`listen`] takes connections in, [`guard`] says who may do what, the other files answer.

mod api;
mod feed;
mod guard;
mod health;
mod listen;
mod page;
mod params;
mod problem;
mod publish;
mod views;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use self::guard::{Access, Acting};
pub use self::listen::{Error, Server};
pub use self::problem::Problem;
use crate::config::Config;
use crate::host::Connections;
use crate::query::Query;
use crate::status::{Reason, Status};

/// What answers are made of. Clones share it.
#[derive(Clone)]
pub struct Served {
    /// The app's config.
    pub config: Arc<Config>,
    /// What the host knows of itself.
    pub status: Status,
    /// The host's connections.
    pub connections: Connections,
    /// Reads the app back.
    pub query: Arc<Query>,
    /// Streams of answers that may still begin.
    pub streams: Arc<Semaphore>,
    /// Ends streams of answers.
    pub shutdown: CancellationToken,
}

impl Served {
    /// Why the host is not ready; empty if it is.
    pub fn reasons(&self) -> Vec<Reason> {
        let away = self.connections.lost();
        let away = away.map(|name| Reason { what: "nats", module: None, reason: format!("connection {name} is lost") });
        let mut reasons: Vec<Reason> = away.chain(self.status.reasons()).collect();
        if self.shutdown.is_cancelled() {
            reasons.push(Reason { what: "host", module: None, reason: "it is told to stop".to_owned() });
        }
        reasons
    }
}

/// Streams of answers at a time.
pub const STREAMS: usize = 64;
/// What is served, for programs.
const OPENAPI: &str = include_str!("openapi.json");

/// The largest body that is taken.
const BODY: usize = 8 << 20;
/// How long an answer may take to begin.
const BEGIN: Duration = Duration::from_secs(90);

/// The endpoints for programs, which the OpenAPI document names.
fn endpoints() -> [(&'static str, MethodRouter<Served>); 11] {
    [
        ("/livez", get(health::live)),
        ("/readyz", get(health::ready)),
        ("/metrics", get(health::metrics)),
        ("/modules", get(views::modules)),
        ("/modules/{module}", get(views::module)),
        ("/views", get(views::list)),
        ("/views/{view}", get(views::keys)),
        ("/views/{view}/{*key}", get(views::value)),
        ("/events", get(feed::events)),
        ("/events/{subject}", post(publish::events)),
        ("/openapi.json", get(openapi)),
    ]
}

/// All endpoints, behind `guard`: those for programs, and the web page with what it works with.
fn router(served: Served, guard: Arc<guard::Guard>) -> Router {
    endpoints()
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .route("/", get(page::index))
        .route("/assets/{file}", get(page::asset))
        .merge(api::routes())
        .fallback(async || {
            Problem::new(StatusCode::NOT_FOUND, "there is nothing here: /openapi.json lists what there is")
        })
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "not by this method: /openapi.json lists what there is")
        })
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .layer(middleware::from_fn(in_time))
        .with_state(served)
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn in_time(request: Request, next: Next) -> Response {
    let late = |_| Problem::new(StatusCode::GATEWAY_TIMEOUT, "no answer in time: try again").into_response();
    tokio::time::timeout(BEGIN, next.run(request)).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_names_every_endpoint_for_programs() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let named: BTreeSet<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
        // A parameter that takes slashes is one like others in OpenAPI.
        let served = endpoints().map(|(path, _)| path.replace("{*", "{"));
        assert_eq!(named, served.into());
    }
}
