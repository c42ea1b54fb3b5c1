//! What guests return: whatever it is, what passes the check is safe to publish and says where it comes from.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use pelton::cloudevents::decode;
use pelton::effects::{
    Bounds, CheckedWrite, Effects, Emitted, GUARD, Grants, HOPS, Origin, Outgoing, ViewWrite, check,
};
use pelton::event::{Event, Message, Sequence};
use pelton::route::lane_of;
use pelton::subject::{Generation, Name, Subjects, decode as key_of};
use pelton::traces::Ratio;
use pelton::traces::context::TraceParent;

use super::message::{STREAM, message, received};
use super::source::Source;

const GRANTED: [&str; 3] = ["alerts", "totals", "by-day"];
const NAMES: [&str; 7] = ["alerts", "totals", "by-day", "", ">", "totals.1", "Alerts"];
const KEYS: [&str; 8] = ["c 1", "c 1/a", "c 1/", "c 10", "c", "", "*", "é\r\n"];
const KINDS: [&str; 5] = ["alarm", "", "a b", "a\r\nNats-Rollup: all", "é%"];
const MEDIA_TYPES: [&str; 7] = [
    "",
    "application/json",
    "text/plain; a=\"b\"",
    "application/cloudevents+json",
    " Application/CloudEvents+json",
    "a\r\nNats-Rollup: all",
    "é",
];
const ATTRIBUTES: [&str; 12] = [
    "tenant",
    "area",
    "pelton",
    "natsrollup",
    "Nats-Rollup",
    "nats-ttl",
    "id",
    "correlationid",
    "traceparent",
    "pelton-path",
    "a\r\nb",
    "",
];
const VALUES: [&str; 6] = ["a", "", " a ", "a\r\nNats-Rollup: all", "é\u{1}%0A", "\u{a0}a"];

/// One input, and what a guest made of it.
struct Case {
    origin: Origin,
    grants: Grants,
    bounds: Bounds,
    event: Event,
    key: String,
    sequence: Sequence,
    effects: Effects,
}

/// Effects are refused with a reason, or become messages that keep every rule.
pub fn results(data: &[u8]) {
    let Some(case) = case(&mut Source::new(data)) else { return };
    let Case { origin, grants, bounds, event, key, sequence, effects } = &case;
    let checked = || check(effects.clone(), origin, grants, bounds, (event, key, *sequence));
    let first = checked();
    assert_eq!(first, checked(), "the same input gives the same messages");
    let checked = match first {
        Ok(checked) => checked,
        Err(violation) => return assert!(!violation.to_string().is_empty()),
    };
    assert_eq!((checked.events.len(), checked.writes.len()), (effects.events.len(), effects.writes.len()));
    assert!(checked.events.len() + checked.writes.len() < bounds.batch_messages, "one is kept for the checkpoint");
    let sizes = checked.events.iter().map(Outgoing::size).chain(checked.writes.iter().map(CheckedWrite::size));
    assert!(sizes.sum::<usize>() <= bounds.batch_bytes);
    for (index, (message, emitted)) in checked.events.iter().zip(&effects.events).enumerate() {
        is_safe(message, bounds, &["Nats-TTL"]);
        is_on_its_subject(message, emitted, &case);
        says_where_it_comes_from(message, emitted, index, &case);
    }
    let ids: BTreeSet<_> = checked.events.iter().filter_map(|message| header(message, "ce-id")).collect();
    assert_eq!(ids.len(), checked.events.len(), "ids are unique");
    for (write, wanted) in checked.writes.iter().zip(&effects.writes) {
        is_safe(&write.message(), bounds, &["Nats-Rollup"]);
        is_owned(write, wanted, &case);
    }
}

fn case(source: &mut Source<'_>) -> Option<Case> {
    let names = [source.one_of(&["shop", "a"]), source.one_of(&["totals", "by-day", "a"])];
    let [app, module] = names.map(|name| name.parse::<Name>().ok());
    let (app, module) = (app?, module?);
    let created = "2026-01-01T00:00:00Z".to_owned();
    let origin = Origin {
        subjects: Subjects::new(&app),
        app,
        module,
        stream: STREAM.to_owned(),
        created,
        generation: Generation::default(),
        ratio: Ratio::default(),
    };
    let (grants, bounds) = (grants(source), bounds(source));
    let key = Some(source.text(&KEYS)).filter(|key| !key.is_empty())?;
    let writes = source.several(4, |source| write(source, &key));
    let effects = Effects { writes, events: source.several(4, emitted) };
    let (event, sequence) = cause(source)?;
    Some(Case { origin, grants, bounds, event, key, sequence, effects })
}

/// An event as some publisher may have sent it.
fn cause(source: &mut Source<'_>) -> Option<(Event, Sequence)> {
    let message = message(source);
    let event =
        decode(STREAM, &message).or_else(|_| decode(STREAM, &Message { headers: Vec::new(), ..message.clone() }));
    Some((event.ok()?, message.sequence))
}

fn grants(source: &mut Source<'_>) -> Grants {
    let granted = || GRANTED.iter().filter_map(|name| name.parse::<Name>().ok());
    let lasting = |source: &mut Source<'_>| source.perhaps(|source| Duration::from_millis(source.number(1, u64::MAX)));
    Grants {
        views: granted().filter(|_| source.number(0, 3) < 3).collect(),
        emits: granted().map(|name| (name, lasting(source))).collect(),
        many_lanes: source.flag(),
    }
}

fn bounds(source: &mut Source<'_>) -> Bounds {
    let roomy = Bounds::new(1 << 20, 1_000);
    match source.number(0, 7) {
        0..=5 => roomy,
        6 => roomy.within(source.size(0, 10), source.size(0, 10_000)),
        _ => Bounds::new(source.size(0, 5_000), source.size(0, 10)),
    }
}

fn emitted(source: &mut Source<'_>) -> Emitted {
    Emitted {
        category: name(source),
        key: source.perhaps(|source| source.text(&KEYS)),
        kind: source.text(&KINDS),
        subject: source.perhaps(|source| source.text(&KINDS)),
        content_type: source.text(&MEDIA_TYPES),
        attributes: source.several(3, |source| (source.text(&ATTRIBUTES), source.text(&VALUES))),
        data: source.bytes().into(),
    }
}

fn write(source: &mut Source<'_>, event_key: &str) -> ViewWrite {
    let view = name(source);
    let key = match source.number(0, 4) {
        0 => event_key.to_owned(),
        1 => format!("{event_key}/{}", source.text(&KEYS)),
        2 => format!("{event_key}{}", source.text(&KEYS)),
        _ => source.text(&KEYS),
    };
    ViewWrite { view, key, value: source.perhaps(|source| Bytes::from(source.bytes())) }
}

/// Mostly a name that may be granted.
fn name(source: &mut Source<'_>) -> String {
    if source.number(0, 7) < 7 { source.one_of(&GRANTED).to_owned() } else { source.text(&NAMES) }
}

/// Nothing in it breaks the protocol or steers the server, but for the headers `ours`.
fn is_safe(message: &Outgoing, bounds: &Bounds, ours: &[&str]) {
    let headers: usize = message.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    assert!(message.subject.len() <= 1 << 10 && headers <= 64 << 10, "{}, {headers}", message.subject.len());
    assert!(headers + message.payload.len() <= bounds.message, "{headers}, {}", message.payload.len());
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'*' && byte != b'>';
    assert!(message.subject.bytes().all(is_plain), "{:?}", message.subject);
    assert!(!message.subject.split('.').any(str::is_empty), "{:?}", message.subject);
    for (name, value) in message.headers.iter() {
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'), "{name:?}");
        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{name}: {value:?}");
        let steers = name.to_ascii_lowercase().starts_with("nats-");
        assert!(!steers || ours.contains(&name.as_ref()), "{name}: {value:?}");
    }
    for name in ours {
        assert!(message.headers.iter().filter(|(found, _)| found == name).count() < 2, "{:?}", message.headers);
    }
}

fn header<'m>(message: &'m Outgoing, name: &str) -> Option<&'m str> {
    message.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

/// It is an event of a granted category about the entity that the guest names, kept as long as the config says.
fn is_on_its_subject(message: &Outgoing, emitted: &Emitted, case: &Case) {
    let prefix = format!("pelton.{}.events.{}.", case.origin.app, emitted.category);
    let entity = message.subject.strip_prefix(&prefix).and_then(key_of);
    assert_eq!(entity.as_ref(), emitted.key.as_ref().or(Some(&case.key)));
    let kept = case.grants.emits.get(emitted.category.as_str());
    let expected = kept.map(|kept| kept.map(|kept| format!("{}s", kept.as_secs().max(1))));
    assert_eq!(Some(header(message, "Nats-TTL").map(str::to_owned)), expected);
}

/// Whoever reads it finds what the guest said, and what the host says of it, which no guest can say otherwise.
fn says_where_it_comes_from(message: &Outgoing, emitted: &Emitted, index: usize, case: &Case) {
    let Case { origin, event: cause, sequence, .. } = case;
    let headers = message.headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    let read = Message {
        sequence: Sequence(1),
        stored: time::OffsetDateTime::UNIX_EPOCH,
        subject: message.subject.to_string(),
        headers: received(headers),
        payload: message.payload.clone(),
    };
    let read = decode("KV_shop", &read);
    assert!(read.is_ok(), "{read:?}");
    let Ok(read) = read else { return };
    let source = format!("pelton/{}/{}", origin.app, origin.module);
    assert_eq!((read.id, read.source), (origin.event_id(*sequence, index).to_string(), source));
    assert_eq!((&read.kind, &read.data), (&emitted.kind, &emitted.data));
    assert_eq!(read.subject.as_ref(), emitted.subject.as_ref().filter(|subject| !subject.is_empty()));
    assert_eq!((&read.time, &read.correlation), (&cause.time, &cause.correlation));
    assert_eq!(read.causation.as_ref(), Some(&cause.id));
    assert!(emitted.attributes.iter().all(|attribute| read.attributes.contains(attribute)), "{:?}", read.attributes);
    assert_eq!(header(message, "Pelton-Input"), Some(format!("{STREAM}:{sequence}").as_str()));
    let trace = header(message, "traceparent").map(str::parse::<TraceParent>);
    assert!(matches!(trace, Some(Ok(_))), "{trace:?}");
    let hops = header(message, "Pelton-Hops").and_then(|hops| hops.parse::<usize>().ok());
    assert!(hops.is_some_and(|hops| (1..=HOPS).contains(&hops)), "{hops:?}");
    let mut path = header(message, "Pelton-Path").unwrap_or_default().split(',');
    assert!(path.all(|module| module.parse::<Name>().is_ok()), "{:?}", message.headers);
}

/// It is on a key of a view that the module owns, and that no other lane may write.
fn is_owned(write: &CheckedWrite, wanted: &ViewWrite, Case { origin, grants, key, .. }: &Case) {
    assert!(grants.views.contains(wanted.view.as_str()), "{wanted:?}");
    let prefix = format!("$KV.{}.{}.{}.", origin.app, wanted.view, origin.generation);
    assert_eq!(write.subject.strip_prefix(&prefix).and_then(key_of).as_ref(), Some(&wanted.key));
    assert_eq!(write.value, wanted.value);
    let guard = GUARD.len() + 24;
    assert!(write.message().size() + guard <= write.size(), "{write:?}");
    if grants.many_lanes {
        assert_eq!(lane_of(&wanted.key, 256), lane_of(key, 256), "{:?} of {key:?}", wanted.key);
    }
}
