//! What a newer version of Pelton wrote is refused by name, neither taken for something else nor written over; and its hosts
//! are heard.

use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::jetstream::kv::Store;
use futures::StreamExt;
use pelton_tests::{App, Host, SOON, eventually, logged, stored};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{guards::forge, hosts::QUICK, probe};

const EMIT: &str = r#"[{"emit":{}}]"#;
const RECORD: &str = "pelton.demo.module.probe";

/// The module `probe`, and another that does the same.
fn modules() -> String {
    let other = probe::module("").replace("[modules.probe]", "[modules.other]").replace("views = [\"v\"]", "");
    format!("{QUICK}{}{other}", probe::module(""))
}

/// Writes what is on `subject` anew as of format 2; gives it as it is stored then.
async fn make_newer(app: &App, subject: &str) -> Result<bytes::Bytes> {
    let mut newer = stored::last(app, subject).await?.context("nothing there")?.json()?;
    newer["format"] = json!(2);
    newer["what"] = json!(["nobody", "knows"]);
    app.publish_with(subject, &[("Nats-Rollup", "sub")], &newer.to_string()).await?;
    last(app, subject).await
}

async fn last(app: &App, subject: &str) -> Result<bytes::Bytes> {
    Ok(stored::last(app, subject).await?.context("nothing there")?.payload)
}

/// Waits until the host says that `probe` halts for what is on `subject`.
async fn halts(host: &Host, subject: &str) -> Result<()> {
    logged(host, &["module halts on this host", "probe", subject, "format 2", "formats up to 1", "Upgrade this host"])
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_record_halts_its_module_only_and_stays_as_it_is() -> Result<()> {
    let app = App::with_input(&modules()).await?;
    let mut host = app.host()?;
    let first = app.publish("in.a", EMIT).await?;
    tokio::try_join!(app.covered("probe", 1, first), app.covered("other", 1, first))?;
    let newer = make_newer(&app, RECORD).await?;
    halts(&host, RECORD).await?;
    let second = app.publish("in.a", EMIT).await?;
    app.covered("other", 1, second).await?;
    assert!(host.terminate().await?.success());

    // So it does at the next start, and whoever asks is told why.
    let mut again = app.host_called("again")?;
    halts(&again, RECORD).await?;
    let third = app.publish("in.a", EMIT).await?;
    app.covered("other", 1, third).await?;
    assert_eq!(last(&app, RECORD).await?, newer);
    let shown = app.pelton(&["module", "pause", "probe"])?;
    let said = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert!(shown.status.code() == Some(1) && said.contains("format 2") && said.contains(RECORD), "{said}");
    assert_eq!(stored::checkpoints(&app, "probe", 1).await?[0].covered, first, "nothing was done");
    assert!(again.terminate().await?.success());

    app.configure(&format!("{QUICK}{}", probe::module("")))?;
    let mut alone = app.host_called("alone")?;
    assert_eq!(alone.wait(SOON).await?.code(), Some(1), "nothing is left to run");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_checkpoint_takes_its_lane_away_and_stays_as_it_is() -> Result<()> {
    const CHECKPOINT: &str = "pelton.demo.ckpt.probe.1.0";
    let app = App::with_input(&modules()).await?;
    let mut host = app.host()?;
    let first = app.publish("in.a", EMIT).await?;
    tokio::try_join!(app.covered("probe", 1, first), app.covered("other", 1, first))?;
    let newer = make_newer(&app, CHECKPOINT).await?;
    let second = app.publish("in.a", EMIT).await?;
    app.covered("other", 1, second).await?;
    logged(&host, &["a host of a newer version has the lane", CHECKPOINT, "format 2"]).await?;
    halts(&host, CHECKPOINT).await?;
    assert_eq!(last(&app, CHECKPOINT).await?, newer);
    let record: Value = serde_json::from_slice(&last(&app, RECORD).await?)?;
    assert_eq!(record["state"], "running", "hosts of the newer version may run it");
    assert!(host.terminate().await?.success());
    let mut again = app.host_called("again")?;
    halts(&again, CHECKPOINT).await?;
    assert_eq!(last(&app, CHECKPOINT).await?, newer);
    assert!(again.terminate().await?.success());

    // As it was before, it is read again.
    forge(&app, "probe", 0, json!({ "format": 1 })).await?;
    let mut mended = app.host_called("mended")?;
    app.covered("probe", 1, second).await?;
    let causes = stored::events(&app, "out").await?;
    let of_probe = causes.iter().filter(|event| event.header("ce-source") == "pelton/demo/probe").count();
    assert_eq!(of_probe, 2, "each input once");
    assert!(mended.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_witness_keeps_a_host_from_starting() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let mut host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", EMIT).await?).await?;
    assert!(host.terminate().await?.success());
    let bucket = app.jetstream().get_key_value("demo-hosts").await?;
    let mut witness: Value = serde_json::from_slice(&bucket.get("witness").await?.context("no witness")?)?;
    assert_eq!(witness["format"], 1);
    witness["format"] = json!(2);
    bucket.put("witness", witness.to_string().into()).await?;
    let output = app.pelton(&["run"])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for part in ["$KV.demo-hosts.witness", "format 2", "formats up to 1", "Upgrade this host"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(bucket.get("witness").await?.as_deref(), Some(witness.to_string().as_bytes()));
    Ok(())
}

/// A host of a newer version: it tells that it lives, and answers whoever asks whether it is there.
struct Newer {
    tasks: JoinSet<Result<()>>,
    bucket: Store,
    key: String,
}

impl Newer {
    async fn start(app: &App) -> Result<Self> {
        // Older than any host that is started here.
        let id = "01900000-0000-7000-8000-000000000001";
        let modules = json!({"probe": {"edition": {"plugin": ["sha256:1"]}, "lanes": [[0, 3]]}});
        let beat = json!({"format": 2, "host": id, "name": "newer:1", "modules": modules, "since": 2027}).to_string();
        let key = format!("hosts.{}", id.replace('-', ""));
        let mut asked = app.client.subscribe(format!("pelton-control.demo.host.{}", id.replace('-', ""))).await?;
        let (client, bucket) = (app.client.clone(), app.jetstream().get_key_value("demo-hosts").await?);
        bucket.put(&key, beat.clone().into()).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Some(question) = asked.next().await {
                client.publish(question.reply.context("nobody asks")?, bytes::Bytes::new()).await?;
            }
            Ok(())
        });
        let (told, under) = (bucket.clone(), key.clone());
        tasks.spawn(async move {
            let mut every = tokio::time::interval(Duration::from_millis(500));
            loop {
                every.tick().await;
                told.put(&under, beat.clone().into()).await?;
            }
        });
        Ok(Self { tasks, bucket, key })
    }

    async fn end(mut self) -> Result<()> {
        self.tasks.shutdown().await;
        Ok(self.bucket.delete(&self.key).await?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_heartbeat_is_newer_keeps_its_lanes_while_it_lives() -> Result<()> {
    let app = App::with_input(&format!("{QUICK}{}", probe::module("lanes = 32"))).await?;
    let mut before = app.host_called("before")?;
    app.covered("probe", 32, app.publish("in.a", EMIT).await?).await?;
    assert!(before.terminate().await?.success());
    let newer = Newer::start(&app).await?;

    // It shares with the other one, and waits for lanes that the other may hold.
    let host = app.host_called("after")?;
    logged(&host, &["another host runs this app", "newer:1"]).await?;
    let metrics = host.http().await?;
    let hosts = eventually("the hosts to be counted", SOON, async || {
        let text = metrics.get("/metrics").await?.text();
        Ok(text.lines().find_map(|line| line.strip_prefix("pelton_hosts ")?.parse::<f64>().ok()).filter(|n| *n > 0.0))
    });
    assert_eq!(hosts.await?, 2.0);
    let owned = async || {
        let lanes = stored::checkpoints(&app, "probe", 32).await?;
        anyhow::Ok(lanes.iter().filter(|lane| lane.owner.is_some()).count())
    };
    let shared = eventually("its own share to be taken", SOON, async || Ok(Some(owned().await?).filter(|n| *n > 0)));
    shared.await.with_context(|| app.log_end())?;
    // For longer than a heartbeat counts, some lanes stay the other one's.
    let mut every = tokio::time::interval(Duration::from_millis(250));
    for _ in 0..24 {
        every.tick().await;
        let share = owned().await?;
        assert!((1..32).contains(&share), "{share} of 32 lanes");
    }

    // When it ends, its lanes are taken.
    newer.end().await?;
    eventually("all lanes to be taken", SOON, async || Ok((owned().await? == 32).then_some(()))).await?;
    app.covered("probe", 32, app.publish("in.b", EMIT).await?).await
}
