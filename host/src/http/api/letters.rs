//! `/api/dead-letters`: lists, shows, replays and discards them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use clap::ValueEnum;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::who;
use crate::commit::audit::Letter;
use crate::control;
use crate::dlq::Selection;
use crate::event::Sequence;
use crate::http::params::{Params, Path, bad};
use crate::http::problem::as_json;
use crate::http::views::name;
use crate::http::{Acting, Problem, Served};
use crate::policy::CauseKind;

/// Dead letters of a page, if the client does not say; and at most.
const LETTERS: usize = 50;
const MOST_LETTERS: usize = 200;

/// A page of those that the parameters select, without their inputs.
pub async fn list(State(served): State<Served>, params: Params) -> Result<Response, Problem> {
    let params = params.only(&["module", "lane", "cause", "message", "key", "since", "until", "limit", "behind"])?;
    let given = |name| Ok::<_, Problem>(params.one(name)?.filter(|text| !text.is_empty()));
    let selection = Selection {
        module: given("module")?.map(name).transpose()?,
        lane: params.parsed("lane", "the number of a lane")?,
        sequences: Vec::new(),
        cause: given("cause")?.map(cause).transpose()?,
        message: given("message")?.map(str::to_owned),
        key: params.one("key")?.map(str::to_owned),
        since: given("since")?.map(moment).transpose()?,
        until: given("until")?.map(moment).transpose()?,
    };
    let limit = params.parsed("limit", "a number")?.unwrap_or(LETTERS).clamp(1, MOST_LETTERS);
    let behind = given("behind")?.map(behind).transpose()?;
    Ok(as_json(&served.query.letters(&selection, behind.as_ref(), limit).await?))
}

fn cause(text: &str) -> Result<CauseKind, Problem> {
    let known = || CauseKind::value_variants().iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
    CauseKind::from_str(text, false).map_err(|_| bad(format!("cause={text:?} is none of {}", known())))
}

fn moment(text: &str) -> Result<OffsetDateTime, Problem> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| bad(format!("{text:?} is no time like 2026-01-31T00:00:00Z")))
}

fn behind(text: &str) -> Result<Letter, Problem> {
    let parts: Vec<&str> = text.split('/').collect();
    let [module, lane, sequence] = parts.as_slice() else {
        return Err(bad(format!("behind={text:?} is not MODULE/LANE/SEQUENCE, the next of the page before")));
    };
    letter(module, lane, sequence)
}

/// The dead letter that a path names.
fn letter(module: &str, lane: &str, sequence: &str) -> Result<Letter, Problem> {
    let lane = lane.parse().map_err(|_| bad(format!("{lane:?} is no number of a lane")))?;
    let sequence = sequence.parse().map_err(|_| bad(format!("{sequence:?} is no position in a stream")))?;
    Ok(Letter { module: name(module)?, lane, sequence: Sequence(sequence) })
}

type Place = Path<(String, String, String)>;

/// One, whole.
pub async fn show(State(served): State<Served>, Path(place): Place, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    let Letter { module, lane, sequence } = letter(&place.0, &place.1, &place.2)?;
    Ok(as_json(&served.query.dead_letter(&module, lane, sequence).await?))
}

/// Runs its input again in its lane; the answer says what came of it.
pub async fn replay(_: Acting, State(served): State<Served>, Path(place): Place) -> Result<Response, Problem> {
    let letter = letter(&place.0, &place.1, &place.2)?;
    let subjects = served.query.subjects();
    let lane = served.query.lane_of(&letter).await?;
    let answer = control::replay::replay(&served.connections.read, subjects, (&letter, lane), &who()).await;
    let away = |error: control::Error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
    Ok(as_json(&answer.map_err(away)?))
}

/// Throws it away.
pub async fn discard(_: Acting, State(served): State<Served>, Path(place): Place) -> Result<Response, Problem> {
    let letter = letter(&place.0, &place.1, &place.2)?;
    let lane = served.query.lane_of(&letter).await?;
    if served.ledger().discard(letter.clone(), &who(), OffsetDateTime::now_utc()).await? {
        control::replay::discarded(&served.connections.read, served.query.subjects(), (&letter, lane)).await;
        return Ok(as_json(&json!({ "discarded": letter })));
    }
    let Letter { module, lane, sequence } = letter;
    let gone = format!("there is no dead letter {module} {lane} {sequence}: it was replayed or discarded before");
    Err(Problem::new(StatusCode::NOT_FOUND, gone))
}
