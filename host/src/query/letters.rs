//! Dead letters read back page by page: however many there are, one request reads few of them.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Serialize, Serializer};

use super::{Error, Query};
use crate::commit::audit::Letter;
use crate::commit::read::is_deletion;
use crate::dlq::{DeadLetter, Selection};
use crate::event::Sequence;
use crate::policy::CauseKind;
use crate::subject::{Name, Place};

/// Some dead letters, in the order of modules, lanes and inputs.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    /// Those that are wanted, without their inputs.
    pub letters: Vec<Short>,
    /// Behind which one the next page begins, `MODULE/LANE/SEQUENCE`; none if this is the last.
    #[serde(serialize_with = "place")]
    pub next: Option<Letter>,
}

/// A dead letter without its input.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "as in DeadLetter")]
pub struct Short {
    pub module: String,
    pub lane: u16,
    pub stream: String,
    pub sequence: Sequence,
    pub subject: String,
    pub time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub cause: CauseKind,
    /// The first line of what the cause says.
    pub message: String,
    pub attempts: u32,
}

/// The most dead letters that one page looks at.
const MOST_READ: usize = 1_000;
/// Dead letters that are read at a time.
const AT_A_TIME: usize = 32;
/// Headers that are asked for at a time.
const HEADERS: usize = 1_000;
/// The most characters of a message in a list.
const MESSAGE: usize = 300;

impl Query {
    /// Up to `limit` dead letters that `selection` takes and that stand behind `behind`. A page ends early when it had to
    /// look at many that are not wanted.
    pub async fn letters(&self, selection: &Selection, behind: Option<&Letter>, limit: usize) -> Result<Page, Error> {
        let mut places = self.places(selection).await?;
        places.retain(|place| behind.is_none_or(|last| order(place) > order(last)));
        let left = places.len();
        let mut read = stream::iter(places).take(MOST_READ).map(|place| self.stands(place)).buffered(AT_A_TIME);
        let (mut letters, mut seen, mut last) = (Vec::new(), 0, None);
        while let Some((place, letter)) = read.try_next().await? {
            seen += 1;
            last = Some(place);
            letters.extend(letter.filter(|letter| selection.takes(letter)).map(Short::from));
            if letters.len() >= limit {
                break;
            }
        }
        Ok(Page { letters, next: last.filter(|_| seen < left) })
    }

    /// How many dead letters wait, by module. Reads their headers and not their inputs: those that were removed leave a
    /// mark for a while.
    pub async fn waiting(&self) -> Result<BTreeMap<Name, usize>, Error> {
        let failed = |cause: &dyn std::fmt::Display| {
            let what = "dead letters".to_owned();
            Error::List { what, cause: cause.to_string() }
        };
        let config = pull::Config {
            description: Some("Pelton counts dead letters".to_owned()),
            deliver_policy: DeliverPolicy::LastPerSubject,
            ack_policy: AckPolicy::None,
            filter_subject: self.subjects.dead_letters(None),
            headers_only: true,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: Duration::from_secs(30),
            ..pull::Config::default()
        };
        let app_stream = self.context.get_stream(self.subjects.stream()).await.map_err(|e| failed(&e))?;
        let consumer = app_stream.create_consumer(config).await.map_err(|e| failed(&e))?;
        let (mut waiting, mut left) = (BTreeMap::new(), consumer.cached_info().num_pending);
        while left > 0 {
            let mut read = consumer.fetch().max_messages(HEADERS).messages().await.map_err(|e| failed(&e))?;
            // Those that are removed meanwhile do not come.
            left = 0;
            while let Some(message) = read.try_next().await.map_err(|e| failed(&e))? {
                left = message.info().map_err(|e| failed(&e))?.pending;
                let stands = !message.headers.as_ref().is_some_and(is_deletion);
                if let Some(Place::DeadLetter { module, .. }) = self.subjects.place(&message.subject).filter(|_| stands)
                {
                    *waiting.entry(module).or_default() += 1;
                }
            }
        }
        app_stream.delete_consumer(&consumer.cached_info().name).await.map_err(|e| failed(&e))?;
        Ok(waiting)
    }

    /// Where dead letters of the wanted module and lane stand, in order.
    async fn places(&self, selection: &Selection) -> Result<Vec<Letter>, Error> {
        let subjects = self.subjects_of(&self.subjects.dead_letters(selection.module.as_ref())).await?;
        let place = |subject: &String| match self.subjects.place(subject)? {
            Place::DeadLetter { module, lane, sequence } => Some(Letter { module, lane, sequence }),
            Place::Event { .. } | Place::View { .. } | Place::Checkpoint { .. } => None,
        };
        let mut places: Vec<Letter> = subjects.iter().filter_map(place).collect();
        places.retain(|place| selection.lane.is_none_or(|lane| lane == place.lane));
        places.sort_by(|one, other| order(one).cmp(&order(other)));
        Ok(places)
    }

    /// What stands there; none if it was removed.
    async fn stands(&self, place: Letter) -> Result<(Letter, Option<DeadLetter>), Error> {
        let subject = self.subjects.dead_letter(&place.module, place.lane, place.sequence.0);
        let stored = self.reader.last_json::<DeadLetter>(&subject).await?;
        Ok((place, stored.map(|stored| stored.value)))
    }
}

fn order(letter: &Letter) -> (&Name, u16, Sequence) {
    (&letter.module, letter.lane, letter.sequence)
}

fn place<S: Serializer>(next: &Option<Letter>, serializer: S) -> Result<S::Ok, S::Error> {
    match next {
        Some(Letter { module, lane, sequence }) => serializer.collect_str(&format_args!("{module}/{lane}/{sequence}")),
        None => serializer.serialize_none(),
    }
}

impl From<DeadLetter> for Short {
    fn from(letter: DeadLetter) -> Self {
        let DeadLetter { module, lane, stream, sequence, subject, time, key, cause, attempts, .. } = letter;
        let message = cause.message.lines().next().unwrap_or_default().chars().take(MESSAGE).collect();
        Self { module, lane, stream, sequence, subject, time, key, cause: cause.kind, message, attempts }
    }
}
