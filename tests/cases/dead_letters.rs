//! Dead letters in the hands of an operator: shown, selected, replayed, discarded, and tried against another plugin.

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::Result;
use pelton_tests::{App, LONG, SOON, eventually, logged, plugins, stored};
use serde_json::{Value, json};

use crate::probe;

/// An input of key `a` that is rejected until the view has `a/ready`, and then emits an event.
const NEEDS: &str = r#"[{"log":"looking"},{"require":"a/ready"},{"emit":{}}]"#;
const READY: &str = r#"[{"write":{"key":"a/ready","value":"1"}}]"#;

/// An app with one dead letter, whose cause has been mended since.
async fn mended() -> Result<(App, pelton_tests::Host)> {
    let app = App::with_input(&probe::module("lanes = 2")).await?;
    let host = app.host()?;
    app.publish("in.a", NEEDS).await?;
    app.covered("probe", 2, app.publish("in.a", READY).await?).await?;
    Ok((app, host))
}

/// What `pelton dlq replay` says of each, by outcome.
fn outcomes(answers: &Value) -> BTreeMap<&str, usize> {
    let mut counted = BTreeMap::new();
    for answer in answers.as_array().into_iter().flatten() {
        *counted.entry(answer["outcome"].as_str().unwrap_or_default()).or_default() += 1;
    }
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_dead_letter_has_its_effects_once_and_is_gone() -> Result<()> {
    let (app, _host) = mended().await?;
    assert_eq!(stored::dead_letters(&app, "probe").await?.len(), 1);
    let before = stored::checkpoints(&app, "probe", 2).await?;
    let answers = app.pelton_json(&["dlq", "replay", "probe"])?;
    assert_eq!(answers[0]["outcome"], "replayed", "{answers}");
    assert_eq!((&answers[0]["events"], &answers[0]["writes"]), (&json!(1), &json!(0)));
    assert_eq!(probe::causes(&app).await?, [1]);
    assert!(stored::dead_letters(&app, "probe").await?.is_empty());
    assert_eq!(app.pelton_json(&["dlq", "ls"])?, json!([]));
    assert_eq!(app.pelton_json(&["dlq", "replay", "--all"])?, json!([]));
    assert_eq!(probe::causes(&app).await?, [1]);

    // The effect and the removal are of one batch, guarded by the lane's checkpoint, which stays where it was.
    let event = &stored::events(&app, "out").await?[0];
    let removal = &stored::latest(&app, "KV_demo", "pelton.demo.dlq.>").await?[0];
    let lane = removal.subject.split('.').nth(4).unwrap_or_default().to_owned();
    let checkpoint = stored::last(&app, &format!("pelton.demo.ckpt.probe.1.{lane}")).await?;
    let batch = event.header("Nats-Batch-Id");
    assert!(!batch.is_empty() && removal.header("Nats-Batch-Id") == batch);
    assert!(checkpoint.is_some_and(|checkpoint| checkpoint.sequence > event.sequence));
    let after = stored::checkpoints(&app, "probe", 2).await?;
    let positions = |checkpoints: &[stored::Checkpoint]| checkpoints.iter().map(|c| c.position).collect::<Vec<_>>();
    assert_eq!(positions(&before), positions(&after));
    let audit = stored::audit(&app).await?;
    assert_eq!((audit.len(), &audit[0]["act"], &audit[0]["sequence"]), (1, &json!("replay"), &json!(1)));
    assert!(audit[0]["who"].as_str().is_some_and(|who| who.contains('@')));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_replays_asked_for_twice_under_load_have_each_effect_once() -> Result<()> {
    const LETTERS: u64 = 1_000;
    let breaker = "breaker = { failures = 0 }";
    let app = App::with_input(&probe::module(&format!("lanes = 2\n{breaker}"))).await?;
    let _host = app.host()?;
    publish(&app, LETTERS, "in.a", NEEDS).await?;
    app.covered_within("probe", 2, app.publish("in.a", READY).await?, LONG).await?;
    assert_eq!(stored::dead_letters(&app, "probe").await?.len() as u64, LETTERS);

    let ask = || {
        app.verb(&["dlq", "replay", "probe", "-o", "json"])?.stdout(Stdio::piped()).spawn().map_err(anyhow::Error::from)
    };
    let (first, second) = (ask()?, ask()?);
    // The lane is busy meanwhile.
    publish(&app, LETTERS, "in.a", r#"[{"emit":{}}]"#).await?;
    let mut replayed = 0;
    for asked in [first, second] {
        let output = tokio::task::spawn_blocking(move || asked.wait_with_output()).await??;
        let answers: Value = serde_json::from_slice(&output.stdout)?;
        let counted = outcomes(&answers);
        assert!(counted.keys().all(|outcome| ["replayed", "gone", "again"].contains(outcome)), "{counted:?}");
        replayed += counted.get("replayed").copied().unwrap_or_default();
    }
    // What neither got to in time, if anything, is asked for again.
    replayed += outcomes(&app.pelton_json(&["dlq", "replay", "probe"])?).get("replayed").copied().unwrap_or_default();
    assert_eq!(replayed as u64, LETTERS);
    app.covered_within("probe", 2, 2 * LETTERS + 1, LONG).await?;
    let mut causes = probe::causes(&app).await?;
    causes.sort_unstable();
    let expected: Vec<u64> = (1..=LETTERS).chain(LETTERS + 2..=2 * LETTERS + 1).collect();
    assert!(causes == expected, "{} events", causes.len());
    assert!(stored::dead_letters(&app, "probe").await?.is_empty());
    Ok(())
}

async fn publish(app: &App, times: u64, subject: &str, payload: &'static str) -> Result<()> {
    let context = app.jetstream();
    let mut acks = Vec::new();
    for _ in 0..times {
        acks.push(context.publish(subject.to_owned(), payload.into()).await?);
    }
    for ack in acks {
        ack.await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_fails_again_leaves_the_dead_letter_and_says_why() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let mut host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", NEEDS).await?).await?;
    let output = app.pelton(&["dlq", "replay", "probe", "--sequence", "1"])?;
    assert_eq!(output.status.code(), Some(1));
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("failed again") && printed.contains("a/ready is missing"), "{printed}");
    assert!(said.contains("1 of 1 dead letters could not be replayed"), "{said}");
    assert_eq!(stored::dead_letters(&app, "probe").await?.len(), 1);

    assert!(host.terminate().await?.success());
    let output = app.pelton(&["dlq", "replay", "probe"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no host runs lane 0 of module") && said.contains("pelton run"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_dead_letter_is_gone_and_has_no_effect() -> Result<()> {
    let (app, _host) = mended().await?;
    let said = app.pelton(&["dlq", "discard"])?;
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("--all"));
    let discarded = app.pelton_json(&["dlq", "discard", "probe", "--message", "is missing"])?;
    assert_eq!(discarded[0]["sequence"], 1);
    assert!(stored::dead_letters(&app, "probe").await?.is_empty());
    assert_eq!(app.pelton_json(&["dlq", "discard", "--all"])?, json!([]));
    assert!(probe::causes(&app).await?.is_empty());
    let audit = stored::audit(&app).await?;
    assert_eq!((audit.len(), &audit[0]["act"]), (1, &json!("discard")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_selected_by_module_cause_key_and_time() -> Result<()> {
    let other = probe::module("").replace("[modules.probe]", "[modules.other]").replace("views = [\"v\"]", "");
    let app = App::with_input(&(probe::module("lanes = 4") + &other)).await?;
    let _host = app.host()?;
    for (subject, orders) in
        [("in.a", r#"[{"reject":"red"}]"#), ("in.b", r#"["trap"]"#), ("in.a", r#"[{"reject":"blue"}]"#)]
    {
        app.publish(subject, orders).await?;
    }
    tokio::try_join!(app.covered("probe", 4, 3), app.covered("other", 1, 3))?;
    let listed = |arguments: &[&str]| -> Result<Vec<u64>> {
        let found = app.pelton_json(&[&["dlq", "ls"], arguments].concat())?;
        let mut found: Vec<u64> =
            found.as_array().into_iter().flatten().filter_map(|one| one["sequence"].as_u64()).collect();
        found.sort_unstable();
        Ok(found)
    };
    for (arguments, expected) in [
        (&[][..], &[1, 1, 2, 2, 3, 3][..]),
        (&["probe"], &[1, 2, 3]),
        (&["probe", "--cause", "trap"], &[2]),
        (&["probe", "--message", "blue"], &[3]),
        (&["probe", "--key", "a"], &[1, 3]),
        (&["probe", "--sequence", "2,3"], &[2, 3]),
        (&["probe", "--since", "2020-01-01T00:00:00Z"], &[1, 2, 3]),
        (&["probe", "--until", "2020-01-01T00:00:00Z"], &[]),
        (&["nobody"], &[]),
    ] {
        assert_eq!(listed(arguments)?, expected, "{arguments:?}");
    }
    let bad = app.pelton(&["dlq", "ls", "--since", "yesterday"])?;
    assert!(String::from_utf8_lossy(&bad.stderr).contains("RFC 3339"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_of_a_trap_shows_the_functions_and_the_last_lines() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let _host = app.host()?;
    app.covered(
        "probe",
        1,
        app.publish_with("in.a", &[("Tenant", "acme")], r#"[{"log":"famous\nlast"},"trap"]"#).await?,
    )
    .await?;
    let output = app.pelton(&["dlq", "show", "probe", "0", "1"])?;
    let shown = String::from_utf8_lossy(&output.stdout);
    for part in [
        "famous last",
        "backtrace",
        "probe.wasm!",
        "handler@0.1.0#handle",
        "Tenant: acme",
        "unreachable",
        "in.a",
        "key     a",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let letter = app.pelton_json(&["dlq", "show", "probe", "0", "1"])?;
    assert_eq!(letter["log"], json!(["famous last"]));
    assert!(letter["cause"]["backtrace"].as_array().is_some_and(|frames| frames.len() > 1), "{letter}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_plugin_is_tried_on_a_dead_letter_without_committing() -> Result<()> {
    let (app, _host) = mended().await?;
    // Nothing moves by itself: the lanes have covered the stream.
    let last = || async { anyhow::Ok(app.jetstream().get_stream("KV_demo").await?.cached_info().state.last_sequence) };
    let before = last().await?;
    let lane = (xxhash_rust::xxh64::xxh64(b"a", 0) % 2).to_string();
    let own = app.pelton_json(&["dlq", "retry", "probe", &lane, "1"])?;
    assert_eq!(own["effects"]["events"][0]["subject"], "pelton.demo.events.out.a", "{own}");
    assert_eq!(own["log"], json!(["looking"]));
    let candidate = plugins()?.join("relay.wasm").display().to_string();
    let output = app.pelton(&["dlq", "retry", "probe", &lane, "1", "--plugin", &candidate, "-o", "json"])?;
    assert_eq!(output.status.code(), Some(1), "it would fail again");
    let tried: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(tried["failure"]["kind"], "effects", "{tried}");
    assert!(tried["failure"]["message"].as_str().is_some_and(|message| message.contains("passed")), "{tried}");
    assert_ne!(own["plugin"], tried["plugin"]);
    assert_eq!(last().await?, before);
    assert_eq!(stored::dead_letters(&app, "probe").await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_that_feed_each_other_in_a_circle_end_in_a_dead_letter_that_names_them() -> Result<()> {
    let ring = "[modules.ring]\nplugin = \"relay.wasm\"\ninput = { events = \"passed\" }\nkey = { token = 5 }\nviews = [\"last\"]\nemits = [\"passed\"]\n";
    let app = App::with_input(&(probe::module("").replace("[\"out\"]", "[\"passed\"]") + ring)).await?;
    let host = app.host()?;
    app.publish("in.a", r#"[{"emit":{"category":"passed"}}]"#).await?;
    let letters = eventually("the dead letter of the ring", SOON, async || {
        let letters = stored::dead_letters(&app, "ring").await.unwrap_or_default();
        Ok(Some(letters).filter(|letters| !letters.is_empty()))
    });
    let letters = letters.await?;
    let cause = letters.values().next().map(|letter| letter["cause"]["message"].to_string()).unwrap_or_default();
    assert!(cause.contains("64 modules") && cause.contains("probe, ring") && cause.contains("circle"), "{cause}");
    assert_eq!(stored::events(&app, "passed").await?.len(), 64);
    logged(&host, &["becomes a dead letter", "circle"]).await?;
    Ok(())
}
