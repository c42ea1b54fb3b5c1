//! The input streams that an app declares: compared with what the server has, made or changed if asked to.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, RetentionPolicy, Source as Copied};
use async_nats::jetstream::{self, ErrorCode};
use serde::Serialize;

use super::{Error, api};

/// An input stream as an app wants it. What is not here is the operator's.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// The subjects that it stores.
    pub subjects: Vec<String>,
    /// The streams that it copies. One of another retention is emptied by that.
    pub sources: Vec<Source>,
    /// Servers that keep a copy.
    pub replicas: usize,
    /// How long it keeps messages; none is for ever.
    pub max_age: Option<Duration>,
}

/// A stream that another one copies.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its name.
    pub stream: String,
    /// Which of its messages; none is all.
    pub filter: Option<String>,
}

impl Source {
    /// Whether a stream's setting means this one.
    pub fn is(&self, copied: &Copied) -> bool {
        copied.name == self.stream && filter_of(copied) == self.filter.as_deref()
    }
}

/// The filter of a source, if it has one.
fn filter_of(copied: &Copied) -> Option<&str> {
    copied.filter_subject.as_deref().filter(|filter| !filter.is_empty() && *filter != ">")
}

/// How a stream differs from what is wanted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The stream.
    pub stream: String,
    /// Whether there is none of that name.
    pub missing: bool,
    /// What is to be set.
    pub settings: Vec<Setting>,
    #[serde(skip)]
    config: Box<Config>,
}

/// One setting of a stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Its name, as the server has it.
    pub name: &'static str,
    /// What it is now; none if the stream is missing.
    pub is: Option<String>,
    /// What it is to be.
    pub wanted: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {}{}", self.stream, if self.missing { " is missing:" } else { ":" })?;
        for Setting { name, is, wanted } in &self.settings {
            match is {
                Some(is) => write!(f, " {name} is {is} and is to be {wanted};")?,
                None => write!(f, " {name} {wanted};")?,
            }
        }
        Ok(())
    }
}

/// What of the `wanted` streams is missing or different.
pub async fn compare(context: &jetstream::Context, wanted: &[Wanted]) -> Result<Vec<Difference>, Error> {
    let mut differences = Vec::new();
    for wanted in wanted {
        differences.extend(difference(wanted, find(context, &wanted.name).await?));
    }
    Ok(differences)
}

/// The settings of the stream called `name`; none if there is none.
pub async fn find(context: &jetstream::Context, name: &str) -> Result<Option<Config>, Error> {
    match context.get_stream(name).await {
        Ok(stream) => Ok(Some(stream.cached_info().config.clone())),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(ref e) if e.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            kind => Err(api(name, &kind)),
        },
    }
}

fn difference(wanted: &Wanted, found: Option<Config>) -> Option<Difference> {
    let missing = found.is_none();
    let before = found.clone().unwrap_or_default();
    let max_age = wanted.max_age.unwrap_or_default();
    let config = Config {
        name: wanted.name.clone(),
        subjects: wanted.subjects.clone(),
        sources: sources(&wanted.sources, before.sources.as_deref().unwrap_or_default()),
        num_replicas: wanted.replicas,
        max_age,
        retention: RetentionPolicy::Limits,
        ..before.clone()
    };
    let all = |config: &Config| {
        let (mut subjects, age) = (config.subjects.clone(), config.max_age);
        subjects.sort();
        let kept = if age.is_zero() { "for ever".to_owned() } else { format!("{age:?}") };
        let mut sources: Vec<String> = config.sources.iter().flatten().map(shown).collect();
        sources.sort();
        [
            ("subjects", listed(&subjects)),
            ("sources", listed(&sources)),
            ("num_replicas", config.num_replicas.to_string()),
            ("max_age", kept),
            ("retention", format!("{:?}", config.retention).to_lowercase()),
        ]
    };
    // What a new stream has none of need not be said.
    let is_said = |name: &str, wanted: &str| wanted != NONE || !["subjects", "sources"].contains(&name);
    let settings = all(&before).into_iter().zip(all(&config));
    let settings =
        settings.filter(|(is, (name, wanted))| if missing { is_said(name, wanted) } else { is.1 != *wanted });
    let settings: Vec<Setting> =
        settings.map(|((name, is), (_, wanted))| Setting { name, is: (!missing).then_some(is), wanted }).collect();
    let stream = wanted.name.clone();
    (!settings.is_empty()).then(|| Difference { stream, missing, settings, config: Box::new(config) })
}

/// How a list without anything is shown.
const NONE: &str = "none";

fn listed(all: &[String]) -> String {
    if all.is_empty() { NONE.to_owned() } else { all.join(", ") }
}

/// A source as it is shown: its stream, and its filter if it has one.
fn shown(copied: &Copied) -> String {
    filter_of(copied).map_or_else(|| copied.name.clone(), |filter| format!("{} {filter}", copied.name))
}

/// The setting that has these streams copied. What stands there of them already stays as it is.
fn sources(wanted: &[Source], before: &[Copied]) -> Option<Vec<Copied>> {
    let each = wanted.iter().map(|source| {
        let new = || Copied { name: source.stream.clone(), filter_subject: source.filter.clone(), ..Copied::default() };
        before.iter().find(|copied| source.is(copied)).cloned().unwrap_or_else(new)
    });
    Some(each.collect::<Vec<_>>()).filter(|sources| !sources.is_empty())
}

impl Difference {
    /// Makes or changes the stream. The server refuses what cannot be changed.
    pub async fn apply(&self, context: &jetstream::Context) -> Result<(), Error> {
        let config = (*self.config).clone();
        if self.missing {
            context.create_stream(config).await.map(drop).map_err(|e| api(&self.stream, &e))
        } else {
            context.update_stream(config).await.map(drop).map_err(|e| api(&self.stream, &e))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            name: "ORDERS".to_owned(),
            subjects: vec!["orders.>".to_owned()],
            sources: Vec::new(),
            replicas: 1,
            max_age: None,
        }
    }

    fn found() -> Config {
        Config {
            name: "ORDERS".to_owned(),
            subjects: vec!["orders.>".to_owned()],
            num_replicas: 1,
            ..Config::default()
        }
    }

    #[test]
    fn only_what_differs_is_named() {
        assert_eq!(difference(&wanted(), Some(Config { max_bytes: 5, ..found() })), None);
        let shorter = difference(&wanted(), Some(Config { max_age: Duration::from_secs(60), ..found() })).unwrap();
        assert_eq!(shorter.to_string(), "stream ORDERS: max_age is 60s and is to be for ever;");
        let queue = Config { retention: RetentionPolicy::WorkQueue, ..found() };
        assert!(difference(&wanted(), Some(queue)).unwrap().to_string().contains("retention is workqueue"));
    }

    #[test]
    fn a_copy_is_described_by_its_sources_and_keeps_what_an_operator_set_of_them() {
        let source =
            |stream: &str, filter: Option<&str>| Source { stream: stream.into(), filter: filter.map(Into::into) };
        let sources = vec![source("QUEUE", None), source("JOBS", Some("jobs.eu.>"))];
        let copy = Wanted { name: "LOG".into(), subjects: Vec::new(), sources, ..wanted() };
        let missing = difference(&copy, None).unwrap();
        let expected = "stream LOG is missing: sources JOBS jobs.eu.>, QUEUE; num_replicas 1;";
        assert!(missing.to_string().starts_with(expected), "{missing}");
        let mut found = (*missing.config).clone();
        assert_eq!(difference(&copy, Some(found.clone())), None);
        found.sources = Some(vec![Copied { name: "QUEUE".into(), start_sequence: Some(9), ..Copied::default() }]);
        let changed = difference(&copy, Some(found.clone())).unwrap();
        assert_eq!(changed.to_string(), "stream LOG: sources is QUEUE and is to be JOBS jobs.eu.>, QUEUE;");
        let kept = changed.config.sources.iter().flatten().map(|copied| copied.start_sequence);
        assert_eq!(kept.collect::<Vec<_>>(), [Some(9), None]);
        let plain = Wanted { name: "LOG".into(), ..wanted() };
        let said = difference(&plain, Some(found)).unwrap().to_string();
        assert!(said.contains("sources is QUEUE and is to be none;"), "{said}");
    }

    #[test]
    fn a_missing_stream_is_described_whole_and_the_operators_settings_stay() {
        let missing = difference(&wanted(), None).unwrap();
        assert!(missing.to_string().starts_with("stream ORDERS is missing: subjects orders.>;"), "{missing}");
        let more = Wanted { subjects: vec!["orders.>".to_owned(), "bills.>".to_owned()], ..wanted() };
        let changed = difference(&more, Some(Config { max_bytes: 5, ..found() })).unwrap();
        assert_eq!((changed.config.max_bytes, changed.config.subjects.len()), (5, 2));
    }
}
