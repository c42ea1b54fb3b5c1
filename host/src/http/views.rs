//! `/modules` and `/views`: what runs, and what it made.

use std::str::FromStr;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::params::{Params, Path, bad};
use super::problem::as_json;
use super::{Problem, Served};
use crate::config::Period;
use crate::event::Sequence;
use crate::query::views::{self, MOST_KEYS, PAGE_BYTES, Wanted};
use crate::subject::Name;

/// Keys of a page, if the client does not say.
const KEYS: usize = 100;
/// How long to wait for an input to be covered, if the client does not say; and at most.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);

/// All modules, with their lanes and lag.
pub async fn modules(State(served): State<Served>, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    Ok(as_json(&json!({ "modules": served.query.modules().await? })))
}

/// One module.
pub async fn module(
    State(served): State<Served>,
    Path(module): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    Ok(as_json(&served.query.module(&name(&module)?).await?))
}

/// All views.
pub async fn list(State(served): State<Served>, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    Ok(as_json(&json!({ "views": served.query.views().await? })))
}

/// Keys of a view with their values: a page of them, or those that are asked for.
pub async fn keys(State(served): State<Served>, Path(view): Path<String>, params: Params) -> Result<Response, Problem> {
    let params = params.only(&["key", "prefix", "limit", "behind", "after", "timeout"])?;
    let view = name(&view)?;
    let keys = params.all("key");
    if keys.len() > MOST_KEYS {
        return Err(bad(format!("at most {MOST_KEYS} keys at once")));
    }
    let wanted = Wanted {
        prefix: params.one("prefix")?.unwrap_or_default().to_owned(),
        behind: params.one("behind")?.map(str::to_owned),
        limit: limit(&params)?,
        bytes: PAGE_BYTES,
    };
    covered(&served, &view, &params).await?;
    if keys.is_empty() {
        return Ok(as_json(&served.query.page(&view, &wanted).await?));
    }
    if ["prefix", "behind", "limit"].iter().any(|paging| params.one(paging).ok().flatten().is_some()) {
        return Err(bad("key asks for certain keys: leave prefix, behind and limit out"));
    }
    Ok(as_json(&json!({ "entries": served.query.entries(&view, keys, PAGE_BYTES).await? })))
}

fn limit(params: &Params) -> Result<usize, Problem> {
    let what = format!("a number from 1 to {MOST_KEYS}");
    match params.parsed::<usize>("limit", &what)? {
        None => Ok(KEYS),
        Some(limit) if (1..=MOST_KEYS).contains(&limit) => Ok(limit),
        Some(limit) => Err(bad(format!("limit={limit} is not {what}"))),
    }
}

/// The value of a key, as it is stored.
pub async fn value(
    State(served): State<Served>,
    Path((view, key)): Path<(String, String)>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = params.only(&["after", "timeout"])?;
    let view = name(&view)?;
    covered(&served, &view, &params).await?;
    let (revision, value) = served.query.entry(&view, &key).await?;
    let tag = format!("\"{revision}\"");
    let cached = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if headers.get_all(header::IF_NONE_MATCH).iter().any(|known| knows(known.to_str().unwrap_or_default(), &tag)) {
        return Ok((StatusCode::NOT_MODIFIED, cached).into_response());
    }
    let kind = if views::as_json(&value).is_some() { "application/json" } else { "application/octet-stream" };
    Ok((cached, [(header::CONTENT_TYPE, kind)], value).into_response())
}

/// Whether a client has the answer with this tag already, as its `If-None-Match` says.
pub fn knows(known: &str, tag: &str) -> bool {
    known.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// The name that a part of a path is to be.
pub fn name(text: &str) -> Result<Name, Problem> {
    Name::from_str(text).map_err(|error| bad(error.to_string()))
}

/// Waits until the module that owns `view` has done the input that the parameter `after` names, if it is given.
async fn covered(served: &Served, view: &Name, params: &Params) -> Result<(), Problem> {
    let patience =
        params.parsed::<Period>("timeout", "a duration like 500ms or 10s")?.map_or(PATIENCE, |period| period.0);
    if patience > LONGEST_PATIENCE {
        return Err(bad(format!("timeout goes up to {LONGEST_PATIENCE:?}")));
    }
    let Some(after) = params.one("after")? else { return Ok(()) };
    let position = after.rsplit_once(':').and_then(|(stream, sequence)| Some((stream, sequence.parse().ok()?)));
    let Some((stream, sequence)) = position.map(|(stream, sequence)| (stream, Sequence(sequence))) else {
        return Err(bad(format!("after={after:?} is not STREAM:SEQUENCE, as the answer to a published event says it")));
    };
    let owner = served.config.modules.iter().find(|module| module.grants.views.contains(view));
    let unknown = || Problem::new(StatusCode::NOT_FOUND, format!("no module of this host owns the view \"{view}\""));
    let owner = owner.ok_or_else(unknown)?;
    let made_from = &owner.input.stream;
    if made_from != stream {
        return Err(bad(format!("the view \"{view}\" is made from the stream {made_from:?}, not {stream:?}")));
    }
    let stopping = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the host is told to stop: ask again");
    let waited = served.shutdown.run_until_cancelled(reached(served, &owner.name, sequence, patience)).await;
    let covered = match waited.ok_or_else(stopping)?? {
        None => return Ok(()),
        Some(covered) => covered,
    };
    let detail = format!(
        "module \"{}\" has come to {stream}:{covered}, not to {after}, in {patience:?}: ask again, or see /modules/{}",
        owner.name, owner.name
    );
    Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, detail).with("stream", stream).with("covered", covered))
}

/// How often checkpoints are read while somebody waits for lanes of other hosts.
const LOOK: Duration = Duration::from_millis(100);

/// Waits until a module is done with the input at `sequence`; or says how far it is after `patience`. A host that has all
/// its lanes knows; else, or where nobody runs it, the checkpoints tell.
async fn reached(
    served: &Served,
    module: &Name,
    sequence: Sequence,
    patience: Duration,
) -> Result<Option<Sequence>, Problem> {
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if served.status.runs(module) {
            // Lanes may go to another host meanwhile.
            if served.status.wait(module, sequence, left.min(LOOK * 10)).await {
                return Ok(None);
            }
        } else {
            tokio::time::sleep(left.min(LOOK)).await;
        }
        if !served.status.runs(module) || left.is_zero() {
            let covered = served.query.covered(module).await?;
            if covered >= sequence {
                return Ok(None);
            }
            if left.is_zero() {
                return Ok(Some(covered));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_tag_is_found_in_any_form() {
        for known in ["\"7\"", "W/\"7\"", "\"1\", \"7\"", "*"] {
            assert!(knows(known, "\"7\""), "{known}");
        }
        for other in ["", "7", "\"77\"", "\"1\", \"2\""] {
            assert!(!knows(other, "\"7\""), "{other}");
        }
    }
}
