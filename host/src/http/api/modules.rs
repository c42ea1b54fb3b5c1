//! `/api/modules`: what runs and how it fares, cheap enough to be asked for every other second; pause and resume.

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::who;
use crate::commit::record::Record;
use crate::event::rfc3339;
use crate::http::params::{Params, Path};
use crate::http::problem::as_json;
use crate::http::views::name;
use crate::http::{Acting, Problem, Served};
use crate::status::Phase;

/// All modules: their records, what they do on this host, and what was counted of them.
pub async fn list(State(served): State<Served>, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    let now = OffsetDateTime::now_utc();
    let records = served.query.records().await?;
    let modules: Vec<Value> = records.iter().map(|record| module(&served, record)).collect();
    let commits = served.status.metrics().commits.outcomes();
    let reasons = served.reasons();
    Ok(as_json(&json!({ "time": rfc3339(now), "modules": modules, "commits": commits, "reasons": reasons })))
}

fn module(served: &Served, record: &Record) -> Value {
    let name = &record.module;
    let phase = served.status.phases().find(|(of, _)| *of == name).map(|(_, phase)| phase);
    let why = match &phase {
        Some(Phase::Halted(why) | Phase::Differs(why)) => Some(why.clone()),
        _ => None,
    };
    let counts = served.status.metrics().module(name).map(|measured| measured.counts());
    let covered = served.status.position(name).map(|(_, covered)| covered);
    let emits = served.config.modules.iter().find(|module| module.name == *name);
    let emits: Option<Vec<_>> = emits.map(|module| module.grants.emits.keys().collect());
    json!({
        "record": record, "emits": emits, "phase": phase.as_ref().map(Phase::name), "why": why, "covered": covered,
        "counts": counts,
    })
}

/// Stops a module for a while.
pub async fn pause(acting: Acting, served: State<Served>, module: Path<String>) -> Result<Response, Problem> {
    set(acting, served, module, true).await
}

/// Starts a paused or halted module.
pub async fn resume(acting: Acting, served: State<Served>, module: Path<String>) -> Result<Response, Problem> {
    set(acting, served, module, false).await
}

async fn set(
    _: Acting,
    State(served): State<Served>,
    Path(module): Path<String>,
    paused: bool,
) -> Result<Response, Problem> {
    let module = name(&module)?;
    let changed = served.ledger().set_paused(&module, paused, &who(), OffsetDateTime::now_utc()).await?;
    let state = if paused { "paused" } else { "running" };
    Ok(as_json(&json!({ "module": module, "state": state, "changed": changed })))
}
