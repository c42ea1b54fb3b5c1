//! The web page at `/`: a few files that are in the binary. They hold no data, so they are open to everyone who may
//! reach the host.

use std::fmt::Write;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::{Problem, views};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, media type and content of each file.
const FILES: [(&str, &str, &str); 13] = [
    ("index.html", HTML, include_str!("../../assets/index.html")),
    ("style.css", CSS, include_str!("../../assets/style.css")),
    ("app.js", JAVASCRIPT, include_str!("../../assets/app.js")),
    ("dom.js", JAVASCRIPT, include_str!("../../assets/dom.js")),
    ("host.js", JAVASCRIPT, include_str!("../../assets/host.js")),
    ("parts.js", JAVASCRIPT, include_str!("../../assets/parts.js")),
    ("modules.js", JAVASCRIPT, include_str!("../../assets/modules.js")),
    ("hosts.js", JAVASCRIPT, include_str!("../../assets/hosts.js")),
    ("feed.js", JAVASCRIPT, include_str!("../../assets/feed.js")),
    ("views.js", JAVASCRIPT, include_str!("../../assets/views.js")),
    ("letters.js", JAVASCRIPT, include_str!("../../assets/letters.js")),
    ("graph.js", JAVASCRIPT, include_str!("../../assets/graph.js")),
    ("event.js", JAVASCRIPT, include_str!("../../assets/event.js")),
];

/// Whether `path` is the page or one of its files.
pub fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/assets/")
}

/// The page.
pub async fn index(headers: HeaderMap) -> Result<Response, Problem> {
    file("index.html", &headers)
}

/// One of its files.
pub async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    file(&name, &headers)
}

fn file(name: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let found = FILES.iter().find(|(found, _, _)| *found == name);
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "the page has no such file");
    let (_, kind, content) = found.ok_or_else(unknown)?;
    let digest = Sha256::digest(content).iter().take(8).fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").ok();
        hex
    });
    let tag = format!("\"{digest}\"");
    let cached = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if headers.get_all(header::IF_NONE_MATCH).iter().any(|known| views::knows(known.to_str().unwrap_or_default(), &tag))
    {
        return Ok((StatusCode::NOT_MODIFIED, cached).into_response());
    }
    Ok((cached, [(header::CONTENT_TYPE, *kind)], *content).into_response())
}
