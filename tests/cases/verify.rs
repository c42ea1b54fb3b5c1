//! An operator has the stored effects verified: they are those that the plugins give, and what is not is found and named.

use anyhow::{Context, Result};
use async_nats::jetstream::stream::Stream;
use pelton_tests::{App, SOON, eventually, oracle, plugins, stored};
use serde_json::{Value, json};

use crate::{probe, swap};

/// What `pelton verify` answers, and its exit code.
fn verify(app: &App, arguments: &[&str]) -> Result<(Value, Option<i32>)> {
    let output = app.pelton(&[&["verify"], arguments, &["-o", "json"]].concat())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((serde_json::from_slice(&output.stdout).context(said)?, output.status.code()))
}

/// The same for a module whose effects are all as its plugin gives them.
fn verified(app: &App, arguments: &[&str]) -> Result<Value> {
    let (report, code) = verify(app, arguments)?;
    assert_eq!(code, Some(0), "{report:#}");
    assert_eq!((&report["different"], &report["unverified"]), (&json!(0), &json!({})), "{report:#}");
    Ok(report)
}

async fn app_stream(app: &App) -> Result<Stream> {
    Ok(app.jetstream().get_stream("KV_demo").await?)
}

/// Waits until a module of one lane has done `orders`, published under the key `a`; gives the input's position.
async fn do_now(app: &App, orders: impl Into<bytes::Bytes>) -> Result<u64> {
    let input = app.publish("in.a", orders).await?;
    app.covered("probe", 1, input).await?;
    Ok(input)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_verified_while_more_is_done() -> Result<()> {
    let app = App::with_input(oracle::MODULES).await?;
    let mut host = app.host()?;
    oracle::publish(&app, 400).await?;
    oracle::finished(&app).await?;
    let last = app_stream(&app).await?.cached_info().state.last_sequence;
    let report = verified(&app, &["oracle"])?;
    // Two events for each second input, and a value for each key.
    let counts = ["inputs", "events", "dead_letters", "replays"].map(|name| report[name].as_u64());
    assert_eq!(counts, [Some(400), Some(600), Some(0), Some(0)], "{report:#}");
    let keys = oracle::view(&app, "chain").await?;
    assert_eq!(report["values"].as_u64(), Some(keys.len() as u64));
    let folded = verified(&app, &["fold"])?;
    assert_eq!(folded["inputs"].as_u64(), Some(600), "its input is the app's own events: {folded:#}");
    assert_eq!(app_stream(&app).await?.cached_info().state.last_sequence, last, "nothing is written");

    // By key, and a part: what views held before it is not known.
    let (key, link) = keys.first_key_value().context("no key")?;
    let one = verified(&app, &["oracle", "--key", key])?;
    assert_eq!((one["inputs"].as_u64(), one["values"].as_u64()), (Some(link.count), Some(1)), "{one:#}");
    let (part, code) = verify(&app, &["oracle", "--from", "201"])?;
    assert_eq!((code, &part["inputs"]), (Some(0), &json!(0)), "{part:#}");
    assert!(part["notes"].to_string().contains("before input 201 is not known"), "{part:#}");
    assert_eq!(part["unverified"].as_object().map(|all| all.len()), Some(2), "inputs and values: {part:#}");
    let first = verify(&app, &["oracle", "--to", "200"])?.0;
    assert_eq!((&first["inputs"], &first["different"], &first["values"]), (&json!(200), &json!(0), &json!(0)));

    // While more comes.
    let meanwhile = async {
        for _ in 0..4 {
            let (report, code) = verify(&app, &["oracle"])?;
            assert_eq!((code, &report["different"]), (Some(0), &json!(0)), "{report:#}");
        }
        anyhow::Ok(())
    };
    tokio::try_join!(oracle::publish(&app, 3_000), meanwhile)?;
    assert!(host.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_are_verified_with_the_plugin_that_ran_them() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let host = app.host()?;
    for _ in 0..3 {
        do_now(&app, r#"[{"emit":{}},{"count":"n"}]"#).await?;
    }
    let other = swap::other_probe(&app, 1)?;
    let ((answer, _), ()) = tokio::try_join!(swap::swap_to(&app, &other), swap::publish_at(&app, &host, 1))?;
    assert_eq!(answer["outcome"], "stays", "{answer}");
    app.covered("probe", 1, 4).await?;
    do_now(&app, r#"[{"emit":{}},{"count":"n"}]"#).await?;

    let (report, code) = verify(&app, &["probe"])?;
    assert_eq!((&report["missing_plugins"], code), (&json!([answer["plugin"]]), Some(1)), "{report:#}");
    assert_eq!((&report["inputs"], &report["different"]), (&json!(3), &json!(0)), "{report:#}");
    let said = app.pelton(&["verify", "probe"])?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains(answer["plugin"].as_str().unwrap_or("?")) && said.contains("--plugin"), "{said}");

    let other = other.to_str().context("no text")?;
    let report = verified(&app, &["probe", "--plugin", other])?;
    assert_eq!((&report["inputs"], &report["events"], &report["values"]), (&json!(5), &json!(5), &json!(1)));
    Ok(())
}

/// The usual repair: what failed on one plugin runs again on the next.
#[tokio::test(flavor = "multi_thread")]
async fn what_failed_on_one_plugin_and_ran_again_on_the_next_is_verified_on_that() -> Result<()> {
    let app = App::with_input(&probe::module("").replace("probe.wasm", "flag.wasm")).await?;
    let _host = app.host()?;
    let failed = do_now(&app, r#"[{"emit":{}},{"count":"n"}]"#).await?;
    do_now(&app, r#"[{"emit":{}},{"count":"n"}]"#).await?;
    app.configure(&probe::module(""))?;
    assert_eq!(swap::swap(&app, &["--untried"]).await?.1, Some(0));
    // Before any input of the new plugin's own, and behind one.
    let replay = |sequence: u64| app.pelton_json(&["dlq", "replay", "probe", "--sequence", &sequence.to_string()]);
    assert_eq!(replay(failed)?[0]["outcome"], "replayed");
    do_now(&app, r#"[{"emit":{}},{"count":"n"}]"#).await?;
    assert_eq!(replay(failed + 1)?[0]["outcome"], "replayed");
    let before = plugins()?.join("flag.wasm");
    let report = verified(&app, &["probe", "--plugin", before.to_str().context("no text")?])?;
    let counts = ["inputs", "dead_letters", "replays", "events", "values"].map(|name| report[name].as_u64());
    assert_eq!(counts, [Some(3), Some(2), Some(2), Some(3), Some(1)], "{report:#}");
    Ok(())
}

/// The second plugin rejects what the first does: each is right at its place and wrong at the other's.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_not_taken_for_the_one_before_it() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let _host = app.host()?;
    do_now(&app, r#"[{"emit":{}}]"#).await?;
    app.configure(&probe::module("").replace("probe.wasm", "flag.wasm"))?;
    let (_, code) = swap::swap(&app, &["--untried"]).await?;
    assert_eq!(code, Some(0));
    do_now(&app, r#"[{"emit":{}}]"#).await?;
    let (alone, code) = verify(&app, &["probe"])?;
    assert_eq!((code, alone["missing_plugins"].as_array().map(Vec::len)), (Some(1), Some(1)), "{alone:#}");
    let before = plugins()?.join("probe.wasm");
    let report = verified(&app, &["probe", "--plugin", before.to_str().context("no text")?])?;
    assert_eq!((&report["inputs"], &report["events"], &report["dead_letters"]), (&json!(2), &json!(1), &json!(1)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_counts_at_its_place_in_the_order_of_its_lane() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let _host = app.host()?;
    let write = |value: &str| json!([{"write": {"key": "n", "value": value}}]).to_string();
    do_now(&app, r#"[{"require":"ready"},{"emit":{}},{"write":{"key":"n","value":"replayed"}}]"#).await?;
    do_now(&app, write("before")).await?;
    let report = verified(&app, &["probe"])?;
    assert_eq!((&report["inputs"], &report["dead_letters"]), (&json!(2), &json!(1)), "{report:#}");

    do_now(&app, r#"[{"write":{"key":"ready","value":"1"}}]"#).await?;
    let replayed = app.pelton_json(&["dlq", "replay", "probe"])?;
    assert_eq!(replayed[0]["outcome"], "replayed");
    assert_eq!(app.view("v", "n").await?.as_deref(), Some(&b"replayed"[..]));
    let audit = stored::audit(&app).await?;
    assert_eq!(audit[0]["behind"], 3, "{audit:?}");
    let report = verified(&app, &["probe"])?;
    let counts = ["inputs", "dead_letters", "replays", "events", "values"].map(|name| report[name].as_u64());
    assert_eq!(counts, [Some(3), Some(1), Some(1), Some(1), Some(2)], "{report:#}");

    do_now(&app, write("after")).await?;
    do_now(&app, r#"[{"reject":"no"}]"#).await?;
    app.pelton_json(&["dlq", "discard", "probe", "--message", "no"])?;
    let report = verified(&app, &["probe"])?;
    assert_eq!((&report["inputs"], &report["dead_letters"]), (&json!(5), &json!(2)), "{report:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_wrote_or_removed_is_found_and_named() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let mut host = app.host()?;
    do_now(&app, r#"[{"emit":{}},{"write":{"key":"n","value":"1"}}]"#).await?;
    do_now(&app, r#"[{"emit":{"n":2}},{"write":{"key":"gone","value":"1"}}]"#).await?;
    do_now(&app, r#"[{"reject":"no"}]"#).await?;
    verified(&app, &["probe"])?;
    let found = |differences: u64| -> Result<Value> {
        let (report, code) = verify(&app, &["probe"])?;
        assert_eq!((report["different"].as_u64(), code), (Some(differences), Some(1)), "{report:#}");
        Ok(report["differences"].clone())
    };
    let has = |found: &Value, fields: Value| {
        let is = |one: &&Value| fields.as_object().into_iter().flatten().all(|(name, value)| one[name] == *value);
        assert!(found.as_array().into_iter().flatten().any(|one| is(&one)), "{fields} in {found:#}");
    };

    let headers = [("ce-specversion", "1.0"), ("ce-id", "x"), ("ce-source", "pelton/demo/probe"), ("ce-type", "t")];
    let named = [headers.as_slice(), &[("Pelton-Input", "IN:1")]].concat();
    let forged = app.publish_with("pelton.demo.events.out.a", &named, "forged").await?;
    let differences = found(1)?;
    has(&differences, json!({"kind": "event", "input": 1, "at": forged, "expected": "no such event"}));
    assert!(differences[0]["stored"].as_str().is_some_and(|stored| stored.contains("forged")), "{differences}");
    let unnamed = app.publish_with("pelton.demo.events.out.a", &headers, "forged").await?;
    has(&found(2)?, json!({"kind": "event", "at": unnamed, "stored": "none"}));

    let events = stored::events(&app, "out").await?;
    let second = events.iter().find(|event| event.header("Pelton-Input") == "IN:2").context("no event")?;
    app_stream(&app).await?.delete_message(second.sequence).await?;
    has(&found(3)?, json!({"kind": "event", "input": 2, "key": "a", "stored": "nothing"}));

    app.bucket().await?.put("v.1.n", "2".into()).await?;
    has(&found(4)?, json!({"kind": "value", "subject": "$KV.demo.v.1.n", "expected": "1", "stored": "2"}));
    app.bucket().await?.delete("v.1.gone").await?;
    has(&found(5)?, json!({"kind": "value", "subject": "$KV.demo.v.1.gone", "expected": "1", "stored": "no value"}));
    app.bucket().await?.put("v.1.more", "3".into()).await?;
    has(&found(6)?, json!({"kind": "value", "subject": "$KV.demo.v.1.more", "expected": "no value", "stored": "3"}));

    // A dead letter that says something else, and one of an input that has effects.
    let letter = stored::last(&app, "pelton.demo.dlq.probe.0.3").await?.context("no dead letter")?.json()?;
    for (input, fields) in [(3, json!({"cause": {"kind": "reject", "message": "yes"}})), (1, json!({"sequence": 1}))] {
        let mut other = letter.clone();
        for (name, value) in fields.as_object().into_iter().flatten() {
            other[name] = value.clone();
        }
        app.publish(&format!("pelton.demo.dlq.probe.0.{input}"), other.to_string()).await?;
    }
    let differences = found(8)?;
    for input in [1, 3] {
        has(&differences, json!({"kind": "dead-letter", "input": input}));
    }
    assert!(host.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn repeats_have_no_effect_and_an_event_for_one_is_found() -> Result<()> {
    let app = App::with_input(&probe::module("lanes = 2\ndedupe = { by = \"id\", window = \"1h\" }")).await?;
    let _host = app.host()?;
    let mut last = 0;
    for id in ["1", "2", "1", "3", "2"] {
        let headers = [("ce-specversion", "1.0"), ("ce-id", id), ("ce-source", "test"), ("ce-type", "t")];
        last = app.publish_with("in.a", &headers, r#"[{"emit":{}},{"count":"a/n"}]"#).await?;
    }
    app.covered("probe", 2, last).await?;
    let report = verified(&app, &["probe"])?;
    let counts = ["inputs", "repeats", "events", "values"].map(|name| report[name].as_u64());
    assert_eq!(counts, [Some(5), Some(2), Some(3), Some(1)], "{report:#}");
    let part = verify(&app, &["probe", "--from", "3", "--to", "4"])?.0;
    assert_eq!((&part["repeats"], &part["different"]), (&json!(1), &json!(0)), "its window is read, too: {part:#}");

    let third = stored::events(&app, "out").await?.pop().context("no event")?;
    let own = ["ce-id", "ce-source", "ce-type", "ce-specversion"];
    let mut forged: Vec<(&str, &str)> = own.iter().map(|name| (*name, third.header(name))).collect();
    forged.push(("Pelton-Input", "IN:5"));
    app.publish_with(&third.subject, &forged, "").await?;
    let (report, code) = verify(&app, &["probe"])?;
    assert_eq!((code, &report["differences"][0]["input"]), (Some(1), &json!(5)), "{report:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_lanes_and_of_the_place_are_taken_into_account() -> Result<()> {
    let app = App::with_input(oracle::MODULES).await?;
    let host = app.host()?;
    oracle::publish(&app, 50).await?;
    pelton_tests::logged(&host, &["running"]).await?;
    for (lanes, count) in [(3, 700), (20, 700)] {
        tokio::try_join!(oracle::publish(&app, count), async {
            app.pelton_json(&["module", "scale", "oracle", "--lanes", &lanes.to_string()]).map(drop)
        })?;
    }
    app.covered_within("oracle", 20, 1_450, pelton_tests::LONG).await?;
    oracle::folded(&app).await?;
    let report = verified(&app, &["oracle"])?;
    assert_eq!((&report["inputs"], &report["events"]), (&json!(1_450), &json!(1_450 + 725)), "{report:#}");
    verified(&app, &["fold"])?;

    // Sent back to the beginning with new views it is verified from there on.
    app.pelton_json(&["module", "pause", "fold"])?;
    pelton_tests::logged(&host, &["module is paused", "fold"]).await?;
    app.pelton_json(&["module", "reset", "fold", "--to", "first", "--views", "anew"])?;
    app.pelton_json(&["module", "resume", "fold"])?;
    eventually("the second build to be done", SOON, async || {
        Ok((verify(&app, &["fold"])?.0["inputs"] == 2_175).then_some(()))
    })
    .await?;
    verified(&app, &["fold"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_that_are_gone_are_said_and_what_cannot_be_told_is_no_difference() -> Result<()> {
    let module = probe::module("limits = { deadline = \"200ms\" }\nattempts = 1");
    let app = App::with_input(&module).await?;
    let _host = app.host()?;
    do_now(&app, r#"["spin"]"#).await?;
    for _ in 0..4 {
        do_now(&app, r#"[{"emit":{}},{"count":"n"}]"#).await?;
    }
    let report = verified(&app, &["probe"])?;
    assert_eq!((&report["inputs"], &report["dead_letters"]), (&json!(5), &json!(1)), "it spins again: {report:#}");

    app.jetstream().get_stream("IN").await?.purge().sequence(4).await?;
    let (report, code) = verify(&app, &["probe"])?;
    assert_eq!((code, &report["inputs"], &report["behind"]), (Some(0), &json!(0), &json!(3)), "{report:#}");
    assert!(report["notes"].to_string().contains("holds no inputs before 4"), "{report:#}");
    assert_eq!(report["unverified"].as_object().map(|all| all.len()), Some(2), "{report:#}");

    let refused = app.pelton(&["verify", "probe", "--key", "a"])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && said.contains("one lane") && said.contains("without --key"), "{said}");
    let refused = app.pelton(&["verify", "nobody"])?;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no module \"nobody\""));
    Ok(())
}
