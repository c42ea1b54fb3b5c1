//! `/api/hosts`: the hosts of the app that answer, and which lanes of which modules each of them runs.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::control;
use crate::event::rfc3339;
use crate::http::params::Params;
use crate::http::problem::as_json;
use crate::http::{Problem, Served};
use crate::status::{ModuleReport, Phase, Report};

/// All hosts that answer within a short while.
pub async fn list(State(served): State<Served>, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    let away = |error: control::Error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
    let reports = control::status::ask(&served.connections.read, served.query.subjects()).await.map_err(away)?;
    let hosts: Vec<Value> = reports.iter().map(host).collect();
    Ok(as_json(&json!({ "time": rfc3339(OffsetDateTime::now_utc()), "hosts": hosts })))
}

fn host(report: &Report) -> Value {
    let host = &report.host;
    let is_this = host.machine == super::machine() && host.process == std::process::id();
    let modules: Vec<Value> = report.modules.iter().map(module).collect();
    json!({
        "host": host.shown(), "version": host.version, "this": is_this, "uptime": report.uptime, "waits": report.refusal,
        "modules": modules,
    })
}

fn module(known: &ModuleReport) -> Value {
    let why = match &known.phase {
        Phase::Halted(why) | Phase::Differs(why) => Some(why),
        Phase::Starting | Phase::Running | Phase::Paused => None,
    };
    let lag = known.lag_is_known.then(|| json!({ "lag": known.counts.lag, "lag_seconds": known.counts.lag_seconds }));
    json!({
        "module": known.module, "phase": known.phase.name(), "why": why, "lanes": known.lanes,
        "taken": known.counts.lanes_taken, "lost": known.counts.lanes_lost, "lag": lag,
    })
}
