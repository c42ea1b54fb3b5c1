//! Errors as `application/problem+json` (RFC 9457): what went wrong, and what to do about it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::commit::read;
use crate::query;

/// An error as a client sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    more: Map<String, Value>,
}

impl Problem {
    /// An error of this status; `detail` names the culprit and the next step.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), more: Map::new() }
    }

    /// The same with one more member, for programs.
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        self.more.insert(name.to_owned(), serde_json::to_value(value).unwrap_or_default());
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = json!({ "title": title, "status": self.status.as_u16(), "detail": self.detail });
        let mut members = self.more;
        members.extend(body.as_object().cloned().unwrap_or_default());
        let body = Value::Object(members);
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<query::Error> for Problem {
    fn from(error: query::Error) -> Self {
        let status = match &error {
            query::Error::Unknown { .. } => StatusCode::NOT_FOUND,
            query::Error::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            query::Error::Read(read::Error::Malformed { .. } | read::Error::Newer { .. }) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            query::Error::AppStream(_)
            | query::Error::Read(read::Error::Unreadable(_))
            | query::Error::Input(_)
            | query::Error::NoApp(_)
            | query::Error::List { .. } => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

/// An answer in JSON.
pub fn as_json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
