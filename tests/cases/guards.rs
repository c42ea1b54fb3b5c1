//! Somebody else writes to the app stream: guards notice, and nothing happens twice.

use anyhow::Result;
use pelton_tests::{App, SOON, eventually, logged, stored};
use serde_json::{Value, json};

use crate::probe;

/// Overwrites fields of a lane's checkpoint, as only an intruder would.
pub async fn forge(app: &App, module: &str, lane: u16, fields: Value) -> Result<()> {
    let subject = format!("pelton.demo.ckpt.{module}.1.{lane}");
    let mut checkpoint = stored::last(app, &subject).await?.map_or(Ok(Value::Null), |stored| stored.json())?;
    for (name, value) in fields.as_object().into_iter().flatten() {
        checkpoint[name] = value.clone();
    }
    app.publish_with(&subject, &[("Nats-Rollup", "sub")], &checkpoint.to_string()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_write_to_a_key_that_was_read_is_noticed_and_the_key_read_again() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"count":"c"}]"#).await?).await?;
    assert_eq!(app.view("v", "c").await?.as_deref(), Some(&b"1"[..]));
    app.bucket().await?.put("v.1.c", "41".into()).await?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"count":"c"},{"emit":{}}]"#).await?).await?;
    assert_eq!(app.view("v", "c").await?.as_deref(), Some(&b"42"[..]));
    assert_eq!(probe::causes(&app).await?, [2]);
    logged(&host, &["lane begins again behind its checkpoint", "module=probe"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_of_another_owner_refuses_effects_until_the_lane_is_taken_back() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await?;
    forge(&app, "probe", 0, json!({ "epoch": 7 })).await?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await?;
    logged(&host, &["lane was taken over by another host", "module=probe", "lane=0", "epoch=7"]).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2]);
    let epochs = stored::checkpoints(&app, "probe", 1).await?;
    assert_eq!(epochs.first().map(|checkpoint| checkpoint.epoch), Some(8));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_lane_that_is_lost_does_not_stop_the_others() -> Result<()> {
    let app = App::with_input(&probe::module("lanes = 4")).await?;
    let host = app.host()?;
    let lane = 2;
    app.covered("probe", 4, app.publish("in.a", "[]").await?).await?;
    forge(&app, "probe", lane, json!({ "epoch": 9 })).await?;
    let mut expected = Vec::new();
    for key in (0..40).map(|number| format!("k{number}")) {
        expected.push(app.publish(&format!("in.{key}"), r#"[{"emit":{}}]"#).await?);
    }
    eventually("all events, each once", SOON, async || {
        let mut causes = probe::causes(&app).await?;
        causes.sort_unstable();
        Ok((causes == expected).then_some(()))
    })
    .await?;
    logged(&host, &["lane was taken over", &format!("lane={lane}")]).await?;
    let epochs = stored::checkpoints(&app, "probe", 4).await?;
    assert_eq!(epochs.iter().map(|checkpoint| checkpoint.epoch).collect::<Vec<_>>(), [1, 1, 10, 1]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_set_back_by_an_intruder_halts_its_module_and_repeats_nothing() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let mut host = app.host()?;
    for _ in 0..3 {
        app.publish("in.a", r#"[{"emit":{}}]"#).await?;
    }
    app.covered("probe", 1, 3).await?;
    forge(&app, "probe", 0, json!({ "position": 1, "covered": 1 })).await?;
    app.publish("in.a", r#"[{"emit":{}}]"#).await?;
    assert_eq!(host.wait(SOON).await?.code(), Some(1));
    logged(&host, &["halts", "probe", "checkpoint"]).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2, 3]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_pelton_did_not_write_halts_its_module_by_name() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let mut host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await?;
    app.publish("pelton.demo.ckpt.probe.1.0", "nonsense").await?;
    app.publish("in.a", r#"[{"emit":{}}]"#).await?;
    assert_eq!(host.wait(SOON).await?.code(), Some(1));
    logged(&host, &["halts", "probe", "checkpoint"]).await?;
    assert_eq!(probe::causes(&app).await?, [1]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_begins_anew_on_the_same_input_writes_the_same_events() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let ids = async || {
        let events = stored::events(&app, "out").await?;
        Ok::<_, anyhow::Error>(events.iter().map(|event| event.header("ce-id").to_owned()).collect::<Vec<_>>())
    };
    app.publish("in.a", r#"[{"emit":{"n":3}}]"#).await?;
    app.publish("in.b", r#"[{"emit":{"n":2}},"random"]"#).await?;
    let mut host = app.host()?;
    app.covered("probe", 1, 2).await?;
    let (before, events) = (ids().await?, stored::events(&app, "out").await?);
    host.terminate().await?;
    app.jetstream().delete_stream("KV_demo").await?;
    app.jetstream().delete_stream("KV_demo-hosts").await?;
    let _host = app.host()?;
    app.covered("probe", 1, 2).await?;
    assert_eq!(before.len(), 6);
    assert_eq!(ids().await?, before);
    let payloads = |events: &[stored::Stored]| events.iter().map(|event| event.payload.clone()).collect::<Vec<_>>();
    assert_eq!(payloads(&stored::events(&app, "out").await?), payloads(&events));
    Ok(())
}
