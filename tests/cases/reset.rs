//! An operator sends a module elsewhere in its input stream.

use anyhow::{Context, Result};
use pelton_tests::{App, SOON, eventually, logged, stored};
use serde_json::{Value, json};

use crate::{identity, probe};

const EMIT: &str = r#"[{"emit":{}}]"#;
const FOLD: &str = "[modules.fold]\nplugin = \"fold.wasm\"\ninput = { stream = \"IN\" }\nviews = [\"fold\"]\n";

/// What `pelton module reset` complains of.
fn refused(app: &App, arguments: &[&str]) -> Result<String> {
    let output = app.pelton(&[&["module", "reset"], arguments].concat())?;
    assert!(!output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stderr)?)
}

fn reset(app: &App, arguments: &[&str]) -> Result<Value> {
    app.pelton_json(&[&["module", "reset"], arguments].concat())
}

/// The values of the view `fold` by key, of the live generation, and the number of that.
async fn fold(app: &App, key: &str) -> Result<(Value, String)> {
    let bucket = app.bucket().await?;
    let generation = String::from_utf8(bucket.get("fold").await?.context("no live generation")?.to_vec())?;
    let value = bucket.get(format!("fold.{generation}.{key}")).await?.context("no value")?;
    Ok((serde_json::from_slice(&value)?, generation))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_begins_its_views_anew_and_readers_follow() -> Result<()> {
    let app = App::with_input(FOLD).await?;
    let host = app.host()?;
    for _ in 0..5 {
        app.publish("in.a", "x").await?;
    }
    app.covered("fold", 1, 5).await?;
    let (built, _) = fold(&app, "in=2Ea").await?;
    app.pelton_json(&["module", "pause", "fold"])?;
    logged(&host, &["module is paused", "fold"]).await?;
    let done = reset(&app, &["fold", "--to", "first", "--views", "anew"])?;
    assert_eq!(done, json!({"module": "fold", "stream": "IN", "behind": 0, "generation": 2, "state": "paused"}));

    app.pelton_json(&["module", "resume", "fold"])?;
    app.publish("in.b", "x").await?;
    eventually("the second build to be done", SOON, async || {
        let known = app.pelton_json(&["module", "show", "fold"])?;
        Ok((known["checkpoints"][0]["covered"] == 6).then_some(()))
    })
    .await?;
    let read = app.pelton_json(&["view", "get", "fold", "in.a"])?;
    assert_eq!((&read, fold(&app, "in=2Ea").await?), (&built, (built.clone(), "2".to_owned())));
    assert!(app.view("fold", "in=2Ea").await?.is_some(), "the first generation is gone");
    assert!(app.view("fold", "in=2Eb").await?.is_none(), "the first generation still grows");

    let audit = stored::audit(&app).await?;
    let entry = audit.iter().find(|entry| entry["act"] == "reset").context("no entry")?;
    assert_eq!((&entry["module"], &entry["behind"], &entry["generation"]), (&json!("fold"), &json!(0), &json!(2)));
    assert!(entry["who"].as_str().is_some_and(|who| who.contains('@')), "{entry}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_halted_over_a_stream_made_anew_goes_on_where_it_is_sent() -> Result<()> {
    let app = identity::app().await?;
    let host = app.host()?;
    logged(&host, &["running"]).await?;
    identity::recreate(&app).await?;
    logged(&host, &["module halts", "probe", "deleted and made anew", "pelton module reset"]).await?;
    let first = app.pelton_json(&["module", "show", "probe"])?["checkpoints"][0]["created"].take();
    let done = reset(&app, &["probe", "--to", "4", "--views", "keep"])?;
    assert_eq!((&done["behind"], &done["state"]), (&json!(3), &json!("running")));
    app.covered("probe", 1, 5).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2, 3, 4, 5]);
    let checkpoint = app.pelton_json(&["module", "show", "probe"])?["checkpoints"][0].take();
    assert_ne!(checkpoint["created"], first);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn here_binds_a_module_to_its_stream_as_it_is_now() -> Result<()> {
    let app = identity::app().await?;
    app.jetstream().delete_stream("IN").await?;
    app.stream("IN", "in.>").await?;
    for _ in 0..2 {
        app.publish("in.a", EMIT).await?;
    }
    let host = app.host()?;
    logged(&host, &["module halts", "probe"]).await?;
    // The stream is shorter now than what is covered: the module goes on behind its end.
    assert_eq!(reset(&app, &["probe", "--to", "here", "--views", "keep"])?["behind"], 2);
    app.covered("probe", 1, app.publish("in.a", EMIT).await?).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2, 3, 3]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_missed_the_reset_commits_nothing_more() -> Result<()> {
    let app = App::with_input(&probe::module("lanes = 2")).await?;
    let mut host = app.host_called("asleep")?;
    app.covered("probe", 2, app.publish("in.a", EMIT).await?).await?;
    host.freeze()?;
    for _ in 0..20 {
        app.publish("in.a", EMIT).await?;
        app.publish("in.b", EMIT).await?;
    }
    app.pelton_json(&["module", "pause", "probe"])?;
    reset(&app, &["probe", "--to", "new"])?;
    host.wake()?;
    app.pelton_json(&["module", "resume", "probe"])?;
    let last = app.publish("in.a", EMIT).await?;
    app.covered("probe", 2, last).await?;
    assert_eq!(probe::causes(&app).await?, [1, last]);
    assert!(host.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_by_name() -> Result<()> {
    let app = App::with_input(FOLD).await?;
    let host = app.host()?;
    app.covered("fold", 1, app.publish("in.a", "x").await?).await?;
    assert!(refused(&app, &["fold", "--to", "first"])?.contains("pelton module pause fold"));
    app.pelton_json(&["module", "pause", "fold"])?;
    logged(&host, &["module is paused", "fold"]).await?;
    assert!(refused(&app, &["fold", "--to", "first"])?.contains("--views anew"));
    assert!(refused(&app, &["fold", "--to", "yesterday"])?.contains("\"first\", \"new\", a sequence"));
    assert!(refused(&app, &["fold", "--to", "0"])?.contains("a sequence from 1"));
    assert!(refused(&app, &["flod", "--to", "first"])?.contains("no module \"flod\""));
    assert!(stored::audit(&app).await?.iter().all(|entry| entry["act"] != "reset"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_not_sent_to_another_stream_while_it_has_dead_letters_of_the_one_before() -> Result<()> {
    let app = identity::app().await?;
    let host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"reject":"no"}]"#).await?).await?;
    identity::recreate(&app).await?;
    logged(&host, &["module halts", "probe", "deleted and made anew"]).await?;
    let said = refused(&app, &["probe", "--to", "4", "--views", "keep"])?;
    assert!(said.contains("1 dead letters of probe") && said.contains("pelton dlq discard probe"), "{said}");
    app.pelton_json(&["dlq", "discard", "probe"])?;
    reset(&app, &["probe", "--to", "4", "--views", "keep"])?;
    app.covered("probe", 1, 5).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_of_another_name_begins_the_views_of_the_one_before_anew() -> Result<()> {
    let app = App::with_input(FOLD).await?;
    let mut host = app.host()?;
    for _ in 0..3 {
        app.publish("in.a", "x").await?;
    }
    app.covered("fold", 1, 3).await?;
    let (built, _) = fold(&app, "in=2Ea").await?;
    assert!(host.terminate().await?.success());
    app.configure(&FOLD.replace("modules.fold", "modules.other"))?;
    let _host = app.host_called("other")?;
    eventually("the other to have done all", SOON, async || {
        let shown = app.pelton_json(&["module", "show", "other"]).ok();
        Ok(shown.filter(|shown| shown["checkpoints"][0]["covered"] == 3).map(drop))
    })
    .await?;
    assert_eq!(fold(&app, "in=2Ea").await?, (built, "2".to_owned()), "it counts on from nothing");
    Ok(())
}
