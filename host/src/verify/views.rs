//! Compares the values of a module's views with those that its inputs give.

use super::Error;
use super::read::{self, is_removed};
use super::report::{Difference, Kind, Report, short};
use super::rerun::text;
use super::values::{Known, Values};
use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::commit::record::Record;
use crate::event::Message;
use crate::query::Query;
use crate::route::lane_of;
use crate::source::InputStream;
use crate::source::range::Range;
use crate::subject::decode;

/// What is compared.
pub struct Views<'a> {
    /// The app.
    pub query: &'a Query,
    /// Its stream.
    pub stream: &'a InputStream,
    /// The module.
    pub record: &'a Record,
    /// Its checkpoints when the verification began.
    pub checkpoints: &'a [Stored<Checkpoint>],
    /// Only what events of this key may write.
    pub key: Option<&'a str>,
    /// The most differences that are kept.
    pub most: usize,
}

impl Views<'_> {
    /// Compares all that is stored with what is known.
    pub async fn compare(&self, values: &mut Values, report: &mut Report) -> Result<(), Error> {
        let Self { query, record, stream, .. } = self;
        let filters: Vec<String> =
            record.views.iter().map(|view| query.subjects().view_values(view, record.generation)).collect();
        if filters.is_empty() {
            return Ok(());
        }
        let mut found = Vec::new();
        let mut range = Range::latest((*stream).clone(), filters).await?;
        while let Some(message) = range.next().await? {
            if self.is_meant(&message.subject) {
                found.extend(one(&message, values.remove(&message.subject), report));
            }
        }
        let missing = values.existing().filter(|subject| self.is_meant(subject));
        for subject in missing {
            let expected = match values.get(subject) {
                Known::Is(Some(value)) => short(&text(&value)),
                Known::Is(None) | Known::Not => continue,
            };
            found.push(Difference::of(Kind::Value, expected, "no value".to_owned()).on(subject));
        }
        let now = read::checkpoints(query, record).await?;
        for difference in found {
            if self.is_new(&difference, &now) {
                let subject = difference.subject.unwrap_or_default();
                report.unclear("was written while this ran: verify again, or pause the module".to_owned(), &subject);
            } else {
                report.differs(difference, self.most);
            }
        }
        Ok(())
    }

    /// Whether the value on `subject` is among those that are compared.
    fn is_meant(&self, subject: &str) -> bool {
        let Some(key) = self.key else { return true };
        let found = key_on(subject);
        found.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether a value may have been written by an input that came since the verification began: those of a lane are
    /// stored with its next checkpoint.
    fn is_new(&self, difference: &Difference, now: &[Stored<Checkpoint>]) -> bool {
        let lane = usize::from(lane_of(&key_on(difference.subject.as_deref().unwrap_or_default()), self.record.lanes));
        let before = self.checkpoints.get(lane).map(|stored| stored.revision).unwrap_or_default();
        let has_moved = now.get(lane).is_none_or(|stored| stored.revision != before);
        has_moved && difference.at.is_none_or(|at| at > before)
    }
}

fn key_on(subject: &str) -> String {
    subject.rsplit('.').next().and_then(decode).unwrap_or_default()
}

/// Compares a stored value with what is known of it.
fn one(message: &Message, known: Known, report: &mut Report) -> Option<Difference> {
    let stored = (!is_removed(message)).then(|| message.payload.clone());
    let expected = match known {
        Known::Is(expected) => expected,
        Known::Not => {
            report.unclear("holds what came from inputs that were not verified".to_owned(), &message.subject);
            return None;
        }
    };
    if stored == expected {
        report.values += u64::from(stored.is_some());
        return None;
    }
    let shown = |value: Option<bytes::Bytes>| value.map_or("no value".to_owned(), |value| short(&text(&value)));
    let found = Difference::of(Kind::Value, shown(expected), shown(stored));
    Some(found.on(&message.subject).at(message.sequence))
}
