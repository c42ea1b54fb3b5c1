use proptest::prelude::*;
use time::macros::datetime;

use super::*;
use crate::event::Sequence;

const STORED: OffsetDateTime = datetime!(2026-01-02 03:04:05.678 UTC);
const STORED_TEXT: &str = "2026-01-02T03:04:05.678Z";
/// What a binary event must have.
const NEEDED: [(&str, &str); 4] =
    [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/shop"), ("ce-type", "made")];
const JSON: [(&str, &str); 1] = [("Content-Type", "application/cloudevents+json; charset=utf-8")];

type Headers<'a> = &'a [(&'a str, &'a str)];

fn decoded(headers: Headers, payload: &str) -> Result<Event, Error> {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    let message = Message { sequence: Sequence(7), stored: STORED, subject: "orders.new".to_owned(), headers, payload };
    decode("ORDERS", &message)
}

/// A binary event with `more` headers.
fn binary(more: Headers) -> Result<Event, Error> {
    decoded(&[&NEEDED, more].concat(), "data")
}

/// A structured event with `more` members.
fn structured(more: &str) -> Result<Event, Error> {
    decoded(&JSON, &format!(r#"{{"specversion":"1.0","id":"1","source":"/shop","type":"made"{more}}}"#))
}

/// The event of the attributes that must be there.
fn event() -> Event {
    Event {
        id: "1".to_owned(),
        source: "/shop".to_owned(),
        kind: "made".to_owned(),
        subject: None,
        time: STORED_TEXT.to_owned(),
        content_type: String::new(),
        correlation: "1".to_owned(),
        causation: None,
        attributes: Vec::new(),
        data: Bytes::from_static(b"data"),
    }
}

fn attributes(pairs: Headers) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn binary_events_are_read_from_headers() {
    let text = |text: &str| Some(text.to_owned());
    let cases: [(Headers, Event); 13] = [
        (&[], event()),
        (&[("Content-Type", "text/csv")], Event { content_type: "text/csv".to_owned(), ..event() }),
        (&[("ce-subject", "caf%C3%A9%20%221%22")], Event { subject: text("café \"1\""), ..event() }),
        (&[("ce-subject", "")], event()),
        (&[("ce-correlationid", "first")], Event { correlation: "first".to_owned(), ..event() }),
        (&[("ce-causationid", "before")], Event { causation: text("before"), ..event() }),
        (
            &[("Ce-Tenant", "T"), ("CE-AREA", "A")],
            Event { attributes: attributes(&[("area", "A"), ("tenant", "T")]), ..event() },
        ),
        (&[("X-Unknown", "100%")], Event { attributes: attributes(&[("x-unknown", "100%")]), ..event() }),
        (&[("Nats-Msg-Id", "a"), ("nats-rollup", "all"), ("ce-NATS-Expected-Stream", "s")], event()),
        (&[("traceparent", "00-1-2-01")], Event { attributes: attributes(&[("traceparent", "00-1-2-01")]), ..event() }),
        (
            &[("traceparent", "00-1-2-01"), ("ce-traceparent", "00-3-4-01")],
            Event { attributes: attributes(&[("traceparent", "00-3-4-01")]), ..event() },
        ),
        (&[("ce-datacontenttype", "text/html")], event()),
        (&[("ce-time", "2026-01-02T03:04:05Z")], Event { time: "2026-01-02T03:04:05Z".to_owned(), ..event() }),
    ];
    for (headers, expected) in cases {
        assert_eq!(binary(headers), Ok(expected), "{headers:?}");
    }
}

#[test]
fn header_names_match_in_any_case() {
    let shouted = NEEDED.map(|(name, value)| (name.to_ascii_uppercase(), value));
    let shouted = shouted.each_ref().map(|(name, value)| (name.as_str(), *value));
    assert_eq!(decoded(&shouted, "data"), Ok(event()));
}

#[test]
fn structured_events_are_read_from_the_payload() {
    let json = || Event { content_type: "application/json".to_owned(), data: Bytes::new(), ..event() };
    let of = |content_type: &str, data: &'static str| {
        let (content_type, data) = (content_type.to_owned(), Bytes::from_static(data.as_bytes()));
        Event { content_type, data, ..event() }
    };
    let cases = [
        ("", json()),
        (r#","data":{ "b" : 1.50, "a":[] }"#, of("application/json", r#"{ "b" : 1.50, "a":[] }"#)),
        (r#","data":"text""#, of("application/json", r#""text""#)),
        (r#","data":null"#, of("application/json", "null")),
        (r#","datacontenttype":"text/plain","data":"li\nne""#, of("text/plain", "li\nne")),
        (r#","datacontenttype":"text/plain","data":[1, 2]"#, of("text/plain", "[1, 2]")),
        (r#","datacontenttype":"application/x+json; v=1","data":"text""#, of("application/x+json; v=1", r#""text""#)),
        (r#","datacontenttype":"image/png","data_base64":"aGk=""#, of("image/png", "hi")),
        (
            r#","tenant":"T","paid":true,"count":3,"none":null,"Nats-Msg-Id":"a""#,
            Event { attributes: attributes(&[("count", "3"), ("paid", "true"), ("tenant", "T")]), ..json() },
        ),
        (r#","subject":"s","time":"2026-01-02T04:04:05.678+01:00""#, Event { subject: Some("s".to_owned()), ..json() }),
    ];
    for (members, expected) in cases {
        assert_eq!(structured(members), Ok(expected), "{members}");
    }
}

#[test]
fn media_types_match_in_any_case() {
    let payload = r#"{"specversion":"1.0","id":"1","source":"/shop","type":"made"}"#;
    let read = decoded(&[("Content-Type", "Application/CloudEvents+JSON")], payload);
    assert_eq!(read.map(|event| event.source), Ok("/shop".to_owned()));
}

#[test]
fn a_structured_event_keeps_unknown_headers_and_its_trace_context() {
    let headers = [JSON[0], ("Tracestate", "a=1, b=\"2%\""), ("Nats-Msg-Id", "x"), ("X-Tenant", "T")];
    let read = decoded(&headers, r#"{"specversion":"1.0","id":"1","source":"/shop","type":"made"}"#).unwrap();
    assert_eq!(read.attributes, attributes(&[("tracestate", "a=1, b=\"2%\""), ("x-tenant", "T")]));
}

#[test]
fn a_bare_message_gets_its_id_from_stream_and_sequence() {
    let headers = [("Content-Type", "text/plain"), ("X-A", "1"), ("Nats-Msg-Id", "x"), ("ce-id", "without a version")];
    let expected = Event {
        id: "ORDERS:7".to_owned(),
        source: "nats:ORDERS".to_owned(),
        kind: "orders.new".to_owned(),
        content_type: "text/plain".to_owned(),
        correlation: "ORDERS:7".to_owned(),
        attributes: attributes(&[("x-a", "1")]),
        ..event()
    };
    assert_eq!(decoded(&headers, "data"), Ok(expected));
}

#[test]
fn times_become_utc_and_keep_their_digits() {
    let cases = [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.120+02:00", "2026-01-02T01:04:05.12Z"),
        ("2026-01-01T00:30:00.000000001+01:00", "2025-12-31T23:30:00.000000001Z"),
    ];
    for (written, read) in cases {
        assert_eq!(binary(&[("ce-time", written)]).map(|event| event.time), Ok(read.to_owned()), "{written}");
    }
    assert_eq!(binary(&[("ce-time", "")]).map(|event| event.time), Ok(STORED_TEXT.to_owned()));
}

#[test]
fn broken_binary_events_are_refused_by_name() {
    let percent = |name: &str, value: &str| Error::Percent { name: name.to_owned(), value: value.to_owned() };
    let cases: [(&str, &str, Error); 16] = [
        ("ce-specversion", "", Error::Missing("specversion")),
        ("ce-specversion", "0.3", Error::Version("0.3".to_owned())),
        ("ce-specversion", "2.0", Error::Version("2.0".to_owned())),
        ("ce-specversion", "1", Error::Version("1".to_owned())),
        ("ce-id", "", Error::Missing("id")),
        ("ce-source", "", Error::Missing("source")),
        ("ce-type", "", Error::Missing("type")),
        ("ce-time", "yesterday", Error::Time("yesterday".to_owned())),
        ("ce-time", "2026-02-30T00:00:00Z", Error::Time("2026-02-30T00:00:00Z".to_owned())),
        ("ce-time", "9999-12-31T23:59:59-01:00", Error::Time("9999-12-31T23:59:59-01:00".to_owned())),
        ("ce-time", "0000-01-01T00:00:00+01:00", Error::Time("0000-01-01T00:00:00+01:00".to_owned())),
        ("ce-id", "50%", percent("id", "50%")),
        ("ce-id", "%4", percent("id", "%4")),
        ("ce-id", "%zz", percent("id", "%zz")),
        ("ce-id", "%FF", percent("id", "%FF")),
        ("ce-tenant", "%C3", percent("tenant", "%C3")),
    ];
    for (name, value, expected) in cases {
        let kept = NEEDED.into_iter().filter(|(kept, _)| *kept != name);
        let headers: Vec<_> = kept.chain([(name, value)]).collect();
        assert_eq!(decoded(&headers, "data"), Err(expected), "{name}: {value}");
    }
}

#[test]
fn absent_attributes_are_missing() {
    for absent in ["id", "source", "type"] {
        let header = format!("ce-{absent}");
        let headers: Vec<_> = NEEDED.into_iter().filter(|(name, _)| **name != header).collect();
        assert_eq!(decoded(&headers, "data"), Err(Error::Missing(absent)));
        let members = ["specversion", "id", "source", "type"].into_iter().filter(|name| *name != absent);
        let members: Vec<_> = members.map(|name| format!(r#""{name}":"1.0""#)).collect();
        assert_eq!(decoded(&JSON, &format!("{{{}}}", members.join(","))), Err(Error::Missing(absent)));
    }
}

#[test]
fn broken_structured_events_are_refused() {
    let deep = format!(r#","data":{}"#, "[".repeat(100_000));
    let cases = [
        (r#","tenant":{}"#, "\"tenant\" is no scalar"),
        (r#","tenant":[1]"#, "\"tenant\" is no scalar"),
        (r#","data_base64":"?""#, "data_base64"),
        (r#","data_base64":5"#, "data_base64 is no text"),
        (r#","data_base64":null"#, "data_base64 is no text"),
        (r#","data":1,"data_base64":"aGk=""#, "an event has one"),
        (r#","data":"#, "expected value"),
        (r#","data":1,"data":2"#, "duplicate field"),
        (deep.as_str(), "recursion limit"),
    ];
    for (members, expected) in cases {
        let error = structured(members).unwrap_err();
        assert!(matches!(error, Error::Json(_)) && error.to_string().contains(expected), "{error}");
    }
    for payload in ["", "[]", "null", "{}}", "\u{feff}{}"] {
        assert!(matches!(decoded(&JSON, payload), Err(Error::Json(_))), "{payload:?}");
    }
}

#[test]
fn other_structured_forms_are_refused_by_their_media_type() {
    for form in ["application/cloudevents", "application/cloudevents+avro", "application/cloudevents-batch+json"] {
        assert_eq!(decoded(&[("content-type", form)], "[]"), Err(Error::Format(form.to_owned())));
    }
}

#[test]
fn the_trace_context_travels_as_attributes_and_as_plain_headers() {
    let traced = Event {
        attributes: attributes(&[("area", "A"), ("traceparent", "00-1-2-01"), ("tracestate", "a=1, b=\"2%\"")]),
        ..event()
    };
    let headers = encode(&traced);
    for header in [
        ("ce-area", "A"),
        ("ce-traceparent", "00-1-2-01"),
        ("ce-tracestate", "a=1,%20b=%222%25%22"),
        ("traceparent", "00-1-2-01"),
        ("tracestate", "a=1, b=\"2%\""),
    ] {
        assert!(headers.iter().any(|(name, value)| (name.as_ref(), value.as_str()) == header), "{header:?}");
    }
}

#[test]
fn extensions_are_lower_case_and_none_of_the_hosts() {
    let long = "x".repeat(64);
    for good in ["tenant", "a", "0", "v2", "dataref", long.as_str()] {
        assert!(is_extension(good), "{good}");
    }
    let longer = "x".repeat(65);
    let own = ["id", "source", "type", "subject", "time", "specversion", "datacontenttype", "data"];
    let hosts = ["correlationid", "causationid", "traceparent", "tracestate"];
    let malformed = ["", "Tenant", "a-b", "a_b", "a b", "é", "nats-rollup", "a\r\nb", longer.as_str()];
    for bad in own.iter().chain(&hosts).chain(&malformed) {
        assert!(!is_extension(bad), "{bad}");
    }
}

/// Any text: controls, line ends, all of Unicode.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>(), 1..12).prop_map(String::from_iter)
}

fn any_event() -> impl Strategy<Value = Event> {
    let time = (0..4_102_444_800_i64, 0..1_000_000_000_i64).prop_map(|(seconds, nanos)| {
        rfc3339(OffsetDateTime::from_unix_timestamp(seconds).unwrap() + time::Duration::nanoseconds(nanos))
    });
    let extension = "[a-z0-9]{1,20}".prop_filter("the host's own", |name| is_extension(name));
    let attributes = prop::collection::btree_map(extension, text(), 0..5).prop_map(Vec::from_iter);
    let texts = (text(), text(), text(), text(), prop::option::of(text()), prop::option::of(text()));
    let data = (prop::collection::vec(any::<u8>(), 0..40), "([a-z]{1,8}/[a-z]{1,8}(; [a-z]=\"[ -~&&[^\"]]{0,8}\")?)?");
    (texts, time, attributes, data).prop_map(|(texts, time, attributes, (data, content_type))| {
        let (id, source, kind, correlation, subject, causation) = texts;
        let data = data.into();
        Event { id, source, kind, subject, time, content_type, correlation, causation, attributes, data }
    })
}

proptest! {
    #[test]
    fn every_event_comes_back_from_its_headers(event in any_event()) {
        let headers = encode(&event);
        for (name, value) in &headers {
            prop_assert!(value.is_ascii() && !value.contains(|c: char| c.is_control()), "{name}: {value:?}");
        }
        let headers = headers.into_iter().map(|(name, value)| (name.into_owned(), value)).collect();
        let (subject, payload) = ("s".to_owned(), event.data.clone());
        let message = Message { sequence: Sequence(1), stored: STORED, subject, headers, payload };
        prop_assert_eq!(decode("S", &message), Ok(event));
    }

    #[test]
    fn no_header_value_breaks_the_decoder(value in text(), name in "ce-(id|time|tenant|specversion)") {
        let kept = NEEDED.into_iter().filter(|(kept, _)| *kept != name);
        let headers: Vec<_> = kept.chain([(name.as_str(), value.as_str())]).collect();
        let read = decoded(&headers, "");
        if let Ok(event) = read {
            prop_assert!(OffsetDateTime::parse(&event.time, &Rfc3339).is_ok(), "{}", event.time);
        }
    }
}

#[test]
fn plain_headers_do_not_take_the_place_of_attributes() {
    let read = binary(&[("Id", "plain"), ("Source", "web"), ("Type", "x"), ("Time", "noon")]).unwrap();
    assert_eq!((read.id.as_str(), read.source.as_str(), read.kind.as_str()), ("1", "/shop", "made"));
}
