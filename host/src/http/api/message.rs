//! `/api/events/{stream}/{sequence}`: a stored message, what caused it, and what it caused.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::causes::{self, Error};
use crate::event::Sequence;
use crate::http::params::{Params, Path, bad};
use crate::http::problem::as_json;
use crate::http::{Problem, Served};

/// Tells of one message.
pub async fn message(
    State(served): State<Served>,
    Path((stream, sequence)): Path<(String, String)>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let no_position = || bad(format!("{sequence:?} is no position in a stream, which is a number from 1"));
    let position = sequence.parse().ok().filter(|position| *position > 0).map(Sequence).ok_or_else(no_position)?;
    Ok(as_json(&causes::tell(&served.query, &served.config, &stream, position).await?))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Query(error) => error.into(),
            Error::OtherStream(..) | Error::NoMessage(..) => Self::new(StatusCode::NOT_FOUND, error.to_string()),
        }
    }
}
