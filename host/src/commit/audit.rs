//! The audit: what operators did to an app, when, and who. Each entry is stored in the batch that does it. Pure.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::effects::Outgoing;
use crate::event::{Sequence, rfc3339};
use crate::lane::version::Outcome;
use crate::subject::{Generation, Name, Subjects};

/// One entry, as JSON in the app stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, RFC 3339.
    pub time: String,
    /// Who: user and machine, as the command line found them.
    pub who: String,
    /// What.
    #[serde(flatten)]
    pub act: Act,
}

/// What an operator may do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "lowercase")]
pub enum Act {
    /// A module was stopped for a while.
    Pause {
        /// The module.
        module: Name,
    },
    /// A paused or halted module was started.
    Resume {
        /// The module.
        module: Name,
    },
    /// A module's plugin was swapped, or the old one returned.
    Swap {
        /// The module.
        module: Name,
        /// The digest of the plugin before.
        was: String,
        /// The digest of the one that was to take its place.
        plugin: String,
        /// Which of them stays, and what decided it; none if the new one was not to be tried.
        #[serde(flatten)]
        outcome: Option<Outcome>,
    },
    /// The number of a module's lanes was changed.
    Scale {
        /// The module.
        module: Name,
        /// How many it had.
        was: u16,
        /// How many it has.
        lanes: u16,
        /// Where the lane furthest behind was: all go on behind it, but do nothing again.
        behind: Sequence,
    },
    /// A module was sent elsewhere in its input stream.
    Reset {
        /// The module.
        module: Name,
        /// It goes on behind this position.
        behind: Sequence,
        /// The generation of its views from then on.
        generation: Generation,
    },
    /// A dead letter's input was run again, with effects.
    Replay {
        /// The dead letter.
        #[serde(flatten)]
        letter: Letter,
        /// Its place in the order of its lane: behind this input of the input stream, before the next. Entries of versions
        /// that did not keep it have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        behind: Option<Sequence>,
    },
    /// A dead letter was thrown away.
    Discard(Letter),
}

/// Which dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The module.
    pub module: Name,
    /// Its lane.
    pub lane: u16,
    /// The input's position.
    pub sequence: Sequence,
}

/// A replay on its way, to be noted once it has run.
#[derive(Debug)]
pub struct Replaying {
    /// The app's subjects.
    pub subjects: Subjects,
    /// Who asked for it.
    pub who: String,
    /// The dead letter.
    pub letter: Letter,
    /// When.
    pub now: OffsetDateTime,
}

impl Replaying {
    /// The message that keeps that it ran behind the input at `behind`.
    pub fn ran(self, behind: Sequence) -> Outgoing {
        let Self { subjects, who, letter, now } = self;
        message(&subjects, &who, Act::Replay { letter, behind: Some(behind) }, now)
    }
}

impl Entry {
    /// That `who` did `act` at `now`.
    pub fn new(who: &str, act: Act, now: OffsetDateTime) -> Self {
        Self { time: rfc3339(now), who: who.to_owned(), act }
    }

    /// The message that keeps it.
    pub fn message(&self, subjects: &Subjects) -> Outgoing {
        let payload = serde_json::to_vec(self).unwrap_or_default().into();
        let headers = vec![("Content-Type".into(), "application/json".to_owned())].into();
        Outgoing { subject: subjects.audit().into(), headers, payload }
    }
}

/// The message that keeps `act`, done by `who` at `now`.
pub fn message(subjects: &Subjects, who: &str, act: Act, now: OffsetDateTime) -> Outgoing {
    Entry::new(who, act, now).message(subjects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_says_where_it_ran_and_one_of_before_need_not() {
        let (module, sequence): (Name, _) = ("m".parse().unwrap(), Sequence(4));
        let letter = Letter { module: module.clone(), lane: 2, sequence };
        let replaying = Replaying {
            subjects: Subjects::new(&module),
            who: "me@here".to_owned(),
            letter: letter.clone(),
            now: OffsetDateTime::UNIX_EPOCH,
        };
        let entry: Entry = serde_json::from_slice(&replaying.ran(Sequence(9)).payload).unwrap();
        assert_eq!(entry.act, Act::Replay { letter: letter.clone(), behind: Some(Sequence(9)) });
        let before =
            r#"{"time":"1970-01-01T00:00:00Z","who":"me@here","act":"replay","module":"m","lane":2,"sequence":4}"#;
        let before: Entry = serde_json::from_str(before).unwrap();
        assert_eq!(before.act, Act::Replay { letter, behind: None });
    }
}
