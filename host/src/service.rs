//! The app's queries as a NATS micro service, which stock tools list: the same answers as over HTTP.

use std::sync::Arc;

use async_nats::service::{Request, ServiceExt, error::Error as ServiceError};
use futures::StreamExt;
use futures::stream::select_all;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::host::Connections;
use crate::query::views::{MOST_KEYS, PAGE_BYTES, Wanted};
use crate::query::{self, Query};
use crate::subject::Name;

/// What can be asked.
#[derive(Clone, Copy, Debug)]
enum Question {
    Views,
    Keys,
    Get,
    Modules,
}

/// The endpoints: question, name and last tokens of the subject.
const ENDPOINTS: [(Question, &str, &str); 4] = [
    (Question::Views, "views-ls", "views.ls"),
    (Question::Keys, "views-keys", "views.keys"),
    (Question::Get, "views-get", "views.get"),
    (Question::Modules, "modules", "modules"),
];

/// What a client may say of a view. All endpoints take an empty payload for none of it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    view: Option<Name>,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    prefix: String,
    behind: Option<String>,
    limit: Option<usize>,
}

/// Why there is no answer.
struct Refused {
    code: usize,
    why: String,
}

impl From<query::Error> for Refused {
    fn from(error: query::Error) -> Self {
        let code = match error {
            query::Error::Unknown { .. } => 404,
            query::Error::TooLarge { .. } => 413,
            _ => 503,
        };
        Self { code, why: error.to_string() }
    }
}

fn bad(why: impl Into<String>) -> Refused {
    Refused { code: 400, why: why.into() }
}

/// Answers until `shutdown`. A host that cannot serve them runs all the same.
pub async fn serve(query: Arc<Query>, connections: Connections, shutdown: CancellationToken) {
    if let Err(error) = answer(&query, &connections, &shutdown).await {
        warn!(%error, "queries are not served over NATS");
    }
}

async fn answer(
    query: &Arc<Query>,
    connections: &Connections,
    shutdown: &CancellationToken,
) -> Result<(), async_nats::Error> {
    let name = format!("pelton-{}", query.app());
    let builder = connections.read.service_builder().description(format!("Views and modules of {}", query.app()));
    let service = builder.start(&name, env!("CARGO_PKG_VERSION")).await?;
    let group = service.group(query.subjects().queries());
    let mut endpoints = Vec::new();
    for (question, name, subject) in ENDPOINTS {
        let requests = group.endpoint_builder().name(name).add(subject).await?;
        endpoints.push(requests.map(move |request| (question, request)).boxed());
    }
    info!(service = name, "serving queries over NATS");
    let requests = select_all(endpoints);
    // The server may be another after a reconnect, with another limit.
    let each = requests.for_each_concurrent(AT_A_TIME, |(question, request)| {
        one(query.clone(), question, request, connections.max_payload())
    });
    shutdown.run_until_cancelled(each).await;
    service.stop().await
}

/// Requests that are answered at a time.
const AT_A_TIME: usize = 16;

/// Bytes of an answer besides its entries: what is around them, and the key behind which the next page begins.
const AROUND: usize = 8 << 10;

/// Answers one request, in a message of at most `largest` bytes.
async fn one(query: Arc<Query>, question: Question, request: Request, largest: usize) {
    let entries = largest.saturating_sub(AROUND).min(PAGE_BYTES);
    let answer = match question {
        Question::Views => views(&query, &request).await,
        Question::Keys => keys(&query, &request, entries).await,
        Question::Get => get(&query, &request, entries).await,
        Question::Modules => modules(&query, &request).await,
    };
    let answer = answer.and_then(|answer| if answer.len() > largest { Err(too_large(largest)) } else { Ok(answer) });
    let answer = answer.map(Into::into).map_err(|Refused { code, why }| ServiceError { code, status: one_line(&why) });
    if let Err(error) = request.respond(answer).await {
        warn!(?question, %error, "an answer could not be sent");
    }
}

/// Only a page that is one value gets so far, or a list of very many modules or views.
fn too_large(largest: usize) -> Refused {
    let why = format!("the answer does not fit into a message of {largest} bytes: ask over HTTP, or for other keys");
    Refused { code: 413, why }
}

/// What may stand in a header.
fn one_line(why: &str) -> String {
    why.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).collect()
}

async fn views(query: &Query, request: &Request) -> Result<Vec<u8>, Refused> {
    nothing(request)?;
    json(&query.views().await?)
}

async fn modules(query: &Query, request: &Request) -> Result<Vec<u8>, Refused> {
    nothing(request)?;
    json(&query.modules().await?)
}

async fn keys(query: &Query, request: &Request, bytes: usize) -> Result<Vec<u8>, Refused> {
    let Asked { view, keys, prefix, behind, limit } = asked(request)?;
    if !keys.is_empty() {
        return Err(bad("keys are for views.get"));
    }
    let limit = limit.unwrap_or(KEYS);
    if !(1..=MOST_KEYS).contains(&limit) {
        return Err(bad(format!("limit goes from 1 to {MOST_KEYS}")));
    }
    json(&query.page(&named(view)?, &Wanted { prefix, behind, limit, bytes }).await?)
}

/// Keys of a page, if the client does not say.
const KEYS: usize = 100;

async fn get(query: &Query, request: &Request, bytes: usize) -> Result<Vec<u8>, Refused> {
    let Asked { view, keys, prefix, behind, limit } = asked(request)?;
    if !prefix.is_empty() || behind.is_some() || limit.is_some() || !(1..=MOST_KEYS).contains(&keys.len()) {
        return Err(bad(format!("views.get takes view and 1 to {MOST_KEYS} keys")));
    }
    json(&query.entries(&named(view)?, keys, bytes).await?)
}

fn named(view: Option<Name>) -> Result<Name, Refused> {
    view.ok_or_else(|| bad("name the view: {\"view\":\"…\"}"))
}

fn nothing(request: &Request) -> Result<(), Refused> {
    let is_empty = request.message.payload.is_empty() || request.message.payload.as_ref() == b"{}";
    if is_empty { Ok(()) } else { Err(bad("this takes no parameters: send nothing")) }
}

fn asked(request: &Request) -> Result<Asked, Refused> {
    serde_json::from_slice(&request.message.payload).map_err(|error| bad(error.to_string()))
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Refused> {
    serde_json::to_vec(value).map_err(|error| Refused { code: 500, why: error.to_string() })
}
