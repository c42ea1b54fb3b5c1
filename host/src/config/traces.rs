//! The table `traces` as written, and what it means: what part of traces is sampled, and where their spans go.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use hyper::Uri;
use hyper::header::HeaderName;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use toml::Spanned;

use super::meant::Finding;
use super::secret::{Secret, SecretTable};
use crate::traces::Ratio;

/// What part of traces is sampled, and where their spans go.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// What part of the traces is sampled that no producer began.
    pub ratio: Ratio,
    /// Where spans go; none if nowhere.
    pub export: Option<Export>,
}

/// Where spans go.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// The collector.
    pub endpoint: Endpoint,
    /// What requests to it say besides.
    pub headers: Vec<(HeaderName, Secret)>,
    /// Who tells of the spans: the attributes of the resource.
    pub resource: Vec<(String, String)>,
}

/// The address that a collector takes spans at.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint(Uri);

/// The table `traces` as written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct TracesTable {
    endpoint: Option<Spanned<String>>,
    ratio: Option<Spanned<f64>>,
    #[serde(default)]
    headers: BTreeMap<String, Spanned<SecretTable>>,
}

/// Where a collector takes spans, unless its address says so.
const PATH: &str = "/v1/traces";
/// The variables that OpenTelemetry has for all signals, and for traces alone.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const TRACES_HEADERS: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
const SERVICE: &str = "OTEL_SERVICE_NAME";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
const RATIO: &str = "OTEL_TRACES_SAMPLER_ARG";

impl Endpoint {
    /// Whether TLS is spoken there.
    pub fn is_secure(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// The host's name or address.
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.is_secure() { 443 } else { 80 })
    }

    /// Host and port, as they are written.
    pub fn authority(&self) -> &str {
        self.0.authority().map_or("", |authority| authority.as_str())
    }

    /// What is asked for there.
    pub fn path(&self) -> &str {
        self.0.path_and_query().map_or(PATH, |path| path.as_str())
    }
}

/// Without what stands behind a question mark, which may be secret.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.0.scheme_str().unwrap_or_default(), self.authority(), self.0.path())
    }
}

/// What `table` means for the app called `app`, with the `environment` for what it leaves out. Endpoint and headers are
/// taken from one place: a token in the environment never goes to a collector that the config names.
pub fn meant(
    table: TracesTable,
    folder: &Path,
    app: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Traces, Finding> {
    let set = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    let TracesTable { endpoint, ratio, headers } = table;
    let ratio = match ratio {
        Some(ratio) => ratio_of(*ratio.as_ref(), ratio.span(), "ratio")?,
        None => match set(RATIO) {
            Some(text) => ratio_of(text.trim().parse().unwrap_or(f64::NAN), 0..0, RATIO)?,
            None => Ratio::default(),
        },
    };
    let to = match endpoint {
        Some(written) => {
            let endpoint = endpoint_of(written.as_ref()).map_err(|why| Finding::new(written.span(), why))?;
            Some((
                endpoint,
                headers.into_iter().map(|header| written_header(header, folder)).collect::<Result<_, _>>()?,
            ))
        }
        None => match headers.into_values().next() {
            Some(header) => {
                return Err(Finding::new(header.span(), "headers go with the endpoint that they are for: give both"));
            }
            None => of_environment(set)?,
        },
    };
    let resource = resource_of(app, set);
    Ok(Traces { ratio, export: to.map(|(endpoint, headers)| Export { endpoint, headers, resource }) })
}

fn ratio_of(part: f64, at: Range<usize>, what: &str) -> Result<Ratio, Finding> {
    Ratio::new(part).ok_or_else(|| Finding::new(at, format!("{what} goes from 0 to 1")))
}

/// The address `text`; without a path, it gets the usual one.
fn endpoint_of(text: &str) -> Result<Endpoint, String> {
    if text.contains('@') {
        return Err("a password in an endpoint can be seen by all who see the config: use headers".to_owned());
    }
    let wrong = || format!("{text:?} is no endpoint: write \"http://HOST:4318\" or \"https://HOST:4318/PATH\"");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let is_whole =
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty());
    if !is_whole || uri.port().is_some_and(|port| port.as_u16() == 0) {
        return Err(wrong());
    }
    if uri.path() != "/" {
        return Ok(Endpoint(uri));
    }
    format!("{}{PATH}", text.trim_end_matches('/')).parse().map(Endpoint).map_err(|_| wrong())
}

type Header = (HeaderName, Secret);

fn written_header((name, secret): (String, Spanned<SecretTable>), folder: &Path) -> Result<Header, Finding> {
    let at = secret.span();
    let name = name.parse().map_err(|_| Finding::new(at.clone(), format!("{name:?} is no name of a header")))?;
    Ok((name, secret.into_inner().meant(folder).map_err(|why| Finding::new(at, why))?))
}

/// Where spans go by the variables that OpenTelemetry has for that.
fn of_environment(set: impl Fn(&str) -> Option<String>) -> Result<Option<(Endpoint, Vec<Header>)>, Finding> {
    let (name, text) = match (set(TRACES_ENDPOINT), set(ENDPOINT)) {
        (Some(text), _) => (TRACES_ENDPOINT, text),
        // That of all signals is the root of their paths.
        (None, Some(text)) => (ENDPOINT, format!("{}{PATH}", text.trim_end_matches('/'))),
        (None, None) => return Ok(None),
    };
    let wrong = |why: String| Finding::new(0..0, format!("{name}: {why}"));
    let endpoint = endpoint_of(&text).map_err(wrong)?;
    let headers = set(TRACES_HEADERS).or_else(|| set(HEADERS)).unwrap_or_default();
    let header = |(name, value): (String, String)| {
        let name =
            name.parse().map_err(|_| Finding::new(0..0, format!("{HEADERS}: {name:?} is no name of a header")))?;
        Ok((name, Secret::here(value)))
    };
    Ok(Some((endpoint, pairs(&headers).map(header).collect::<Result<_, _>>()?)))
}

/// `name=value` with commas between, values percent-encoded: how the variables write lists.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    let each = text.split(',').filter_map(|pair| pair.split_once('='));
    each.map(|(name, value)| {
        let value = percent_decode_str(value.trim()).decode_utf8_lossy().into_owned();
        (name.trim().to_owned(), value)
    })
}

/// Who tells of the spans. What the variables say counts first.
fn resource_of(app: &str, set: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let own = [
        ("service.name", format!("pelton-{app}")),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("pelton.app", app.to_owned()),
    ];
    let mut all: BTreeMap<String, String> = own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    all.extend(pairs(&set(RESOURCE).unwrap_or_default()));
    all.extend(set(SERVICE).map(|name| ("service.name".to_owned(), name)));
    all.into_iter().collect()
}

#[cfg(test)]
mod tests;
