//! Backup and restore as the guide tells operators: copies of the server's folders, and the server's snapshots, which
//! `nats stream backup` takes.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::StreamExt;
use pelton_tests::{App, Host, SOON, logged, stored};
use serde_json::{Value, json};

use crate::{identity::copy_folder, probe};

/// The app stream and its witness.
const APP: [&str; 2] = ["KV_demo-hosts", "KV_demo"];
/// What a snapshot's chunk may have in bytes.
const CHUNK: usize = 64 << 10;

/// Copies the folders of streams while the server is stopped.
async fn back_up(app: &mut App, streams: &[&str], to: &str) -> Result<()> {
    app.server.stop().await?;
    for stream in streams {
        copy_folder(&app.store(stream), &app.folder().join(to).join(stream))?;
    }
    app.server.restart().await
}

/// Puts them back in the place of what is there.
async fn restore(app: &mut App, streams: &[&str], from: &str) -> Result<()> {
    app.server.stop().await?;
    for stream in streams {
        std::fs::remove_dir_all(app.store(stream))?;
        copy_folder(&app.folder().join(from).join(stream), &app.store(stream))?;
    }
    app.server.restart().await
}

/// A stream as `nats stream backup` saves it.
struct Snapshot {
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

async fn snapshot(app: &App, stream: &'static str) -> Result<Snapshot> {
    let inbox = app.client.new_inbox();
    let mut arriving = app.client.subscribe(inbox.clone()).await?;
    let about = api(app, "SNAPSHOT", stream, &json!({ "deliver_subject": inbox, "chunk_size": CHUNK })).await?;
    let mut chunks = Vec::new();
    loop {
        let arrives = tokio::time::timeout(SOON, arriving.next()).await?;
        let chunk = arrives.context("the subscription ended")?;
        if chunk.payload.is_empty() {
            return Ok(Snapshot { stream, about, chunks });
        }
        if let Some(reply) = chunk.reply {
            app.client.publish(reply, Bytes::new()).await?;
        }
        chunks.push(chunk.payload);
    }
}

/// What `nats stream restore` does.
async fn restore_snapshot(app: &App, copy: &Snapshot) -> Result<()> {
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

/// Runs a host while so many inputs are published.
async fn run(app: &App, count: u64) -> Result<()> {
    let mut host = app.host()?;
    inputs(app, count).await?;
    assert!(host.terminate().await?.success());
    Ok(())
}

/// A host that starts notes in the witness how far the app stream is.
async fn note(app: &App) -> Result<()> {
    let mut host = app.host_called("noted")?;
    logged(&host, &["INFO running"]).await?;
    assert!(host.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_app_goes_on_from_its_backup_and_redoes_what_came_after() -> Result<()> {
    let mut app = App::with_input(&probe::module("")).await?;
    run(&app, 3).await?;
    back_up(&mut app, &APP, "backup").await?;
    run(&app, 4).await?;
    note(&app).await?;
    each_has_its_effects_once(&app, 7).await?;
    let before = ids(&app).await?;
    restore(&mut app, &APP, "backup").await?;
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
    let mut app = App::with_input(&probe::module("")).await?;
    run(&app, 2).await?;
    back_up(&mut app, &["KV_demo"], "backup").await?;
    run(&app, 3).await?;
    note(&app).await?;
    restore(&mut app, &["KV_demo"], "backup").await?;
    let (code, said) = refused(&app, app.host_called("older")?).await?;
    assert!(code == Some(1) && said.contains("restored from an older copy"), "{code:?} {said}");
    assert!(said.contains("delete the bucket KV_demo-hosts first"), "{said}");
    assert_eq!(probe::causes(&app).await?, [1, 2], "nothing ran");
    lose(&app, &["KV_demo-hosts"]).await?;
    let _host = app.host_called("again")?;
    each_has_its_effects_once(&app, 5).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_another_stream_to_the_witness_and_goes_on_when_that_is_removed() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    run(&app, 2).await?;
    let copy = snapshot(&app, "KV_demo").await?;
    run(&app, 3).await?;
    lose(&app, &["KV_demo"]).await?;
    let (code, said) = refused(&app, app.host_called("gone")?).await?;
    assert!(code == Some(1) && said.contains("KV_demo is gone") && said.contains("KV_demo-hosts"), "{code:?} {said}");
    restore_snapshot(&app, &copy).await?;
    let (code, said) = refused(&app, app.host_called("anew")?).await?;
    assert!(code == Some(1) && said.contains("deleted and made anew"), "{code:?} {said}");
    assert_eq!(probe::causes(&app).await?, [1, 2], "nothing ran");
    lose(&app, &["KV_demo-hosts"]).await?;
    let _host = app.host_called("again")?;
    each_has_its_effects_once(&app, 5).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_stream_older_than_the_app_stream_halts_and_an_app_stream_as_old_mends_it() -> Result<()> {
    let all = ["KV_demo", "KV_demo-hosts", "IN"];
    let mut app = App::with_input(&probe::module("")).await?;
    run(&app, 2).await?;
    back_up(&mut app, &all, "backup").await?;
    run(&app, 2).await?;
    restore(&mut app, &["IN"], "backup").await?;
    let (code, said) = refused(&app, app.host_called("older")?).await?;
    assert!(code == Some(1) && said.contains("ends at 2") && said.contains("checkpoint is at 4"), "{code:?} {said}");
    restore(&mut app, &APP, "backup").await?;
    let _host = app.host_called("again")?;
    inputs(&app, 1).await?;
    each_has_its_effects_once(&app, 3).await
}
