//! What is told of an input: the span of its processing, and in it those of the plugin's calls and of the commit. Plain
//! data; names are those of OpenTelemetry's conventions for messaging, and `pelton.…` for what those do not know.

use std::time::SystemTime;

use super::context::{Context, Flags, PROCESS, SpanId, TraceId};
use crate::commit::Done;
use crate::effects::Origin;
use crate::event::Delivery;
use crate::lane::GivenUp;
use crate::policy::CauseKind;

/// A span as a collector is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its trace.
    pub trace: TraceId,
    /// Its id.
    pub id: SpanId,
    /// The span that it is a part of.
    pub parent: Option<SpanId>,
    /// Whether that one is another program's.
    pub is_parent_remote: bool,
    /// What is known of the trace.
    pub flags: Flags,
    /// The producer's `tracestate`.
    pub state: String,
    /// What it is called.
    pub name: String,
    /// What it is to others.
    pub kind: Kind,
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// What else is known.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

/// What a span is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is a part of its parent.
    Internal,
    /// It asks a server for something.
    Client,
    /// It processes a message.
    Consumer,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
    /// True or false.
    Flag(bool),
}

impl From<&str> for Value {
    /// The beginning of a text: ids, subjects and reasons are others' to choose.
    fn from(text: &str) -> Self {
        Self::Text(short(text))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// The most characters of a text.
const TEXT: usize = 1_024;

fn short(text: &str) -> String {
    text.chars().take(TEXT).collect()
}

/// One call of the plugin.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// The plugin's digest.
    pub plugin: String,
    /// Why it failed, if it did.
    pub failed: Option<(CauseKind, String)>,
}

/// An input that is at work.
#[derive(Clone, Debug)]
pub struct Open {
    /// Where it stands in its trace.
    pub context: Context,
    /// The producer's `tracestate`.
    pub state: String,
    /// When the lane took it.
    pub taken: SystemTime,
    /// The calls that it took so far, in order.
    pub calls: Vec<Call>,
    /// Whether it is a dead letter that is replayed.
    pub is_replay: bool,
}

/// How a batch was stored.
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    /// When it was sent first.
    pub began: SystemTime,
    /// When it was known to be stored.
    pub ended: SystemTime,
    /// Its messages.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
    /// How often it was sent.
    pub attempts: u32,
}

/// What became of an input, before it is stored.
#[derive(Debug)]
pub struct Processed {
    process: Span,
    calls: Vec<Span>,
    commit: Span,
}

/// What a dead letter's spans are called by. It has a span apart from the input's own: if it is replayed, what that causes
/// is in the input's, and nothing is in this one.
const LETTER: &str = "dead-letter";

impl Processed {
    /// The input `open` in a lane of `origin`, for which the plugin gave `step`.
    pub fn done(open: Open, origin: &Origin, lane: u16, input: &Delivery, step: &Done) -> Self {
        let id = open.context.own.span;
        let mut processed = Self::of(open, origin, lane, input, (id, PROCESS));
        let effects = [("pelton.events", step.events.len().into()), ("pelton.writes", step.writes.len().into())];
        processed.process.attributes.extend(effects);
        processed
    }

    /// The input `open`, which becomes a dead letter.
    pub fn given_up(open: Open, origin: &Origin, lane: u16, given_up: &GivenUp) -> Self {
        let GivenUp { input, cause, attempts, .. } = given_up;
        let id = SpanId::of_input(origin, input.sequence(), &LETTER);
        let mut processed = Self::of(open, origin, lane, input, (id, LETTER));
        let kind = cause.kind.name();
        let why = [
            ("error.type", kind.into()),
            ("pelton.dead_letter.cause", kind.into()),
            ("pelton.attempts", u64::from(*attempts).into()),
        ];
        processed.process.attributes.extend(why);
        processed.process.failed = Some(short(&cause.message));
        processed
    }

    fn of(open: Open, origin: &Origin, lane: u16, input: &Delivery, (id, what): (SpanId, &str)) -> Self {
        let Open { context, state, taken, calls, is_replay } = open;
        let own = context.own;
        let child = |name: &str, what: &dyn std::fmt::Display, kind| Span {
            trace: own.trace,
            id: SpanId::of_input(origin, input.sequence(), what),
            parent: Some(id),
            is_parent_remote: false,
            flags: own.flags,
            state: state.clone(),
            name: name.to_owned(),
            kind,
            began: taken,
            ended: taken,
            attributes: Vec::new(),
            failed: None,
        };
        let process = Span {
            id,
            parent: context.producer.map(|producer| producer.span),
            is_parent_remote: context.producer.is_some(),
            attributes: attributes(origin, lane, input, is_replay),
            ..child(&format!("process {}", origin.module), &what, Kind::Consumer)
        };
        let calls = calls.into_iter().enumerate().map(|(at, call)| {
            let number = at + 1;
            call.span(number, child("call", &format_args!("{what}/call/{number}"), Kind::Internal))
        });
        let calls = calls.collect();
        let mut commit = child("commit", &format_args!("{what}/commit"), Kind::Client);
        let stream = origin.subjects.stream();
        commit.attributes =
            vec![("messaging.system", "nats".into()), ("messaging.destination.name", (&*stream).into())];
        Self { process, calls, commit }
    }

    /// The spans, now that they are stored.
    pub fn committed(self, commit: Commit) -> Vec<Span> {
        let Self { mut process, mut calls, commit: mut span } = self;
        let Commit { began, ended, messages, bytes, attempts } = commit;
        (span.began, span.ended, process.ended) = (began, ended, ended);
        span.attributes.extend([
            ("messaging.batch.message_count", messages.into()),
            ("pelton.commit.bytes", bytes.into()),
            ("pelton.commit.attempts", u64::from(attempts).into()),
            ("pelton.commit.outcome", "committed".into()),
        ]);
        calls.insert(0, process);
        calls.push(span);
        calls
    }
}

impl Call {
    fn span(self, number: usize, span: Span) -> Span {
        let Self { began, ended, plugin, failed } = self;
        let mut attributes = vec![("pelton.attempt", number.into()), ("pelton.plugin", plugin.as_str().into())];
        attributes.extend(failed.as_ref().map(|(kind, _)| ("error.type", kind.name().into())));
        Span { began, ended, attributes, failed: failed.map(|(_, why)| short(&why)), ..span }
    }
}

/// What is known of an input. Neither its key nor its data, which may be personal.
fn attributes(origin: &Origin, lane: u16, input: &Delivery, is_replay: bool) -> Vec<(&'static str, Value)> {
    let message = &input.message;
    let mut attributes: Vec<(&'static str, Value)> = vec![
        ("messaging.system", "nats".into()),
        ("messaging.operation.type", "process".into()),
        ("messaging.operation.name", "process".into()),
        ("messaging.destination.name", message.subject.as_str().into()),
        ("messaging.consumer.group.name", origin.module.as_str().into()),
        ("messaging.message.body.size", message.payload.len().into()),
        ("pelton.app", origin.app.as_str().into()),
        ("pelton.module", origin.module.as_str().into()),
        ("pelton.lane", u64::from(lane).into()),
        ("pelton.stream", origin.stream.as_str().into()),
        ("pelton.sequence", message.sequence.0.into()),
    ];
    if let Ok((event, _)) = &input.input {
        attributes.extend([
            ("messaging.message.id", event.id.as_str().into()),
            ("messaging.message.conversation_id", event.correlation.as_str().into()),
            ("cloudevents.event_source", event.source.as_str().into()),
            ("cloudevents.event_type", event.kind.as_str().into()),
        ]);
    }
    attributes.extend(is_replay.then_some(("pelton.replay", Value::Flag(true))));
    attributes
}
