//! Backup and restore as the guide tells operators: by the server's own snapshots, which `nats stream backup` takes too.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::StreamExt;
use pelton_tests::{App, Host, SOON, logged, stored};
use serde_json::{Value, json};

use crate::probe;

/// The app stream and its witness, in the order in which the guide has them saved.
const APP: [&str; 2] = ["KV_demo-hosts", "KV_demo"];
/// What a snapshot's chunk may have in bytes.
const CHUNK: usize = 64 << 10;

/// A stream as `nats stream backup` saves it.
struct Copy {
    stream: &'static str,
    /// Its config and state.
    about: Value,
    chunks: Vec<Bytes>,
}

/// An answer of the JetStream API.
async fn api(app: &App, verb: &str, stream: &str, request: &Value) -> Result<Value> {
    let subject = format!("$JS.API.STREAM.{verb}.{stream}");
    let answer = app.client.request(subject, serde_json::to_vec(request)?.into()).await?;
    let answer: Value = serde_json::from_slice(&answer.payload)?;
    ensure!(answer["error"].is_null(), "{verb} {stream}: {answer}");
    Ok(answer)
}

async fn back_up(app: &App, stream: &'static str) -> Result<Copy> {
    let inbox = app.client.new_inbox();
    let mut arriving = app.client.subscribe(inbox.clone()).await?;
    let about = api(app, "SNAPSHOT", stream, &json!({ "deliver_subject": inbox, "chunk_size": CHUNK })).await?;
    let mut chunks = Vec::new();
    loop {
        let arrives = tokio::time::timeout(SOON, arriving.next()).await?;
        let chunk = arrives.context("the subscription ended")?;
        if chunk.payload.is_empty() {
            return Ok(Copy { stream, about, chunks });
        }
        if let Some(reply) = chunk.reply {
            app.client.publish(reply, Bytes::new()).await?;
        }
        chunks.push(chunk.payload);
    }
}

async fn restore(app: &App, copy: &Copy) -> Result<()> {
    let request = json!({ "config": copy.about["config"], "state": copy.about["state"] });
    let to = api(app, "RESTORE", copy.stream, &request).await?;
    let to = to["deliver_subject"].as_str().context("no subject for the chunks")?.to_owned();
    for chunk in &copy.chunks {
        app.client.request(to.clone(), chunk.clone()).await?;
    }
    let made = app.client.request(to, Bytes::new()).await?;
    let made: Value = serde_json::from_slice(&made.payload)?;
    ensure!(made["error"].is_null() && made["state"]["messages"] == copy.about["state"]["messages"], "{made}");
    Ok(())
}

async fn back_up_app(app: &App) -> Result<Vec<Copy>> {
    let mut copies = Vec::new();
    for stream in APP {
        copies.push(back_up(app, stream).await?);
    }
    Ok(copies)
}

async fn lose(app: &App, streams: &[&str]) -> Result<()> {
    for stream in streams {
        app.jetstream().delete_stream(*stream).await?;
    }
    Ok(())
}

/// Publishes so many inputs, each of which emits an event and adds one to a counter, and waits until they are done.
async fn inputs(app: &App, count: u64) -> Result<()> {
    let mut last = 0;
    for _ in 0..count {
        last = app.publish("in.a", r#"[{"emit":{}},{"count":"a"}]"#).await?;
    }
    app.covered("probe", 1, last).await
}

/// The ids of all events, in order.
async fn ids(app: &App) -> Result<Vec<String>> {
    Ok(stored::events(app, "out").await?.iter().map(|event| event.header("ce-id").to_owned()).collect())
}

/// Each of `inputs` inputs has had its effects once.
async fn each_has_its_effects_once(app: &App, inputs: u64) -> Result<()> {
    app.covered("probe", 1, inputs).await?;
    assert_eq!(probe::causes(app).await?, (1..=inputs).collect::<Vec<_>>());
    let count = app.view("v", "a").await?.context("no count")?;
    assert_eq!(count, inputs.to_string(), "{}", app.log_end());
    Ok(())
}

/// Waits for a host that refuses to run, and gives its exit code with what it says.
async fn refused(app: &App, mut host: Host) -> Result<(Option<i32>, String)> {
    Ok((host.wait(SOON).await?.code(), app.log_end()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_stopped_app_goes_on_from_there_and_redoes_what_came_after() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let mut host = app.host()?;
    inputs(&app, 3).await?;
    assert!(host.terminate().await?.success());
    let copies = back_up_app(&app).await?;

    let mut host = app.host()?;
    inputs(&app, 4).await?;
    each_has_its_effects_once(&app, 7).await?;
    let before = ids(&app).await?;
    assert!(host.terminate().await?.success());
    lose(&app, &APP).await?;
    for copy in &copies {
        restore(&app, copy).await?;
    }
    assert_eq!(ids(&app).await?, before[..3], "the copy holds what was there when it was taken");

    let mut host = app.host_called("restored")?;
    each_has_its_effects_once(&app, 7).await?;
    assert_eq!(ids(&app).await?, before, "what is done again has the ids that it had");
    inputs(&app, 1).await?;
    each_has_its_effects_once(&app, 8).await?;
    assert!(host.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_app_stream_is_refused_until_its_witness_is_removed() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let mut host = app.host()?;
    inputs(&app, 2).await?;
    assert!(host.terminate().await?.success());
    let copy = back_up(&app, "KV_demo").await?;
    let mut host = app.host()?;
    inputs(&app, 3).await?;
    assert!(host.terminate().await?.success());
    // The next start notes in the witness how far it got.
    let mut host = app.host()?;
    logged(&host, &["serving HTTP"]).await?;
    app.covered("probe", 1, 5).await?;
    assert!(host.terminate().await?.success());

    lose(&app, &["KV_demo"]).await?;
    let (code, said) = refused(&app, app.host_called("gone")?).await?;
    assert!(code == Some(1) && said.contains("KV_demo is gone") && said.contains("KV_demo-hosts"), "{code:?} {said}");

    restore(&app, &copy).await?;
    let (code, said) = refused(&app, app.host_called("older")?).await?;
    assert!(code == Some(1) && said.contains("restored from an older copy"), "{code:?} {said}");
    assert!(said.contains("delete the bucket KV_demo-hosts first"), "{said}");
    assert_eq!(probe::causes(&app).await?, [1, 2], "nothing ran");

    lose(&app, &["KV_demo-hosts"]).await?;
    let mut host = app.host_called("again")?;
    each_has_its_effects_once(&app, 5).await?;
    assert!(host.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_stream_older_than_the_app_stream_halts_and_an_app_stream_as_old_mends_it() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let mut host = app.host()?;
    inputs(&app, 2).await?;
    assert!(host.terminate().await?.success());
    let (copies, input) = (back_up_app(&app).await?, back_up(&app, "IN").await?);
    let mut host = app.host()?;
    inputs(&app, 2).await?;
    assert!(host.terminate().await?.success());

    lose(&app, &["IN"]).await?;
    restore(&app, &input).await?;
    let (code, said) = refused(&app, app.host_called("older")?).await?;
    assert!(code == Some(1) && said.contains("ends at 2") && said.contains("checkpoint is at 4"), "{code:?} {said}");

    lose(&app, &APP).await?;
    for copy in &copies {
        restore(&app, copy).await?;
    }
    let _host = app.host_called("again")?;
    inputs(&app, 1).await?;
    each_has_its_effects_once(&app, 3).await
}
