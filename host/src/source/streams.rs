//! The input streams that an app declares: compared with what the server has, made or changed if asked to.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, RetentionPolicy};
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
    /// Servers that keep a copy.
    pub replicas: usize,
    /// How long it keeps messages; none is for ever.
    pub max_age: Option<Duration>,
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
        let found = match context.get_stream(&wanted.name).await {
            Ok(stream) => Some(stream.cached_info().config.clone()),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(ref e) if e.error_code() == ErrorCode::STREAM_NOT_FOUND => None,
                kind => return Err(api(&wanted.name, &kind)),
            },
        };
        differences.extend(difference(wanted, found));
    }
    Ok(differences)
}

fn difference(wanted: &Wanted, found: Option<Config>) -> Option<Difference> {
    let missing = found.is_none();
    let before = found.clone().unwrap_or_default();
    let max_age = wanted.max_age.unwrap_or_default();
    let config = Config {
        name: wanted.name.clone(),
        subjects: wanted.subjects.clone(),
        num_replicas: wanted.replicas,
        max_age,
        retention: RetentionPolicy::Limits,
        ..before.clone()
    };
    let all = |config: &Config| {
        let (mut subjects, age) = (config.subjects.clone(), config.max_age);
        subjects.sort();
        let kept = if age.is_zero() { "for ever".to_owned() } else { format!("{age:?}") };
        [
            ("subjects", subjects.join(", ")),
            ("num_replicas", config.num_replicas.to_string()),
            ("max_age", kept),
            ("retention", format!("{:?}", config.retention).to_lowercase()),
        ]
    };
    let settings = all(&before).into_iter().zip(all(&config)).filter(|(is, wanted)| missing || is != wanted);
    let settings: Vec<Setting> =
        settings.map(|((name, is), (_, wanted))| Setting { name, is: (!missing).then_some(is), wanted }).collect();
    let stream = wanted.name.clone();
    (!settings.is_empty()).then(|| Difference { stream, missing, settings, config: Box::new(config) })
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
        Wanted { name: "ORDERS".to_owned(), subjects: vec!["orders.>".to_owned()], replicas: 1, max_age: None }
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
    fn a_missing_stream_is_described_whole_and_the_operators_settings_stay() {
        let missing = difference(&wanted(), None).unwrap();
        assert!(missing.to_string().starts_with("stream ORDERS is missing: subjects orders.>;"), "{missing}");
        let more = Wanted { subjects: vec!["orders.>".to_owned(), "bills.>".to_owned()], ..wanted() };
        let changed = difference(&more, Some(Config { max_bytes: 5, ..found() })).unwrap();
        assert_eq!((changed.config.max_bytes, changed.config.subjects.len()), (5, 2));
    }
}
