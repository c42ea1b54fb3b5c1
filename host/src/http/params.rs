//! The query of a request: parameters that are known, given once, and of the right form; all else is refused by name.

use std::convert::Infallible;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::{StatusCode, request::Parts};
use serde::de::DeserializeOwned;

use super::Problem;

/// The parameters of a request, in order.
#[derive(Clone, Debug)]
pub struct Params(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts.uri.query().unwrap_or_default()))
    }
}

/// The parts of a request's path, decoded.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Sync + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let decoded = axum::extract::Path::from_request_parts(parts, state).await;
        decoded.map(|axum::extract::Path(decoded)| Self(decoded)).map_err(|rejection| bad(rejection.body_text()))
    }
}

impl Params {
    fn of(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// Refuses all parameters but these.
    pub fn only(self, known: &[&str]) -> Result<Self, Problem> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(bad(format!("there is no parameter {name:?} here, but {}", known.join(", ")))),
            None => Ok(self),
        }
    }

    /// All values of a parameter.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| value.clone()).collect()
    }

    /// The value of a parameter that may be given once.
    pub fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(bad(format!("the parameter {name} is given twice"))),
            (value, None) => Ok(value),
        }
    }

    /// The same, of a form that `what` describes.
    pub fn parsed<T: FromStr>(&self, name: &str, what: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| bad(format!("{name}={text:?} is not {what}")))
    }
}

/// A request that is not well-formed.
pub fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_what_is_wrong_is_named() {
        let params = Params::of("key=a%2Fb&key=c+d&limit=5&x");
        assert_eq!((params.all("key"), params.one("limit")), (vec!["a/b".to_owned(), "c d".to_owned()], Ok(Some("5"))));
        assert_eq!((params.parsed::<u16>("limit", "a number"), params.one("x")), (Ok(Some(5)), Ok(Some(""))));
        let said = |problem: Result<_, Problem>| format!("{:?}", problem.unwrap_err());
        assert!(said(params.one("key").map(|_| ())).contains("key is given twice"));
        assert!(said(params.parsed::<u16>("x", "a number").map(|_| ())).contains("not a number"));
        assert!(said(params.only(&["key", "limit"]).map(|_| ())).contains("no parameter"));
    }
}
