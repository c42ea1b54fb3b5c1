//! W3C trace contexts: read from what a producer says, else derived from where the input stands, and written into what it
//! causes. Pure.

use std::fmt::{self, Write};
use std::str::FromStr;

use xxhash_rust::xxh64::xxh64;

use crate::effects::Origin;
use crate::event::{Event, Sequence};

/// The attribute, and header, that says which span caused something.
pub const TRACEPARENT: &str = "traceparent";
/// The one that holds what tracing systems want passed on.
pub const TRACESTATE: &str = "tracestate";

/// A trace's id, which is never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// A span's id, which is never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId([u8; 8]);

/// What is known of a trace besides its id. Flags that nobody knows are not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// The caller may have recorded it.
    const SAMPLED: u8 = 1;
    /// The trace's id is random (level 2 of the standard).
    const RANDOM: u8 = 2;

    fn sampled(is_sampled: bool) -> Self {
        Self(if is_sampled { Self::SAMPLED } else { 0 })
    }

    /// Whether spans of the trace are recorded.
    pub fn is_sampled(self) -> bool {
        self.0 & Self::SAMPLED != 0
    }

    /// The flags as a number.
    pub fn bits(self) -> u8 {
        self.0
    }
}

/// What a `traceparent` says: a span, its trace, and whether that is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span in it.
    pub span: SpanId,
    /// What else is known.
    pub flags: Flags,
}

/// It is no `traceparent` that this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

impl FromStr for TraceParent {
    type Err = Unreadable;

    /// Reads version 00, and of a later one what stands where it does in version 00. Upper case is an error, as the
    /// standard has it.
    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let mut fields = text.splitn(5, '-');
        let mut next = || fields.next().ok_or(Unreadable);
        let [version] = hex(next()?)?;
        let (trace, span, [flags]) = (TraceId::of(hex(next()?)?)?, SpanId::of(hex(next()?)?)?, hex(next()?)?);
        if version == 0xff || (version == 0 && fields.next().is_some()) {
            return Err(Unreadable);
        }
        Ok(Self { trace, span, flags: Flags(flags & (Flags::SAMPLED | Flags::RANDOM)) })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, self.flags.0)
    }
}

/// So many bytes in lower-case hex.
fn hex<const N: usize>(text: &str) -> Result<[u8; N], Unreadable> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(Unreadable) };
    let mut bytes = [0; N];
    if pairs.len() != N {
        return Err(Unreadable);
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(high).ok_or(Unreadable)? << 4 | digit(low).ok_or(Unreadable)?;
    }
    Ok(bytes)
}

/// Digit by digit: formatting each byte takes twice as long, and every input that emits pays for it.
fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let mut digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.try_for_each(|digit| f.write_char(char::from_digit(digit.into(), 16).unwrap_or_default()))
}

impl TraceId {
    fn of(bytes: [u8; 16]) -> Result<Self, Unreadable> {
        if bytes == [0; 16] { Err(Unreadable) } else { Ok(Self(bytes)) }
    }

    /// The trace of an input whose producer gave none. All modules that take the input, also those of other apps, come to
    /// the same one, so that it is one trace to look at.
    fn of_input(Origin { stream, created, .. }: &Origin, sequence: Sequence) -> Self {
        let name = format!("pelton/{stream}/{created}/{sequence}");
        let [high, low] = [0, 1].map(|seed| u128::from(xxh64(name.as_bytes(), seed)));
        Self((high << 64 | low).max(1).to_be_bytes())
    }

    /// The id's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl SpanId {
    fn of(bytes: [u8; 8]) -> Result<Self, Unreadable> {
        if bytes == [0; 8] { Err(Unreadable) } else { Ok(Self(bytes)) }
    }

    /// The span that `what` of an input of a module is. It derives from what an event's id derives from, so that a run of
    /// the same input writes the same context. XXH64, and no UUID, since every input that emits pays for it.
    pub fn of_input(origin: &Origin, sequence: Sequence, what: &dyn fmt::Display) -> Self {
        let Origin { app, module, stream, created, .. } = origin;
        let name = format!("pelton/{app}/{module}/{stream}/{created}/{sequence}/{what}");
        Self(xxh64(name.as_bytes(), 0).max(1).to_be_bytes())
    }

    /// The id's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

/// What part of the traces that no producer began is sampled. Decided by the trace's id: every host, and every run, decides
/// alike, and so do others that follow OpenTelemetry's consistent sampling, which looks at the same 56 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ratio(u64);

impl Ratio {
    const ALL: u64 = 1 << 56;

    /// The ratio `part`; none if it is not from 0 to 1.
    pub fn new(part: f64) -> Option<Self> {
        (0.0..=1.0).contains(&part).then_some(Self((part * Self::ALL as f64) as u64))
    }

    /// Whether it takes none.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    fn takes(self, trace: TraceId) -> bool {
        let random = (u128::from_be_bytes(trace.0) as u64) & (Self::ALL - 1);
        random >= Self::ALL - self.0
    }
}

/// Where the processing of one input stands in its trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Context {
    /// The producer's span; none if it gave no context that can be read.
    pub producer: Option<TraceParent>,
    /// The input's own: what it causes is in its span.
    pub own: TraceParent,
}

/// What a module's span of an input is called by.
pub(super) const PROCESS: &str = "process";

/// The most bytes of a `tracestate` that a collector is told; the standard asks for 512.
const STATE: usize = 4 << 10;

impl Context {
    /// The context of `event`, which is the input at `sequence`. The producer's span becomes the parent, and no link: an
    /// input is processed by itself, never in a batch of several producers', so that the chain is one trace.
    pub fn of(event: &Event, origin: &Origin, sequence: Sequence) -> Self {
        Self::behind(producer(&event.attributes), origin, sequence)
    }

    /// The context of the input at `sequence`, whose producer said that of itself.
    pub fn behind(producer: Option<TraceParent>, origin: &Origin, sequence: Sequence) -> Self {
        let (trace, flags) = match producer {
            Some(TraceParent { trace, flags, .. }) => (trace, flags),
            None => {
                let trace = TraceId::of_input(origin, sequence);
                (trace, Flags::sampled(origin.ratio.takes(trace)))
            }
        };
        Self { producer, own: TraceParent { trace, span: SpanId::of_input(origin, sequence, &PROCESS), flags } }
    }

    /// Whether the input at `sequence` is sampled, without working out more than that takes.
    pub fn is_sampled(producer: Option<TraceParent>, origin: &Origin, sequence: Sequence) -> bool {
        match producer {
            Some(producer) => producer.flags.is_sampled(),
            None => !origin.ratio.is_none() && origin.ratio.takes(TraceId::of_input(origin, sequence)),
        }
    }

    /// What an event that `event` causes carries: the input's span, and what tracing systems want passed on, unchanged.
    pub fn attributes(&self, event: &Event) -> Vec<(String, String)> {
        let mut attributes = vec![(TRACEPARENT.to_owned(), self.own.to_string())];
        attributes.extend(self.state(&event.attributes).map(|state| (TRACESTATE.to_owned(), state.to_owned())));
        attributes
    }

    /// The producer's `tracestate`, as one text; empty if it is longer than anybody needs to take.
    pub fn state_text(&self, attributes: &[(String, String)]) -> String {
        let mut text = String::new();
        for state in self.state(attributes) {
            let separator = if text.is_empty() { "" } else { "," };
            // Writing to a string cannot fail.
            write!(text, "{separator}{state}").ok();
        }
        if text.len() <= STATE { text } else { String::new() }
    }

    /// A `tracestate` belongs to a `traceparent`: without one that can be read it means nothing.
    fn state<'a>(&self, attributes: &'a [(String, String)]) -> impl Iterator<Item = &'a str> {
        let is_state = |name: &str| name.eq_ignore_ascii_case(TRACESTATE);
        let all = attributes.iter().filter(move |(name, _)| is_state(name)).map(|(_, value)| value.as_str());
        all.filter(|_| self.producer.is_some())
    }
}

/// What the producer says of itself in attributes, or headers. If it contradicts itself, it says nothing.
pub fn producer(attributes: &[(String, String)]) -> Option<TraceParent> {
    let mut said = attributes.iter().filter(|(name, _)| name.eq_ignore_ascii_case(TRACEPARENT));
    let (Some((_, value)), None) = (said.next(), said.next()) else { return None };
    value.parse().ok()
}

#[cfg(test)]
mod tests;
