//! Compares what an input gives with what is stored of it. Pure.

use sha2::{Digest, Sha256};

use super::report::{Difference, Kind};
use crate::effects::Outgoing;
use crate::event::{Message, Sequence};
use crate::policy::{Cause, CauseKind};

/// The digest of an event: of subject, headers and payload.
pub type Print = [u8; 32];

/// An event that a plugin gives.
#[derive(Clone, Debug)]
pub struct Given {
    /// Its id.
    pub id: String,
    /// Its digest.
    pub print: Print,
    /// Its subject.
    pub subject: String,
    /// Its data, in short, for people.
    pub data: String,
    /// Whether the server may have removed it by now.
    pub may_be_gone: bool,
}

/// An event that is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Where it stands in the app stream.
    pub at: Sequence,
    /// Its id.
    pub id: String,
    /// Its digest.
    pub print: Print,
    /// Its subject.
    pub subject: String,
}

/// A dead letter that is stored.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Where it stands in the app stream.
    pub at: Sequence,
    /// Its cause.
    pub cause: Cause,
    /// The digest of the plugin that failed.
    pub plugin: String,
    /// The input's subject, as far as it is kept.
    pub subject: String,
    /// The SHA-256 of the input's payload, in hex.
    pub payload: String,
}

/// What a plugin makes of an input.
#[derive(Clone, Debug)]
pub enum Made {
    /// Effects: these events, in order.
    Events(Vec<Given>),
    /// It fails.
    Failure(Cause),
}

/// What is stored of an input.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Events that name it, in order.
    pub events: Vec<Seen>,
    /// Its dead letter.
    pub letter: Option<Letter>,
    /// Whether it was a dead letter that is gone: run again, or thrown away.
    pub set_aside: bool,
}

impl Stored {
    /// Whether the input had no effects at its place, as is stored: a dead letter stands for it. One that stands beside
    /// events, of a kind that comes again, is not believed.
    pub fn had_none(&self) -> bool {
        let stands = self.letter.as_ref();
        self.set_aside || stands.is_some_and(|it| self.events.is_empty() || !can_be_repeated(it.cause.kind))
    }

    /// Whether events that stand there are to be looked for.
    pub fn may_have_events(&self) -> bool {
        !self.set_aside && self.letter.as_ref().is_none_or(|letter| can_be_repeated(letter.cause.kind))
    }
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The plugin gives what is stored.
    Same,
    /// That cannot be told, for this reason. Whether the input had effects.
    Unclear(String, bool),
    /// It does not.
    Differs(Vec<Difference>),
}

/// Compares what is made of an input with what is stored.
pub fn judge(input: &Message, made: &Made, stored: &Stored) -> Verdict {
    match (made, &stored.letter) {
        // It was not run.
        (_, Some(letter)) if letter.cause.kind == CauseKind::Parked && stored.events.is_empty() => Verdict::Same,
        (Made::Failure(_), None) if stored.set_aside => Verdict::Same,
        (Made::Events(_), None) if stored.set_aside => {
            let why = "was a dead letter that is gone, and does not fail again";
            Verdict::Unclear(why.to_owned(), false)
        }
        (Made::Failure(cause), Some(letter)) => failed(input, cause, letter),
        (Made::Events(given), Some(letter)) if can_be_repeated(letter.cause.kind) => {
            let stands = format!("a dead letter ({})", said(&letter.cause));
            let mut found = vec![Difference::of(Kind::DeadLetter, "effects".to_owned(), stands).at(letter.at)];
            if let (Verdict::Differs(more), false) = (events(given, &stored.events), stored.events.is_empty()) {
                found.extend(more);
            }
            Verdict::Differs(found)
        }
        (Made::Events(_), Some(letter)) => {
            let name = letter.cause.kind.name();
            Verdict::Unclear(format!("is a dead letter of the cause {name}, and does not fail again"), false)
        }
        (Made::Failure(cause), None) if can_be_repeated(cause.kind) => {
            let events = stored.events.len();
            let stored_as = if events == 0 { "nothing".to_owned() } else { format!("{events} events") };
            let found = Difference::of(Kind::DeadLetter, format!("a dead letter ({})", said(cause)), stored_as);
            Verdict::Differs(vec![found])
        }
        (Made::Failure(cause), None) => {
            Verdict::Unclear(format!("fails now, by {}, which may be chance", cause.kind.name()), true)
        }
        (Made::Events(given), None) => events(given, &stored.events),
    }
}

/// Whether a failure comes again whenever the input is run: others depend on time, on the machine or on the server.
fn can_be_repeated(kind: CauseKind) -> bool {
    use CauseKind::{Decode, Effects, Key, Reject, Retry, Trap};
    matches!(kind, Reject | Retry | Trap | Decode | Key | Effects)
}

/// A cause in short.
fn said(cause: &Cause) -> String {
    format!("{}: {}", cause.kind.name(), super::report::short(&cause.message))
}

fn failed(input: &Message, cause: &Cause, letter: &Letter) -> Verdict {
    let differs =
        |expected, stored| Verdict::Differs(vec![Difference::of(Kind::DeadLetter, expected, stored).at(letter.at)]);
    let payload = format!("{:x}", Sha256::digest(&input.payload));
    if letter.payload != payload || !input.subject.starts_with(&letter.subject) {
        return differs("a dead letter that holds the input".to_owned(), "one that holds something else".to_owned());
    }
    let (now, then) = (cause.kind, letter.cause.kind);
    let is_same = now == then && (now != CauseKind::Reject || letter.cause.message == cause.message);
    if is_same {
        Verdict::Same
    } else if can_be_repeated(now) && can_be_repeated(then) {
        differs(format!("a dead letter ({})", said(cause)), format!("a dead letter ({})", said(&letter.cause)))
    } else {
        Verdict::Unclear(
            format!("is a dead letter of the cause {}, and fails by {} now", then.name(), now.name()),
            false,
        )
    }
}

fn events(given: &[Given], stored: &[Seen]) -> Verdict {
    let ids = |seen: &Seen| given.iter().find(|given| given.id == seen.id);
    let mut found = Vec::new();
    for (at, seen) in stored.iter().enumerate() {
        let subject = |difference: Difference| difference.on(&seen.subject).at(seen.at);
        match ids(seen) {
            None => found.push(subject(Difference::of(Kind::Event, "no such event".to_owned(), String::new()))),
            Some(_) if stored.iter().take(at).any(|before| before.id == seen.id) => {
                found.push(subject(Difference::of(Kind::Event, "it once".to_owned(), "it twice".to_owned())));
            }
            Some(given) if given.print != seen.print => {
                let expected = format!("{} {}", given.subject, given.data);
                found.push(subject(Difference::of(Kind::Event, expected, String::new())));
            }
            Some(_) => {}
        }
    }
    let missing = |given: &&Given| !stored.iter().any(|seen| seen.id == given.id);
    for given in given.iter().filter(missing).filter(|given| !given.may_be_gone) {
        let expected = format!("{} {}", given.subject, given.data);
        found.push(Difference::of(Kind::Event, expected, "nothing".to_owned()).on(&given.subject));
    }
    if !found.is_empty() {
        return Verdict::Differs(found);
    }
    let there: Vec<&str> = given.iter().filter(|given| !missing(given)).map(|given| given.id.as_str()).collect();
    if !there.iter().eq(stored.iter().map(|seen| seen.id.as_str()).collect::<Vec<_>>().iter()) {
        let first = stored.first().map_or(Sequence(0), |first| first.at);
        let found = Difference::of(Kind::Event, "its events in another order".to_owned(), "these".to_owned());
        return Verdict::Differs(vec![found.at(first)]);
    }
    if there.len() < given.len() {
        return Verdict::Unclear("gives events that retention may have removed".to_owned(), true);
    }
    Verdict::Same
}

/// The digest of an event that a plugin gives.
pub fn print_of(message: &Outgoing) -> Print {
    let mut headers: Vec<(&str, &str)> =
        message.headers.iter().map(|(name, value)| (name.as_ref(), value.as_str())).collect();
    headers.sort_by_key(|(name, _)| *name);
    print(&message.subject, headers, &message.payload)
}

/// The digest of an event that is stored.
pub fn print_of_stored(message: &Message) -> Print {
    let headers = message.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    print(&message.subject, headers, &message.payload)
}

/// Over all that the plugin decides: not what the commit adds, nor what settings say of keeping and sampling.
fn print(subject: &str, headers: Vec<(&str, &str)>, payload: &[u8]) -> Print {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    add(subject.as_bytes());
    for (name, value) in headers.into_iter().filter(|(name, _)| !name.starts_with("Nats-")) {
        let is_context = name.ends_with("traceparent");
        let value = if is_context { value.rsplit_once('-').map_or(value, |(context, _)| context) } else { value };
        add(name.as_bytes());
        add(value.trim().as_bytes());
    }
    add(payload);
    hash.finalize().into()
}

#[cfg(test)]
mod tests;
