use proptest::prelude::*;

use super::*;
use crate::subject::{Generation, Subjects};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
const SEQUENCE: Sequence = Sequence(7);

fn origin() -> Origin {
    let (app, module) = ("shop".parse().unwrap(), "totals".parse().unwrap());
    let (stream, created) = ("ORDERS".to_owned(), "2026-01-01T00:00:00Z".to_owned());
    let (generation, ratio) = (Generation::default(), Ratio::default());
    Origin { subjects: Subjects::new(&app), app, module, stream, created, generation, ratio }
}

fn attributes(each: &[(&str, &str)]) -> Vec<(String, String)> {
    each.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn event(each: &[(&str, &str)]) -> Event {
    let text = |text: &str| text.to_owned();
    Event {
        id: text("1"),
        source: text("/shop"),
        kind: text("placed"),
        subject: None,
        time: text("2026-01-02T03:04:05Z"),
        content_type: String::new(),
        correlation: text("1"),
        causation: None,
        attributes: attributes(each),
        data: bytes::Bytes::new(),
    }
}

fn context(each: &[(&str, &str)]) -> Context {
    Context::of(&event(each), &origin(), SEQUENCE)
}

#[test]
fn what_producers_say_is_read_as_the_standard_has_it() {
    let cases = [
        (format!("00-{TRACE}-{SPAN}-01"), Some(format!("00-{TRACE}-{SPAN}-01"))),
        (format!("00-{TRACE}-{SPAN}-00"), Some(format!("00-{TRACE}-{SPAN}-00"))),
        // The flag of level 2 is passed on, those that nobody knows are not.
        (format!("00-{TRACE}-{SPAN}-03"), Some(format!("00-{TRACE}-{SPAN}-03"))),
        (format!("00-{TRACE}-{SPAN}-fd"), Some(format!("00-{TRACE}-{SPAN}-01"))),
        // A later version begins like this one.
        (format!("01-{TRACE}-{SPAN}-01"), Some(format!("00-{TRACE}-{SPAN}-01"))),
        (format!("cc-{TRACE}-{SPAN}-01-what-is-to-come"), Some(format!("00-{TRACE}-{SPAN}-01"))),
        (format!("cc-{TRACE}-{SPAN}-01."), None),
        (format!("00-{TRACE}-{SPAN}-01-more"), None),
        (format!("00-{TRACE}-{SPAN}-01-"), None),
        (format!("ff-{TRACE}-{SPAN}-01"), None),
        (format!("00-{}-{SPAN}-01", "0".repeat(32)), None),
        (format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
        (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None),
        (format!("00-{TRACE}-{}-01", SPAN.to_uppercase()), None),
        (format!("00-{TRACE}-{SPAN}-0A"), None),
        (format!("00-{TRACE}-{SPAN}-1"), None),
        (format!("00-{TRACE}0-{SPAN}-01"), None),
        (format!("00-{TRACE}-{SPAN}0-01"), None),
        (format!("0-{TRACE}-{SPAN}-01"), None),
        (format!("00_{TRACE}_{SPAN}_01"), None),
        (format!("00-{TRACE}-{SPAN}"), None),
        (format!(" 00-{TRACE}-{SPAN}-01"), None),
        (format!("00-{}g-{SPAN}-01", &TRACE[1..]), None),
        (format!("00-{}é-{SPAN}-01", &TRACE[2..]), None),
        (String::new(), None),
        ("---".to_owned(), None),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<TraceParent>().ok().map(|read| read.to_string()), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn every_context_comes_back_and_nothing_else_is_taken_for_one(
        trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), flags in 0_u8..4, noise in "[0-9a-f-]{50,60}",
    ) {
        let written = |trace: &[u8], span: &[u8]| {
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            format!("00-{}-{}-{flags:02x}", hex(trace), hex(span))
        };
        let text = written(&trace, &span);
        let read: Result<TraceParent, _> = text.parse();
        let is_zero = trace == [0; 16] || span == [0; 8];
        prop_assert_eq!(read.map(|read| read.to_string()).ok(), (!is_zero).then_some(text));
        if let Ok(read) = noise.parse::<TraceParent>() {
            prop_assert_eq!(&noise[3..53], &read.to_string()[3..53]);
        }
    }

    #[test]
    fn contexts_that_are_made_up_can_be_read(sequence in any::<u64>(), stream in "[^/]{1,9}", ratio in 0.0..=1.0_f64) {
        let origin = Origin { stream, ratio: Ratio::new(ratio).unwrap(), ..origin() };
        let context = Context::of(&event(&[]), &origin, Sequence(sequence));
        let text = context.own.to_string();
        prop_assert_eq!(text.parse(), Ok(context.own));
        prop_assert_eq!(context.own.flags.is_sampled(), Context::is_sampled(None, &origin, Sequence(sequence)));
    }
}

#[test]
fn the_producers_span_becomes_the_parent_and_its_trace_goes_on() {
    let said = format!("00-{TRACE}-{SPAN}-01");
    let context = context(&[("traceparent", &said), ("tracestate", "a=1, b=\"2%\"")]);
    assert_eq!(context.producer.map(|producer| producer.to_string()), Some(said.clone()));
    assert_eq!(context.own.trace.to_string(), TRACE);
    assert_ne!(context.own.span.to_string(), SPAN);
    assert!(context.own.flags.is_sampled());
    let caused = context.attributes(&event(&[("traceparent", &said), ("tracestate", "a=1, b=\"2%\""), ("x", "y")]));
    let own = context.own.to_string();
    assert_eq!(caused, attributes(&[("traceparent", &own), ("tracestate", "a=1, b=\"2%\"")]));
}

#[test]
fn a_context_that_cannot_be_read_is_none_and_takes_its_state_with_it() {
    let (good, other) = (format!("00-{TRACE}-{SPAN}-01"), format!("00-{TRACE}-{SPAN}-00"));
    for said in [
        &[("tracestate", "a=1")][..],
        &[("traceparent", "00-1-2-01"), ("tracestate", "a=1")],
        &[("traceparent", &good), ("traceparent", &other), ("tracestate", "a=1")],
    ] {
        let context = context(said);
        assert_eq!(context.producer, None, "{said:?}");
        assert_eq!(context.attributes(&event(said)), attributes(&[("traceparent", &context.own.to_string())]));
        assert_eq!(context.state_text(&attributes(said)), "");
    }
}

#[test]
fn a_state_that_is_too_long_is_passed_on_but_not_told() {
    let (said, long) = (format!("00-{TRACE}-{SPAN}-01"), "x".repeat(STATE + 1));
    let given = [("traceparent", said.as_str()), ("Tracestate", long.as_str())];
    let context = context(&given);
    assert_eq!(context.state_text(&attributes(&given)), "");
    assert_eq!(context.attributes(&event(&given)).len(), 2);
    let two = attributes(&[("tracestate", "a=1"), ("tracestate", "b=2")]);
    assert_eq!(context.state_text(&two), "a=1,b=2");
}

/// Pinned: with other ids, a run after an upgrade would write another context for the same input.
#[test]
fn ids_are_pinned_and_tell_inputs_apart() {
    let own = |change: fn(&mut Origin), sequence| {
        let mut origin = origin();
        change(&mut origin);
        Context::behind(None, &origin, Sequence(sequence)).own
    };
    assert_eq!(own(|_| {}, 7).to_string(), "00-dc059a4f30c4a6f8654f67cf1126ae75-6a463d224771ebca-00");
    let all = [
        own(|_| {}, 7),
        own(|_| {}, 8),
        own(|origin| origin.app = "shop-2".parse().unwrap(), 7),
        own(|origin| origin.module = "sums".parse().unwrap(), 7),
        own(|origin| origin.stream = "ORDERS-2".to_owned(), 7),
        own(|origin| origin.created = "2026-01-01T00:00:01Z".to_owned(), 7),
    ];
    let spans: std::collections::BTreeSet<_> = all.iter().map(|own| own.span.to_string()).collect();
    assert_eq!(spans.len(), all.len());
    // Modules and apps that take the same input meet in its trace.
    let traces: std::collections::BTreeSet<_> = all.iter().map(|own| own.trace.to_string()).collect();
    assert_eq!(traces.len(), 4);
}

#[test]
fn a_ratio_takes_its_part_and_a_larger_one_takes_that_too() {
    let taken = |part: f64| {
        let ratio = Ratio::new(part).unwrap();
        (0..10_000)
            .filter(|sequence| ratio.takes(TraceId::of_input(&origin(), Sequence(*sequence))))
            .collect::<Vec<_>>()
    };
    assert_eq!((taken(0.0).len(), taken(1.0).len()), (0, 10_000));
    let (few, more) = (taken(0.01), taken(0.1));
    assert!((50..200).contains(&few.len()) && (800..1_200).contains(&more.len()), "{} {}", few.len(), more.len());
    assert!(few.iter().all(|sequence| more.contains(sequence)));
    for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert_eq!(Ratio::new(wrong), None, "{wrong}");
    }
}

#[test]
fn a_producer_decides_whatever_the_ratio() {
    let all = Origin { ratio: Ratio::new(1.0).unwrap(), ..origin() };
    for (flags, origin, expected) in [("00", &all, false), ("01", &origin(), true)] {
        let producer = format!("00-{TRACE}-{SPAN}-{flags}").parse().ok();
        assert_eq!(Context::is_sampled(producer, origin, SEQUENCE), expected);
        assert_eq!(Context::behind(producer, origin, SEQUENCE).own.flags.is_sampled(), expected);
    }
}
