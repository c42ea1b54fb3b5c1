//! Inputs that no honest producer publishes: each ends as a dead letter with its reason, or does what it says.

use anyhow::{Result, ensure};
use pelton_tests::stored;

use super::{Fate, Field, emitted, probe};

const DEEP: usize = 100_000;

fn deep() -> String {
    "[".repeat(DEEP) + &"]".repeat(DEEP)
}

/// An input: headers, payload, and what must become of it; nothing if it is to emit one event.
struct Case {
    name: &'static str,
    headers: Vec<(&'static str, String)>,
    payload: String,
    fate: Option<Fate>,
}

fn case(
    name: &'static str,
    headers: &[(&'static str, &str)],
    payload: impl Into<String>,
    fate: Option<(&'static str, &'static str)>,
) -> Case {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Case { name, headers, payload: payload.into(), fate: fate.map(|(kind, says)| Fate { kind, says }) }
}

const EVENT: [(&str, &str); 4] = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "s"), ("ce-type", "t")];
const STRUCTURED: [(&str, &str); 1] = [("Content-Type", "application/cloudevents+json")];
const EMIT: &str = r#"[{"emit":{}}]"#;

fn cases(max_payload: usize) -> Vec<Case> {
    let but = |name: &'static str, value| {
        let others = EVENT.into_iter().filter(|(other, _)| *other != name);
        others.chain([(name, value)]).collect::<Vec<_>>()
    };
    let structured = |data: &str| format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t","data":{data}}}"#);
    let padded = format!("{EMIT}{}", " ".repeat(max_payload - EMIT.len()));
    let orders = format!("[{}\"random\"{}]", "{\"repeat\":[1,".repeat(DEEP / 2), "]}".repeat(DEEP / 2));
    vec![
        case("no JSON", &[], "{\"emit", Some(("reject", "payload"))),
        case("nothing", &[], "", Some(("reject", "payload"))),
        case("as large as the server takes", &[], padded, None),
        case("deep JSON", &[], deep(), Some(("reject", "payload"))),
        case("deep orders", &[], orders, Some(("reject", "recursion limit"))),
        case("half an escape", &but("ce-id", "a%2"), EMIT, Some(("decode", "not percent-encoded"))),
        case("no escape", &but("ce-source", "%zz"), EMIT, Some(("decode", "not percent-encoded"))),
        case(
            "escaped bytes that are no text",
            &but("ce-type", "%FF%FE"),
            EMIT,
            Some(("decode", "not percent-encoded")),
        ),
        case("a header of 60 KB", &but("big", &"x".repeat(60_000)), EMIT, None),
        case("an attribute of 60 KB", &but("ce-big", &"%41".repeat(20_000)), EMIT, None),
        case("a trace with line ends", &but("ce-traceparent", "a%0D%0ANats-Rollup: all"), EMIT, None),
        case("an id with line ends", &but("ce-id", "a%0D%0ANats-Rollup: all"), EMIT, None),
        case("hops without number", &but("Pelton-Hops", "99999999999999999999999"), EMIT, None),
        case("structured, deep", &STRUCTURED, structured(&deep()), Some(("decode", "recursion limit"))),
        case(
            "structured, an attribute that is a list",
            &STRUCTURED,
            structured("1,\"a\":[]"),
            Some(("decode", "no scalar")),
        ),
        case("structured, cut", &STRUCTURED, r#"{"specversion":"1.0","#, Some(("decode", "structured CloudEvent"))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_input_is_a_dead_letter_with_its_reason_or_does_no_more_than_it_says() -> Result<()> {
    let field = Field::new(&[], &probe("inputs", "attempts = 1")?).await?;
    let (mut published, mut emitting) = (Vec::new(), Vec::new());
    let cases = cases(field.app.client.server_info().max_payload);
    for case in &cases {
        let headers: Vec<_> = case.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let at = match headers.is_empty() {
            true => field.app.publish("attack.inputs.k", case.payload.clone()).await?,
            false => field.app.publish_with("attack.inputs.k", &headers, &case.payload).await?,
        };
        published.push((case, at));
        emitting.extend(case.fate.is_none().then_some(format!("ATTACK:{at}")));
    }
    field.done("inputs", published.last().map_or(0, |(_, at)| *at)).await?;
    let letters = stored::dead_letters(&field.app, "inputs").await?;
    for (case, at) in &published {
        match case.fate {
            Some(fate) => fate.check(case.name, &letters, *at)?,
            None => ensure!(!letters.contains_key(at), "{}: {}", case.name, letters[at]["cause"]),
        }
    }
    let events = stored::events(&field.app, "out").await?;
    let causes: Vec<_> = events.iter().map(|event| event.header("Pelton-Input").to_owned()).collect();
    ensure!(causes == emitting, "events of {causes:?}, expected of {emitting:?}");
    field.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_taken_from_json_of_any_depth_or_the_input_is_a_dead_letter() -> Result<()> {
    let keyed = probe("keyed", "")?.replace("{ token = 3 }", "{ json = \"/a\" }");
    let field = Field::new(&[], &keyed).await?;
    let deep = deep();
    let rows = [
        (format!(r#"{{"b":{deep},"a":"k"}}"#), Fate { kind: "reject", says: "payload" }),
        (format!(r#"{{"a":{deep}}}"#), Fate { kind: "key", says: "no text, number or boolean" }),
        (deep.clone(), Fate { kind: "key", says: "no text, number or boolean" }),
        ("[".repeat(DEEP), Fate { kind: "key", says: "not JSON" }),
        (r#"{"a":""}"#.to_owned(), Fate { kind: "key", says: "empty" }),
        (format!(r#"{{"a":{}}}"#, "9".repeat(DEEP)), Fate { kind: "reject", says: "payload" }),
        (format!(r#"{{"a":"{}"}}"#, "k".repeat(DEEP)), Fate { kind: "reject", says: "payload" }),
    ];
    let mut published = Vec::new();
    for (payload, fate) in &rows {
        published.push((field.app.publish("attack.keyed.k", payload.clone()).await?, *fate));
    }
    field.done("keyed", published.last().map_or(0, |(at, _)| *at)).await?;
    let letters = stored::dead_letters(&field.app, "keyed").await?;
    published.iter().try_for_each(|(at, fate)| fate.check("keyed", &letters, *at))?;
    field.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_published_again_has_no_effect_where_ids_count_even_after_a_restart() -> Result<()> {
    let once = probe("once", "dedupe = { by = \"id\", window = \"1m\" }")?;
    let each = probe("each", "")?.replace("attack.each", "attack.once");
    let mut field = Field::new(&[], &(once + &each)).await?;
    let mut inputs = Vec::new();
    for ids in [["a", "a", "b"], ["a", "b", "c"]] {
        for id in ids {
            let headers = [EVENT[0], ("ce-id", id), EVENT[2], EVENT[3]];
            inputs.push(field.app.publish_with("attack.once.k", &headers, EMIT).await?);
        }
        for module in ["once", "each"] {
            field.done(module, inputs[inputs.len() - 1]).await?;
        }
        // What the next host knows of the ids before it, it has to read again.
        field.host.terminate().await?;
        field.host = field.app.host()?;
    }
    let inputs_of = async |module| {
        let emitted = emitted(&field, module).await?;
        Ok::<_, anyhow::Error>(emitted.into_iter().map(|(at, _)| at).collect::<Vec<_>>())
    };
    // The module beside it shows that without `dedupe` each would be an event of its own.
    ensure!(inputs_of("each").await? == inputs, "{:?}", inputs_of("each").await?);
    let first_of_each = [inputs[0], inputs[2], inputs[5]];
    ensure!(inputs_of("once").await? == first_of_each, "{:?}", inputs_of("once").await?);
    field.stands().await
}

/// A percent-encoded line end in `ce-pelton-path` must not come into the header `Pelton-Path` of what the module emits.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_with_line_ends_harms_nobody() -> Result<()> {
    let field = Field::new(&[], &probe("path", "")?).await?;
    let headers = [EVENT[0], EVENT[1], EVENT[2], EVENT[3], ("ce-pelton-path", "a%0D%0ANats-Rollup: all")];
    let first = field.app.publish_with("attack.path.k", &headers, EMIT).await?;
    let structured =
        r#"{"specversion":"1.0","id":"1","source":"s","type":"t","pelton-path":"a\nb","data":[{"emit":{}}]}"#;
    let second = field.app.publish_with("attack.path.k", &STRUCTURED, structured).await?;
    let third = field.app.publish("attack.path.k", EMIT).await?;
    field.done("path", third).await?;
    let inputs: Vec<_> = emitted(&field, "path").await?.into_iter().map(|(at, _)| at).collect();
    ensure!(inputs == [first, second, third], "{inputs:?}");
    field.stands().await
}
