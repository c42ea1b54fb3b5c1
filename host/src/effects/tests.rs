use proptest::prelude::*;

use super::*;
use crate::event::Message;

/// The producer's context.
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const KEY: &str = "c 1";
const SEQUENCE: Sequence = Sequence(7);
const ROOMY: Bounds = Bounds { message: 1 << 20, batch_messages: 10, batch_bytes: 8 << 20 };

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn origin() -> Origin {
    let (app, module) = (name("shop"), name("totals"));
    let created = "2026-01-01T00:00:00Z".to_owned();
    Origin {
        subjects: Subjects::new(&app),
        app,
        module,
        stream: "ORDERS".to_owned(),
        created,
        generation: Generation::default(),
        ratio: Ratio::default(),
    }
}

fn grants(many_lanes: bool) -> Grants {
    Grants { views: [name("totals")].into(), emits: [(name("alerts"), None)].into(), many_lanes }
}

/// The input that causes the effects.
fn cause() -> Event {
    let traced = [("traceparent", TRACE), ("tenant", "acme"), ("tracestate", "a=1")];
    let traced = traced.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Event {
        id: "order-1".to_owned(),
        source: "/shop".to_owned(),
        kind: "placed".to_owned(),
        subject: Some("its own".to_owned()),
        time: "2026-01-02T03:04:05Z".to_owned(),
        content_type: "text/plain".to_owned(),
        correlation: "session-1".to_owned(),
        causation: Some("click-1".to_owned()),
        attributes: traced.into(),
        data: Bytes::from_static(b"its own"),
    }
}

fn emitted() -> Emitted {
    Emitted {
        category: "alerts".to_owned(),
        key: None,
        kind: "alarm".to_owned(),
        subject: None,
        content_type: String::new(),
        attributes: Vec::new(),
        data: Bytes::from_static(b"now"),
    }
}

fn write(key: &str) -> ViewWrite {
    ViewWrite { view: "totals".to_owned(), key: key.to_owned(), value: Some(Bytes::from_static(b"1")) }
}

fn emitting(event: Emitted) -> Effects {
    Effects { events: vec![event], writes: Vec::new() }
}

fn writing(write: ViewWrite) -> Effects {
    Effects { events: Vec::new(), writes: vec![write] }
}

fn checked(effects: Effects) -> Result<Checked, Violation> {
    check(effects, &origin(), &grants(true), &ROOMY, (&cause(), KEY, SEQUENCE))
}

fn header<'m>(message: &'m Outgoing, name: &str) -> Vec<&'m str> {
    message.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn what_is_not_granted_is_a_violation() {
    let cases = [
        (emitting(Emitted { category: "orders".to_owned(), ..emitted() }), Violation::Category("orders".to_owned())),
        (emitting(Emitted { category: "totals".to_owned(), ..emitted() }), Violation::Category("totals".to_owned())),
        (emitting(Emitted { category: String::new(), ..emitted() }), Violation::Category(String::new())),
        (emitting(Emitted { category: ">".to_owned(), ..emitted() }), Violation::Category(">".to_owned())),
        (emitting(Emitted { key: Some(String::new()), ..emitted() }), Violation::EmptyKey),
        (emitting(Emitted { kind: String::new(), ..emitted() }), Violation::EmptyKind),
        (writing(ViewWrite { view: "alerts".to_owned(), ..write(KEY) }), Violation::View("alerts".to_owned())),
        (writing(ViewWrite { view: "totals.1".to_owned(), ..write(KEY) }), Violation::View("totals.1".to_owned())),
        (writing(write("")), Violation::EmptyKey),
    ];
    for (effects, expected) in cases {
        assert_eq!(checked(effects.clone()), Err(expected), "{effects:?}");
    }
}

#[test]
fn with_several_lanes_a_view_key_is_bound_to_the_event_key() {
    let (one, many) = (grants(false), grants(true));
    for (key, own) in [
        ("c 1", true),
        ("c 1/a", true),
        ("c 1/", true),
        ("c 1/a/b", true),
        ("c 10", false),
        ("c", false),
        ("C 1", false),
        ("d", false),
    ] {
        let foreign = Violation::ForeignKey { key: key.to_owned(), event_key: KEY.to_owned() };
        let expected = if own { Ok(()) } else { Err(foreign) };
        assert_eq!(many.view("totals", key, KEY).map(drop), expected, "{key}");
        assert_eq!(one.view("totals", key, KEY).map(drop), Ok(()), "{key}");
    }
}

#[test]
fn attributes_are_extensions_that_the_host_does_not_set() {
    let with = |name: &str| {
        let attributes = vec![("good".to_owned(), "1".to_owned()), (name.to_owned(), "2".to_owned())];
        checked(emitting(Emitted { attributes, ..emitted() }))
    };
    for bad in ["Nats-Rollup", "nats-rollup", "id", "source", "correlationid", "traceparent", "A", "", "a b", "a\r\nb"]
    {
        assert_eq!(with(bad), Err(Violation::Attribute(bad.to_owned())), "{bad:?}");
    }
    assert_eq!(header(&with("tenant").unwrap().events[0], "ce-tenant"), ["2"]);
}

#[test]
fn an_emitted_event_says_where_it_comes_from() {
    let attributes = vec![("area".to_owned(), "é".to_owned())];
    let (content_type, subject) = ("application/json".to_owned(), Some("order 1".to_owned()));
    let event = Emitted { attributes, content_type, subject, key: Some("e.1".to_owned()), ..emitted() };
    let [message] = checked(emitting(event)).unwrap().events.try_into().unwrap();
    assert_eq!(message.subject.as_ref(), "pelton.shop.events.alerts.e=2E1");
    assert_eq!(message.payload, "now");
    let expected = [
        ("ce-specversion", "1.0"),
        ("ce-id", origin().event_id(SEQUENCE, 0).to_string().as_str()),
        ("ce-source", "pelton/shop/totals"),
        ("ce-type", "alarm"),
        ("ce-time", "2026-01-02T03:04:05Z"),
        ("ce-subject", "order%201"),
        ("ce-correlationid", "session-1"),
        ("ce-causationid", "order-1"),
        ("ce-area", "%C3%A9"),
        ("Content-Type", "application/json"),
        ("Pelton-Input", "ORDERS:7"),
        ("Pelton-Hops", "1"),
        ("Pelton-Path", "totals"),
    ]
    .map(|(name, value)| (name, vec![value.to_owned()]));
    for (name, value) in &expected {
        assert_eq!(&header(&message, name), value, "{name}");
    }
    let own = Context::of(&cause(), &origin(), SEQUENCE).own.to_string();
    assert!(own.starts_with(&TRACE[..36]) && own != TRACE, "its own span in the producer's trace: {own}");
    for (trace, value) in [("traceparent", own.as_str()), ("tracestate", "a=1")] {
        assert_eq!(header(&message, trace), [value]);
        assert_eq!(header(&message, &format!("ce-{trace}")), [value]);
    }
    assert_eq!(message.headers.len(), expected.len() + 4, "the input's own attributes stay behind: {message:?}");
}

#[test]
fn an_emitted_event_is_in_a_trace_whatever_the_producer_said() {
    let emit = |attributes: &[(&str, &str)], ratio: f64| {
        let given = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let event = Event { attributes: given.collect(), ..cause() };
        let origin = Origin { ratio: Ratio::new(ratio).unwrap(), ..origin() };
        let checked = check(emitting(emitted()), &origin, &grants(true), &ROOMY, (&event, KEY, SEQUENCE)).unwrap();
        let [message] = checked.events.as_slice() else { panic!("{checked:?}") };
        (header(message, "traceparent").concat(), header(message, "tracestate").len())
    };
    let (none, all) = (emit(&[], 0.0).0, emit(&[], 1.0).0);
    assert_eq!((&none[..53], &none[53..], &all[53..]), (&all[..53], "00", "01"));
    let bad = [("traceparent", "00-1-2-01"), ("tracestate", "a=1")];
    assert_eq!(emit(&bad, 0.0), (none, 0), "what cannot be read is none, and its state means nothing");
}

#[test]
fn an_emitted_event_without_a_key_is_about_the_input_key() {
    let events = checked(emitting(emitted())).unwrap().events;
    assert_eq!(events[0].subject.as_ref(), "pelton.shop.events.alerts.c=201");
}

#[test]
fn an_emitted_event_lives_as_long_as_its_category_is_kept() {
    for (kept, expected) in [(None, &[][..]), (Some(3_600_000), &["3600s"]), (Some(1), &["1s"])] {
        let grants = Grants { emits: [(name("alerts"), kept.map(Duration::from_millis))].into(), ..grants(true) };
        let checked = check(emitting(emitted()), &origin(), &grants, &ROOMY, (&cause(), KEY, SEQUENCE)).unwrap();
        assert_eq!(header(&checked.events[0], "Nats-TTL"), expected, "{kept:?}");
    }
}

#[test]
fn a_view_write_replaces_and_a_removal_is_marked() {
    let [message] = checked(writing(write("c 1/x")))
        .unwrap()
        .writes
        .try_into()
        .map(|[w]: [CheckedWrite; 1]| [w.message()])
        .unwrap();
    assert_eq!(message.subject.as_ref(), "$KV.shop.totals.1.c=201/x");
    assert_eq!(
        (message.headers.as_slice(), message.payload.as_ref()),
        (&[("Nats-Rollup".into(), "sub".to_owned())][..], &b"1"[..])
    );
    let removal = ViewWrite { value: None, ..write(KEY) };
    let message = checked(writing(removal)).unwrap().writes[0].message();
    assert_eq!((header(&message, "Nats-Rollup"), header(&message, "KV-Operation")), (vec!["sub"], vec!["DEL"]));
    assert!(message.payload.is_empty());
    let empty = ViewWrite { value: Some(Bytes::new()), ..write(KEY) };
    assert!(header(&checked(writing(empty)).unwrap().writes[0].message(), "KV-Operation").is_empty());
}

#[test]
fn effects_keep_their_order() {
    let kinds = ["a", "b", "c"];
    let events = kinds.map(|kind| Emitted { kind: kind.to_owned(), ..emitted() }).into();
    let writes = ["c 1/2", "c 1", "c 1/2"].map(write).into();
    let checked = checked(Effects { events, writes }).unwrap();
    let found: Vec<_> = checked.events.iter().flat_map(|message| header(message, "ce-type")).collect();
    assert_eq!(found, kinds);
    let found: Vec<_> = checked.writes.iter().map(|write| write.subject.rsplit('.').next().unwrap()).collect();
    assert_eq!(found, ["c=201/2", "c=201", "c=201/2"]);
}

#[test]
fn what_the_server_would_refuse_is_a_violation() {
    let bytes = |count: usize| Bytes::from(vec![b'x'; count]);
    let text = |count: usize| "x".repeat(count);
    let attribute = |count: usize| vec![("big".to_owned(), text(count))];
    let data = |count: usize| emitting(Emitted { data: bytes(count), ..emitted() });
    let value = |count: usize| writing(ViewWrite { value: Some(bytes(count)), ..write(KEY) });
    let cases = [
        ("message", data((1 << 20) - 2_000), data((1 << 20) - 200)),
        ("message", value((1 << 20) - 400), value((1 << 20) - 200)),
        (
            "headers",
            emitting(Emitted { attributes: attribute(60 << 10), ..emitted() }),
            emitting(Emitted { attributes: attribute(64 << 10), ..emitted() }),
        ),
        (
            "headers",
            emitting(Emitted { kind: text(60 << 10), ..emitted() }),
            // Encoding triples it.
            emitting(Emitted { kind: " ".repeat(22 << 10), ..emitted() }),
        ),
        (
            "subject",
            emitting(Emitted { key: Some(text(900)), ..emitted() }),
            emitting(Emitted { key: Some(text(1_024)), ..emitted() }),
        ),
        // Encoding triples it.
        (
            "subject",
            writing(write(&format!("{KEY}/{}", "x".repeat(900)))),
            writing(write(&format!("{KEY}/{}", ".".repeat(340)))),
        ),
    ];
    for (what, fits, does_not) in cases {
        assert!(checked(fits).is_ok(), "{what}");
        let violation = checked(does_not).unwrap_err();
        assert!(matches!(violation, Violation::TooLarge { what: found, .. } if found == what), "{what}: {violation}");
    }
}

#[test]
fn the_effects_of_one_input_fit_one_batch_with_its_checkpoint() {
    let many = |events, writes| Effects { events: vec![emitted(); events], writes: vec![write(KEY); writes] };
    assert!(checked(many(4, 5)).is_ok());
    assert_eq!(checked(many(5, 5)), Err(Violation::TooMany(11, 10)));
    assert_eq!(checked(many(0, 10)), Err(Violation::TooMany(11, 10)));
    let large = |count| Effects {
        events: vec![Emitted { data: vec![0; 1_000_000].into(), ..emitted() }; count],
        writes: Vec::new(),
    };
    assert!(checked(large(8)).is_ok());
    assert!(matches!(checked(large(9)), Err(Violation::TooLarge { what: "effects", .. })));
}

#[test]
fn an_empty_answer_is_no_effect() {
    assert_eq!(checked(Effects::default()), Ok(Checked::default()));
}

/// Pinned: another id for the same input would be another event to everyone downstream.
#[test]
fn event_ids_are_pinned_and_tell_inputs_apart() {
    let id = |change: fn(&mut Origin), sequence, index| {
        let mut origin = origin();
        change(&mut origin);
        origin.event_id(Sequence(sequence), index).to_string()
    };
    assert_eq!(id(|_| {}, 7, 0), "8854f702-8ae8-5aee-b621-3ba5fc17e98d");
    let ids = [
        id(|_| {}, 7, 0),
        id(|_| {}, 7, 1),
        id(|_| {}, 8, 0),
        id(|origin| origin.app = name("shop-2"), 7, 0),
        id(|origin| origin.module = name("sums"), 7, 0),
        id(|origin| origin.stream = "ORDERS-2".to_owned(), 7, 0),
        id(|origin| origin.created = "2026-01-01T00:00:01Z".to_owned(), 7, 0),
    ];
    assert_eq!(BTreeSet::from(ids.clone()).len(), ids.len(), "{ids:?}");
}

proptest! {
    #[test]
    fn the_same_input_gives_the_same_messages_and_none_escapes_its_header(
        texts in prop::collection::vec(prop::collection::vec(any::<char>(), 1..20).prop_map(String::from_iter), 4),
        subject in prop::option::of(".{0,9}"),
    ) {
        let [kind, key, content_type, value] = texts.try_into().unwrap();
        let attributes = vec![("tenant".to_owned(), value)];
        let event = Emitted { kind, key: Some(key), content_type, subject, attributes, ..emitted() };
        let effects = Effects { events: vec![event; 2], writes: vec![write(KEY)] };
        let first = checked(effects.clone()).unwrap();
        prop_assert_eq!(&first, &checked(effects).unwrap());
        for message in &first.events {
            prop_assert!(!message.subject.contains(|c: char| c.is_whitespace() || c.is_control() || "*>".contains(c)));
            for (name, value) in message.headers.iter() {
                prop_assert!(!value.contains(|c: char| c.is_control()), "{}: {:?}", name, value);
                prop_assert!(!name.to_ascii_lowercase().starts_with("nats-"));
            }
        }
    }

    #[test]
    fn an_emitted_event_reads_back_as_one_caused_by_its_input(data in prop::collection::vec(any::<u8>(), 0..50)) {
        let event = Emitted { data: data.clone().into(), ..emitted() };
        let Outgoing { subject, headers, payload } = checked(emitting(event)).unwrap().events.remove(0);
        let headers = headers.to_vec();
        let headers = headers.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
        let stored = time::OffsetDateTime::UNIX_EPOCH;
        let message = Message { sequence: Sequence(1), stored, subject: subject.to_string(), headers, payload };
        let read = cloudevents::decode("KV_shop", &message).unwrap();
        prop_assert_eq!((read.correlation, read.causation), (cause().correlation, Some(cause().id)));
        prop_assert_eq!((read.time, read.data), (cause().time, Bytes::from(data)));
    }
}

#[test]
fn a_guest_cannot_pass_data_off_as_a_whole_event() {
    // Readers trim what headers hold.
    for content_type in ["Application/CloudEvents+JSON", " application/cloudevents+json"].map(str::to_owned) {
        let refused = checked(emitting(Emitted { content_type: content_type.clone(), ..emitted() }));
        assert_eq!(refused, Err(Violation::Structured(content_type)));
    }
}

#[test]
fn hops_are_counted_and_modules_named_once_until_there_are_too_many() {
    let emit = |hops: &str, path: &str| {
        let came =
            [("pelton-hops", hops), ("pelton-path", path)].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let event = Event { attributes: came.into(), ..cause() };
        check(emitting(emitted()), &origin(), &grants(true), &ROOMY, (&event, KEY, SEQUENCE))
    };
    for ((hops, path), expected) in [
        (("1", "flag"), ["2", "flag,totals"]),
        (("63", "flag,totals"), ["64", "flag,totals"]),
        (("nonsense", ""), ["1", "totals"]),
        // A publisher's: a line break would end the header, and the client panics over it.
        (("1", "flag,\r\nNats-Rollup: all,é"), ["2", "flag,totals"]),
    ] {
        let checked = emit(hops, path).unwrap();
        let [message] = checked.events.as_slice() else { panic!("{checked:?}") };
        assert_eq!([header(message, HOPS_HEADER), header(message, PATH_HEADER)], expected.map(|value| vec![value]));
    }
    assert_eq!(emit("64", "flag"), Err(Violation::Circle { modules: "flag, totals".to_owned() }));
}
