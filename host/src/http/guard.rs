//! Who may do what: names that the host is called by, the token, and what keeps other sites' pages out.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::{Error, Problem, page};
use crate::config::Http;

/// What a request may do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Access {
    /// Read and act: it showed the token.
    Act,
    /// Read: there is no token, and only this machine can reach the host.
    Read,
    /// See whether the host is well: there is a token, and it did not show it.
    Probe,
}

/// What is open without the token, besides the page, which is nothing without data.
const OPEN: [&str; 2] = ["/livez", "/readyz"];
/// The fewest characters of a token, so that it cannot be guessed.
const TOKEN: usize = 16;

/// What every answer says to browsers.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'",
    ),
];

/// What requests are held against.
#[derive(Debug)]
pub struct Guard {
    names: Vec<String>,
    /// The hash of the token, so that comparing tells nothing by the time it takes.
    token: Option<[u8; 32]>,
}

impl Guard {
    /// The guard that `http` asks for.
    pub fn of(http: &Http) -> Result<Self, Error> {
        let token = http.token.as_ref().map(|secret| {
            let token = secret.read().map_err(Error::Token)?;
            if token.len() < TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                let rule = format!("a token is {TOKEN} or more visible ASCII characters, without spaces");
                return Err(Error::Token(format!("{secret}: {rule}")));
            }
            Ok(Sha256::digest(token).into())
        });
        Ok(Self { names: http.names.clone(), token: token.transpose()? })
    }

    /// What a request to `path` may do.
    fn access(&self, headers: &HeaderMap, path: &str) -> Result<Access, Problem> {
        let Some(token) = self.token else { return Ok(Access::Read) };
        let shown = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).and_then(|shown| {
            let (scheme, shown) = shown.split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then_some(shown)
        });
        match shown {
            Some(shown) if <[u8; 32]>::from(Sha256::digest(shown)) == token => Ok(Access::Act),
            _ if OPEN.contains(&path) || page::is_page(path) => Ok(Access::Probe),
            Some(_) => Err(Problem::new(StatusCode::UNAUTHORIZED, "the token is not the one in [http] token")),
            None => {
                let detail = "this host wants its token: send the header \"Authorization: Bearer TOKEN\"";
                Err(Problem::new(StatusCode::UNAUTHORIZED, detail))
            }
        }
    }

    /// Whether clients may call the host by this name. A page that rebinds its own name to this machine cannot use an
    /// address.
    fn is_called(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
            _ => host,
        };
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        bare.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    fn admit(&self, request: &Request) -> Result<Access, Problem> {
        let text = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        match text(header::HOST) {
            Some(host) if self.is_called(host) => {}
            None if request.version() == Version::HTTP_10 => {}
            host => {
                let host = host.unwrap_or_default();
                let detail =
                    format!("this host is not called {host:?}: use its address, or add the name to [http] names");
                return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
            }
        }
        let site = text(HeaderName::from_static("sec-fetch-site")).unwrap_or("none");
        let navigates = text(HeaderName::from_static("sec-fetch-mode")) == Some("navigate");
        if !matches!(site, "none" | "same-origin") && !navigates {
            return Err(Problem::new(StatusCode::FORBIDDEN, "pages of other sites may not ask this host"));
        }
        self.access(request.headers(), request.uri().path())
    }
}

/// Answers only those who may ask, and tells browsers what they may do with the answer.
pub async fn check(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let mut response = match guard.admit(&request) {
        Ok(access) => {
            request.extensions_mut().insert(access);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A request that may act. As an argument of a handler it refuses all others.
#[derive(Clone, Copy, Debug)]
pub struct Acting;

impl<S: Sync> FromRequestParts<S> for Acting {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if parts.extensions.get::<Access>() == Some(&Access::Act) {
            return Ok(Self);
        }
        let detail = "acting needs a token, and this host has none: set token = { file = \"…\" } in [http], start it \
                      again, and send the header \"Authorization: Bearer TOKEN\"";
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_configured_names_are_what_a_host_is_called() {
        let guard = Guard { names: vec!["pelton.example.com".to_owned()], token: None };
        for name in [
            "127.0.0.1",
            "127.0.0.1:7358",
            "[::1]",
            "[::1]:80",
            "localhost",
            "LOCALHOST:1",
            "10.0.0.7:443",
            "pelton.example.com",
            "Pelton.Example.Com:443",
        ] {
            assert!(guard.is_called(name), "{name}");
        }
        for name in
            ["", "evil.example", "localhost.evil.example:7358", "127.0.0.1.evil.example", "example.com", "a:b:c"]
        {
            assert!(!guard.is_called(name), "{name}");
        }
    }

    #[test]
    fn a_token_opens_everything_and_without_it_only_the_probes_are_open() {
        let token = "0123456789abcdef";
        let guard = Guard { names: Vec::new(), token: Some(Sha256::digest(token).into()) };
        let access = |shown: Option<&str>, path| {
            let mut headers = HeaderMap::new();
            shown.map(|shown| headers.insert(header::AUTHORIZATION, HeaderValue::from_str(shown).unwrap()));
            guard.access(&headers, path).ok()
        };
        assert_eq!(access(Some("Bearer 0123456789abcdef"), "/metrics"), Some(Access::Act));
        assert_eq!(access(Some("bearer 0123456789abcdef"), "/readyz"), Some(Access::Act));
        assert_eq!(access(None, "/readyz"), Some(Access::Probe));
        for bad in [None, Some("Bearer "), Some("Bearer 0123456789abcdeF"), Some("Basic 0123456789abcdef"), Some("B")] {
            assert_eq!(access(bad, "/metrics"), None, "{bad:?}");
        }
    }
}
