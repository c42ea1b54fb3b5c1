//! What makes a stream readable that lets nobody read without acknowledging: a copy of it, with limits retention.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, RetentionPolicy};

use super::streams::{self, Difference, Source, Wanted, find};

/// Why no copy can be made.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(transparent)]
    Input(#[from] super::Error),
    #[error("there is no stream {0}: make it first")]
    Missing(String),
    #[error(
        "[streams.{name}] of the config does not copy {stream} like this: add it to its `sources`, or choose another name \
         with --as"
    )]
    Declared { name: String, stream: String },
    #[error("there is a stream {name} that is something else than a copy of {stream}: choose another name with --as")]
    Taken { name: String, stream: String },
}

/// Which copy is wanted.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The stream to copy, and which of its messages.
    pub source: Source,
    /// The name of the copy; none is that of the stream with `-LOG` behind it.
    pub name: Option<String>,
    /// Servers that keep it; none is as many as of the stream, or as there are.
    pub replicas: Option<usize>,
    /// How long it keeps messages; none is for ever, or as it is.
    pub max_age: Option<Duration>,
}

/// What is to be done.
#[derive(Debug)]
pub struct Plan {
    /// The retention of the stream.
    pub retention: RetentionPolicy,
    /// The copy; none if the stream is read as it is.
    pub copy: Option<Wanted>,
    /// What of the copy is missing or different.
    pub difference: Option<Difference>,
}

/// What is to be done for a copy as `wish` says, or as it is among the `declared` streams. Changes nothing.
pub async fn plan(context: &jetstream::Context, wish: Wish, declared: &[Wanted]) -> Result<Plan, Error> {
    let stream = &wish.source.stream;
    let origin = find(context, stream).await?.ok_or_else(|| Error::Missing(stream.clone()))?;
    let retention = origin.retention;
    if retention == RetentionPolicy::Limits {
        return Ok(Plan { retention, copy: None, difference: None });
    }
    let name = wish.name.clone().unwrap_or_else(|| format!("{stream}-LOG"));
    let copy = match declared.iter().find(|declared| declared.name == name) {
        Some(declared) if declared.sources.contains(&wish.source) => declared.clone(),
        Some(_) => return Err(Error::Declared { name, stream: stream.clone() }),
        None => {
            let before = find(context, &name).await?;
            wanted(wish, name, &origin, before)?
        }
    };
    let difference = streams::compare(context, std::slice::from_ref(&copy)).await?.pop();
    Ok(Plan { retention, copy: Some(copy), difference })
}

/// The copy as it is to be. One that is there keeps what is not asked for.
fn wanted(wish: Wish, name: String, origin: &Config, before: Option<Config>) -> Result<Wanted, Error> {
    let (mut replicas, mut max_age) = (origin.num_replicas, None);
    if let Some(before) = before {
        let is_copy = matches!(before.sources.as_deref(), Some([only]) if wish.source.is(only));
        if !is_copy || !before.subjects.is_empty() {
            return Err(Error::Taken { name, stream: wish.source.stream });
        }
        (replicas, max_age) = (before.num_replicas, Some(before.max_age).filter(|age| !age.is_zero()));
    }
    Ok(Wanted {
        name,
        subjects: Vec::new(),
        sources: vec![wish.source],
        replicas: wish.replicas.unwrap_or(replicas),
        max_age: wish.max_age.or(max_age),
    })
}

#[cfg(test)]
mod tests {
    use async_nats::jetstream::stream::Source as Copied;

    use super::*;

    fn wish() -> Wish {
        let source = Source { stream: "JOBS".to_owned(), filter: None };
        Wish { source, name: None, replicas: None, max_age: None }
    }

    fn copy(of: &str) -> Config {
        let sources = Some(vec![Copied { name: of.to_owned(), ..Copied::default() }]);
        Config { sources, num_replicas: 2, max_age: Duration::from_secs(60), ..Config::default() }
    }

    #[test]
    fn a_new_copy_has_as_many_replicas_as_its_stream_and_one_that_is_there_stays_as_it_is() {
        let origin = Config { num_replicas: 3, ..Config::default() };
        let of = |wish, before| {
            let wanted = wanted(wish, "LOG".to_owned(), &origin, before).unwrap();
            (wanted.replicas, wanted.max_age.map(|age| age.as_secs()))
        };
        assert_eq!(of(wish(), None), (3, None));
        assert_eq!(of(wish(), Some(copy("JOBS"))), (2, Some(60)));
        let asked = Wish { replicas: Some(1), max_age: Some(Duration::from_secs(5)), ..wish() };
        assert_eq!(of(asked, Some(copy("JOBS"))), (1, Some(5)));
    }

    #[test]
    fn a_stream_that_is_something_else_is_not_made_a_copy() {
        let own = Config { subjects: vec!["a".to_owned()], ..copy("JOBS") };
        for other in [copy("OTHER"), Config::default(), own] {
            let error = wanted(wish(), "LOG".to_owned(), &Config::default(), Some(other)).unwrap_err().to_string();
            assert!(error.contains("LOG") && error.contains("--as"), "{error}");
        }
    }
}
