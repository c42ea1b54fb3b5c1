//! The number of a module's lanes is changed: nothing is lost, doubled or out of order per key.

use anyhow::{Context, Result};
use pelton_tests::{App, LONG, SOON, eventually, logged, oracle, stored};
use serde_json::json;

use crate::probe;

fn scale(app: &App, module: &str, lanes: u16) -> Result<serde_json::Value> {
    app.pelton_json(&["module", "scale", module, "--lanes", &lanes.to_string()])
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_are_changed_many_times_under_load_and_each_input_has_its_effects_once_and_in_order() -> Result<()> {
    let app = App::with_input(&format!("[hosts]\nttl = \"2s\"\n{}", oracle::MODULES)).await?;
    let (mut first, mut second) = (app.host_called("first")?, app.host_called("second")?);
    oracle::publish(&app, 100).await?;
    logged(&first, &["running"]).await?;
    let changing = async {
        for (lanes, at) in [(3, 2_000), (40, 5_000), (1, 8_000), (7, 11_000)] {
            oracle::reached(&app, at).await?;
            let done = scale(&app, "oracle", lanes)?;
            assert_eq!((&done["lanes"], &done["state"]), (&json!(lanes), &json!("running")), "{done}");
        }
        anyhow::Ok(())
    };
    tokio::try_join!(oracle::publish(&app, 12_000), changing)?;
    let last = app.jetstream().get_stream("IN").await?.cached_info().state.last_sequence;
    app.covered_within("oracle", 7, last, LONG).await?;
    oracle::folded(&app).await?;
    oracle::verify(&app).await?;
    for host in [&mut first, &mut second] {
        assert!(host.terminate().await?.success());
    }

    // The config still says what was before, which is followed no more, and no other number is.
    let mut again = app.host_called("again")?;
    logged(&again, &["WARN", "the config says lanes = 16", "module=oracle", "lanes=7"]).await?;
    oracle::publish(&app, 500).await?;
    app.covered_within("oracle", 7, last + 500, LONG).await?;
    oracle::folded(&app).await?;
    oracle::verify(&app).await?;
    assert!(again.terminate().await?.success());
    app.configure(&oracle::MODULES.replace("lanes = 16", "lanes = 5"))?;
    let mut other = app.host_called("other")?;
    assert_eq!(other.wait(SOON).await?.code(), Some(1));
    logged(&other, &["number of lanes was 7 and is now 5"]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_and_repeats_of_before_are_known_behind_a_change() -> Result<()> {
    let app = App::with_input(&probe::module("lanes = 2\ndedupe = { by = \"id\", window = \"1h\" }")).await?;
    let mut host = app.host()?;
    let publish = async |id: &str, key: &str, orders: &str| {
        let id = format!("{id}-{key}");
        let headers = [("ce-specversion", "1.0"), ("ce-id", &*id), ("ce-source", "test"), ("ce-type", "t")];
        app.publish_with(&format!("in.{key}"), &headers, orders).await
    };
    let mut last = 0;
    for key in ["a", "b", "c", "d", "e"] {
        publish("poison", key, r#"[{"reject":"no"}]"#).await?;
        last = publish("good", key, r#"[{"emit":{}}]"#).await?;
    }
    app.covered("probe", 2, last).await?;
    let letters = stored::dead_letters(&app, "probe").await?.len();
    assert_eq!(letters, 5);
    scale(&app, "probe", 5)?;
    for key in ["a", "b", "c", "d", "e"] {
        last = publish("good", key, r#"[{"emit":{}}]"#).await?;
    }
    app.covered("probe", 5, last).await?;
    assert_eq!(probe::causes(&app).await?.len(), 5, "repeats of inputs that earlier lanes did have no effect");

    let replayed = app.pelton(&["dlq", "replay", "--all", "-o", "json"])?;
    let outcomes: Vec<serde_json::Value> = serde_json::from_slice(&replayed.stdout).context("outcomes")?;
    assert_eq!(outcomes.len(), 5);
    for outcome in &outcomes {
        assert_eq!(outcome["outcome"], "failed", "run, in the lane that its key has now: {outcome}");
    }
    eventually("the letters to stay", SOON, async || {
        Ok((stored::dead_letters(&app, "probe").await?.len() == letters).then_some(()))
    })
    .await?;
    assert!(host.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_changed_is_refused_by_name_and_who_did_it_is_kept() -> Result<()> {
    let app = App::with_input(&probe::module("lanes = 2")).await?;
    let mut host = app.host()?;
    app.covered("probe", 2, app.publish("in.a", "[]").await?).await?;
    for (arguments, says) in [
        (["probe", "2"], "module probe has 2 lanes already"),
        (["nobody", "3"], "the app has no module \"nobody\""),
        (["probe", "257"], "lanes go from 1 to 256"),
    ] {
        let output = app.pelton(&["module", "scale", arguments[0], "--lanes", arguments[1]])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(says), "{said}");
    }
    app.pelton_json(&["module", "pause", "probe"])?;
    assert_eq!(scale(&app, "probe", 3)?["state"], "paused", "it stays as it was");
    app.pelton_json(&["module", "resume", "probe"])?;
    app.covered("probe", 3, app.publish("in.a", "[]").await?).await?;
    let audit = stored::messages(&app, "KV_demo", "pelton.demo.audit").await?;
    let acts: Vec<_> = audit.iter().map(|entry| entry.json()).collect::<Result<_>>()?;
    let scaled = acts.iter().find(|act| act["act"] == "scale").context("no entry")?;
    assert_eq!((&scaled["was"], &scaled["lanes"]), (&json!(2), &json!(3)), "{scaled}");
    assert!(scaled["who"].as_str().is_some_and(|who| !who.is_empty()));
    assert!(host.terminate().await?.success());
    Ok(())
}
