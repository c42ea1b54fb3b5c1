//! Answers that lie, or are too much: nothing of them is written, and the dead letter names the rule.
//!
//! Each answer stands in the guest's memory as the canonical ABI lays it out; a toolchain would never write most of them.

use anyhow::{Context, Result, ensure};
use pelton_tests::{oracle, stored};
use serde_json::json;

use super::forge::{Guest, HEAP, NOTHING};
use super::{Fate, Row, attack, memory, probe, row, run};

/// An address and a length.
type Span = (u32, u32);

/// Where the answer, its only event and its only view write stand, and the texts in them.
const ANSWER: u32 = 1 << 10;
const EVENT: u32 = 2 << 10;
const WRITE: u32 = 3 << 10;
const TEXTS: u32 = 4 << 10;

const EMPTY: Span = (0, 0);
const OUT: Span = (TEXTS, 3);
const NO_UTF8: Span = (TEXTS + 4, 2);
const INJECTION: Span = (TEXTS + 8, INJECTED.len() as u32);
const INJECTED: &str = "a\r\nNats-Rollup: all\r\n\u{1b}[31m\u{0}";
const NAME: Span = OUT;

/// A page-aligned mebibyte of zeros, and a million attributes behind it that all point there.
const REGION: Span = (128 << 10, 1 << 20);
const ATTRIBUTES: Span = (2 << 20, 1_000_000);

/// An event in the guest's memory.
#[derive(Clone, Copy)]
struct Event {
    category: Span,
    /// Whether there is a key: 0 or 1, if it is no lie.
    has_key: u32,
    key: Span,
    kind: Span,
    subject: Span,
    content_type: Span,
    attributes: Span,
    data: Span,
}

const EVENT_OF_OUT: Event = Event {
    category: OUT,
    has_key: 0,
    key: EMPTY,
    kind: NAME,
    subject: NAME,
    content_type: NAME,
    attributes: EMPTY,
    data: EMPTY,
};

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl Event {
    fn bytes(self) -> Vec<u8> {
        let Self { category, has_key, key, kind, subject, content_type, attributes, data } = self;
        let spans = |spans: &[Span]| spans.iter().flat_map(|(at, length)| [*at, *length]).collect::<Vec<_>>();
        let parts = [
            spans(&[category]),
            vec![has_key],
            spans(&[key, kind]),
            vec![1],
            spans(&[subject, content_type, attributes, data]),
        ];
        words(&parts.concat())
    }
}

/// A guest whose answer is `case` (0: effects) with these events and view writes.
fn answering(case: u32, events: Span, writes: Span, data: Vec<(u32, Vec<u8>)>) -> Guest {
    let texts = [(OUT.0, b"out".to_vec()), (NO_UTF8.0, vec![0xFF, 0xFE]), (INJECTION.0, INJECTED.into())];
    let answer = (ANSWER, words(&[case, events.0, events.1, writes.0, writes.1, 0, 0]));
    let data = texts.into_iter().chain([answer]).chain(data).collect();
    Guest { handle: format!("(i32.const {ANSWER})"), data, ..Guest::default() }
}

/// A guest that emits this event.
fn emitting(event: Event) -> Guest {
    answering(0, (EVENT, 1), EMPTY, vec![(EVENT, event.bytes())])
}

/// A guest that writes to `view` and `key`; `change` is 0 for a value.
fn writing(view: Span, key: Span, change: u32) -> Guest {
    let write = words(&[view.0, view.1, key.0, key.1, change, NAME.0, NAME.1, 0, 0]);
    answering(0, EMPTY, (WRITE, 1), vec![(WRITE, write)])
}

/// A guest that emits an event with `count` attributes whose names and values are all the same region.
fn amplifying(count: u32) -> Guest {
    let fill = format!(
        "(local.set $at (i32.const {begin}))
        (loop $next
            (i32.store (local.get $at) (i32.const {region})) (i32.store offset=4 (local.get $at) (i32.const {length}))
            (i32.store offset=8 (local.get $at) (i32.const {region})) (i32.store offset=12 (local.get $at) (i32.const {length}))
            (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 16))) (i32.const {end}))))",
        begin = ATTRIBUTES.0,
        end = ATTRIBUTES.0 + count * 16,
        region = REGION.0,
        length = REGION.1,
    );
    let guest = emitting(Event { attributes: (ATTRIBUTES.0, count), ..EVENT_OF_OUT });
    Guest { memory: "300", handle: fill + &guest.handle, ..guest }
}

fn rows() -> Vec<Row> {
    let event = EVENT_OF_OUT;
    let events = |span| answering(0, span, EMPTY, Vec::new());
    let at = |answer: u32| Guest { handle: format!("(i32.const {answer})"), ..Guest::default() };
    let lots = Guest { memory: "300", ..emitting(Event { attributes: ATTRIBUTES, ..event }) };
    vec![
        row("answer-outside", at(0xFFFF_FFF0), "trap", "out of bounds"),
        row("answer-unaligned", at(NOTHING + 1), "trap", "aligned"),
        row("case-unknown", answering(7, EMPTY, EMPTY, Vec::new()), "trap", "discriminant"),
        row("list-outside", events((0xFFFF_FF00, 1)), "trap", "out of bounds"),
        row("list-lying", events((EVENT, 0x0FFF_FFFF)), "trap", "out of bounds"),
        row("list-unaligned", events((EVENT + 1, 1)), "trap", "aligned"),
        row("text-outside", emitting(Event { category: (0xFFFF_0000, 16), ..event }), "trap", "out of bounds"),
        row("text-lying", emitting(Event { kind: (TEXTS, u32::MAX), ..event }), "trap", "out of bounds"),
        row("text-no-utf8", emitting(Event { category: NO_UTF8, ..event }), "trap", "utf-8"),
        row("key-no-utf8", emitting(Event { has_key: 1, key: NO_UTF8, ..event }), "trap", "utf-8"),
        row("view-key-no-utf8", writing(OUT, NO_UTF8, 0), "trap", "utf-8"),
        row("option-unknown", emitting(Event { has_key: 9, ..event }), "trap", "discriminant"),
        row("change-unknown", writing(OUT, NAME, 9), "trap", "discriminant"),
        row("change-reserved", writing(OUT, NAME, 2), "effects", "later interface version"),
        row("texts-amplified", amplifying(100), "limit", "handed to the host"),
        row("list-amplified", amplifying(ATTRIBUTES.1), "limit", "handed to the host"),
        row("attributes-of-nothing", lots, "limit", "handed to the host"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_lies_is_a_dead_letter_that_says_how_and_nothing_is_written() -> Result<()> {
    const EMITS: &str = "attempts = 1\nemits = [\"out\"]\nlimits = { deadline = \"5s\" }";
    let rows = rows();
    let field = run(&rows, 2, |_| EMITS).await?;
    oracle::finished(&field.app).await?;
    let before = memory(&field.host, "VmHWM")?;
    attack(&field, &rows, 3).await?;
    let after = memory(&field.host, "VmHWM")?;
    eprintln!("at most {} MiB before, {} MiB after", before >> 20, after >> 20);
    // A million times a mebibyte would be a tebibyte.
    ensure!(after < before + (160 << 20), "the host had at most {before} bytes before, and {after} after");
    ensure!(stored::events(&field.app, "out").await?.is_empty(), "an event was written");
    field.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_much_or_not_granted_is_a_dead_letter_that_names_the_rule() -> Result<()> {
    const LIMITS: &str = "views = [\"v\"]\nattempts = 1\nlimits = { deadline = \"20s\", memory = \"128MiB\" }";
    let cases = [
        (json!({"emit": {"n": 100_000}}), "limit", "handed to the host"),
        (json!({"emit": {"n": 30_000}}), "effects", "messages for one input are over the limit of 998"),
        (json!({"write": {"key": "k", "size": 8_000_000}}), "effects", "message of 8000"),
        (json!({"write": {"key": "k", "size": 17_000_000}}), "limit", "handed to the host"),
        (json!({"write": {"key": "k".repeat(10_000), "size": 1}}), "effects", "subject of 100"),
        (json!({"emit": {"key": "k".repeat(10_000)}}), "effects", "subject of 100"),
        (json!({"write": {"key": "", "size": 1}}), "effects", "a key is empty"),
        (json!({"write": {"view": "chain", "key": "k0", "size": 1}}), "effects", "view \"chain\""),
        (json!({"write": {"view": "v.1.k", "key": "k", "size": 1}}), "effects", "view \"v.1.k\""),
        (json!({"emit": {"category": "steps"}}), "effects", "category \"steps\""),
        (json!({"emit": {"category": "out.>"}}), "effects", "category \"out.>\""),
        (json!({"emit": {"attribute": ["a\r\nNats-Rollup", 3]}}), "effects", "attribute \"a\\r\\nNats-Rollup\""),
        (json!({"emit": {"attribute": ["Nats-Rollup", 3]}}), "effects", "attribute \"Nats-Rollup\""),
        (json!({"emit": {"attribute": ["traceparent", 3]}}), "effects", "attribute \"traceparent\""),
    ];
    let field = super::Field::new(&[], &probe("answers", LIMITS)?).await?;
    let mut published = Vec::new();
    for (order, kind, says) in cases {
        // What comes before the bad order must not be written either.
        let orders = json!([{"emit": {}}, {"write": {"key": "before", "size": 1}}, order]).to_string();
        published.push((field.app.publish("attack.answers.k", orders).await?, Fate { kind, says }));
    }
    let good = field.app.publish("attack.answers.k", r#"[{"emit":{}}]"#).await?;
    field.done("answers", good).await?;
    let letters = stored::dead_letters(&field.app, "answers").await?;
    published.iter().try_for_each(|(at, fate)| fate.check("answers", &letters, *at))?;
    ensure!(letters.len() == published.len(), "{} letters", letters.len());
    let events = stored::events(&field.app, "out").await?;
    ensure!(events.len() == 1 && events[0].header("Pelton-Input") == format!("ATTACK:{good}"), "{events:?}");
    ensure!(stored::messages(&field.app, "KV_demo", "$KV.demo.v.1.>").await?.is_empty(), "a view was written");
    field.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn text_with_line_ends_and_headers_in_it_stays_text() -> Result<()> {
    let attribute = words(&[NAME.0, NAME.1, INJECTION.0, INJECTION.1]);
    let event = Event {
        has_key: 1,
        key: INJECTION,
        kind: INJECTION,
        subject: INJECTION,
        content_type: INJECTION,
        attributes: (WRITE + 64, 1),
        data: INJECTION,
        ..EVENT_OF_OUT
    };
    let write = words(&[OUT.0, OUT.1, INJECTION.0, INJECTION.1, 0, INJECTION.0, INJECTION.1, 0, 0]);
    let data = vec![(EVENT, event.bytes()), (WRITE, write), (WRITE + 64, attribute)];
    let guest = answering(0, (EVENT, 1), (WRITE, 1), data);
    let modules = super::module("injects", "injects", "emits = [\"out\"]\nviews = [\"out\"]");
    let field = super::Field::new(&[("injects", guest.plugin()?)], &modules).await?;
    let mut last = 0;
    for _ in 0..20 {
        last = field.app.publish("attack.injects.k", "{}").await?;
    }
    field.done("injects", last).await?;
    let letters = stored::dead_letters(&field.app, "injects").await?;
    ensure!(letters.is_empty(), "{letters:?}");
    let events = stored::events(&field.app, "out").await?;
    ensure!(events.len() == 20, "{} events: did one remove the others?", events.len());
    let [event, ..] = events.as_slice() else { unreachable!() };
    ensure!(event.headers.iter().all(|(name, _)| !name.to_string().starts_with("Nats-Rollup")), "{:?}", event.headers);
    let encoded = "a%0D%0ANats-Rollup:%20all%0D%0A%1B[31m%00";
    for name in ["ce-type", "ce-subject", "ce-out"] {
        ensure!(event.header(name) == encoded, "{name}: {:?}", event.header(name));
    }
    ensure!(!event.header("Content-Type").chars().any(char::is_control), "{:?}", event.header("Content-Type"));
    ensure!(event.key() == "a=0D=0ANats-Rollup=3A=20all=0D=0A=1B=5B31m=00", "{}", event.key());
    ensure!(event.payload == INJECTED.as_bytes());
    let value = field.app.view("out", event.key()).await?.context("no value")?;
    ensure!(value == INJECTED.as_bytes());
    field.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_of_many_megabytes_is_cut_before_it_is_logged_or_kept() -> Result<()> {
    const SIZE: u32 = 15 << 20;
    // A rejection: the case 1 of the result, the case 1 of the failure, and a text.
    let reason = |text: Span| {
        let data = vec![(ANSWER, words(&[1, 1, text.0, text.1]))];
        Guest {
            memory: "260",
            handle: format!("(memory.fill (i32.const {HEAP}) (i32.const 97) (i32.const {SIZE})) (i32.const {ANSWER})"),
            data,
            ..Guest::default()
        }
    };
    let view = writing((HEAP, SIZE), NAME, 0);
    let view = Guest {
        memory: "260",
        handle: format!("(memory.fill (i32.const {HEAP}) (i32.const 97) (i32.const {SIZE})) {}", view.handle),
        ..view
    };
    let rows =
        [row("reason", reason((HEAP, SIZE)), "reject", "aaaa"), row("view-name", view, "effects", "view \"aaaa")];
    let field = run(&rows, 20, |_| "attempts = 1").await?;
    for row in &rows {
        for (at, letter) in stored::dead_letters(&field.app, row.name).await? {
            ensure!(
                letter.to_string().len() < 40_000,
                "{} {at}: a letter of {} bytes",
                row.name,
                letter.to_string().len()
            );
        }
    }
    let log: usize = field.host.log()?.iter().map(String::len).sum();
    ensure!(log < 1 << 20, "the log has {log} bytes");
    field.stands().await
}

/// A plugin's own words come to a terminal by the log and by `pelton dlq`.
#[tokio::test(flavor = "multi_thread")]
async fn the_words_of_a_plugin_give_no_orders_to_a_terminal_and_pass_for_no_line_of_the_log() -> Result<()> {
    const FORGED: &str = "2026-01-01T00:00:00Z ERROR forged";
    let words = json!([{"reject": format!("\u{1b}[2J\u{9b}31m first\n{FORGED}\n\u{1b}]0;title\u{7}")}]).to_string();
    let modules = probe("says", "")? + &probe("halts", "on_failure = \"halt\"")?;
    let field = super::Field::new(&[], &modules).await?;
    let at = field.app.publish("attack.says.k", words.clone()).await?;
    field.done("says", at).await?;
    field.app.publish("attack.halts.k", words).await?;
    pelton_tests::logged(&field.host, &["halts", "first"]).await?;
    let forged = field.host.log()?.into_iter().find(|line| line.starts_with(FORGED));
    ensure!(forged.is_none(), "{forged:?}");
    for arguments in [&["dlq", "ls"][..], &["dlq", "show", "says", "0", &at.to_string()]] {
        let output = field.app.pelton(arguments)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success() && text.contains("first"), "{arguments:?}: {text}");
        let control = text.chars().find(|c| c.is_control() && *c != '\n');
        ensure!(control.is_none(), "{arguments:?} prints {control:?}: {text:?}");
    }
    field.stands().await
}
