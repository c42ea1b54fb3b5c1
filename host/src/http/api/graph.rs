//! `/api/graph`: who feeds whom, with how the modules fare; as data and as an image.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::graph::{Graph, Live};
use crate::http::params::Params;
use crate::http::problem::as_json;
use crate::http::{Problem, Served};

/// An image needs its own styles and nothing else.
const IMAGE_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");

/// As nodes and edges.
pub async fn json(State(served): State<Served>, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    Ok(as_json(&graph(&served).await?))
}

/// As an image.
pub async fn svg(State(served): State<Served>, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml")),
        (header::CONTENT_SECURITY_POLICY, IMAGE_POLICY),
    ];
    Ok((headers, graph(&served).await?.svg()).into_response())
}

async fn graph(served: &Served) -> Result<Graph, Problem> {
    let live = served.query.modules().await?.into_iter().map(|module| {
        let name = module.record.module.to_string();
        (name, Live { state: Some(module.record.state), lag: module.lag })
    });
    Ok(Graph::of(&served.config).with_live(&live.collect::<BTreeMap<_, _>>()))
}
