//! `/api`: what the web page shows and does, besides views and modules, which are for every reader.

mod app;
mod feed;
mod graph;
mod hosts;
mod letters;
mod message;
mod modules;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};

use super::{Problem, Served};
use crate::commit::ledger::{self, Ledger};

/// The endpoints.
pub fn routes() -> Router<Served> {
    Router::new()
        .route("/api/app", get(app::app))
        .route("/api/hosts", get(hosts::list))
        .route("/api/modules", get(modules::list))
        .route("/api/modules/{module}/pause", post(modules::pause))
        .route("/api/modules/{module}/resume", post(modules::resume))
        .route("/api/graph", get(graph::json))
        .route("/api/graph.svg", get(graph::svg))
        .route("/api/dead-letters", get(letters::list))
        .route("/api/dead-letters/{module}/{lane}/{sequence}", get(letters::show))
        .route("/api/dead-letters/{module}/{lane}/{sequence}/replay", post(letters::replay))
        .route("/api/dead-letters/{module}/{lane}/{sequence}/discard", post(letters::discard))
        .route("/api/feed", get(feed::feed))
        .route("/api/events/{stream}/{sequence}", get(message::message))
}

/// Who acts, for the audit: whoever has the token, at this machine.
fn who() -> String {
    format!("http@{}", machine())
}

/// The name of this machine.
fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl Served {
    /// The app's ledger, to write what an operator decides.
    fn ledger(&self) -> Ledger {
        let publisher = self.connections.publisher();
        Ledger::new(self.query.subjects().clone(), self.query.reader().clone(), publisher)
    }
}

impl From<ledger::Error> for Problem {
    fn from(error: ledger::Error) -> Self {
        let status = match &error {
            ledger::Error::Unknown(_) => StatusCode::NOT_FOUND,
            ledger::Error::Contended => StatusCode::CONFLICT,
            ledger::Error::Unanswered(_)
            | ledger::Error::Read(_)
            | ledger::Error::Refused(_)
            | ledger::Error::Gone(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}
