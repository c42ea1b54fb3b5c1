//! The app stream is verified before anything runs: its identity by the witness, its settings one by one.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    time::Duration,
};

use anyhow::{Context, Result};
use async_nats::jetstream::stream::Config;
use pelton_tests::{App, Host, LONG, SOON, logged};

use crate::{identity::copy_folder, probe};

/// Gives a stream a setting that it must not have.
type Spoil = fn(&mut Config);

/// Runs the host, which must refuse, and gives its log.
async fn refusal(app: &App, name: &str) -> Result<String> {
    let mut host = app.host_called(name)?;
    let status = host.wait(SOON).await?;
    let log = host.log()?.join("\n");
    assert_eq!(status.code(), Some(1), "{log}");
    Ok(log)
}

/// An app that has run.
async fn app() -> Result<App> {
    let app = App::with_input(&probe::module("")).await?;
    let mut host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await?;
    host.terminate().await?;
    Ok(app)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_stream_that_is_gone_is_not_made_anew() -> Result<()> {
    let app = app().await?;
    app.jetstream().delete_stream("KV_demo").await?;
    let log = refusal(&app, "again").await?;
    assert!(log.contains("KV_demo is gone, though this app ran before"), "{log}");
    assert!(app.jetstream().get_stream("KV_demo").await.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_stream_that_was_made_anew_is_refused() -> Result<()> {
    let app = app().await?;
    let config = app.jetstream().get_stream("KV_demo").await?.cached_info().config.clone();
    app.jetstream().delete_stream("KV_demo").await?;
    app.jetstream().create_stream(config).await?;
    let log = refusal(&app, "again").await?;
    assert!(log.contains("KV_demo was created") && log.contains("made anew"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_stream_restored_from_an_older_copy_is_refused() -> Result<()> {
    let mut app = app().await?;
    let copy = app.folder().join("copy");
    app.server.stop().await?;
    copy_folder(&app.store("KV_demo"), &copy)?;
    app.server.restart().await?;
    // The second start notes how far the stream is by now.
    for _ in 0..2 {
        let mut host = app.host()?;
        app.covered("probe", 1, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await?;
        host.terminate().await?;
    }
    app.server.stop().await?;
    std::fs::remove_dir_all(app.store("KV_demo"))?;
    copy_folder(&copy, &app.store("KV_demo"))?;
    app.server.restart().await?;
    let log = refusal(&app, "again").await?;
    assert!(log.contains("rolled back or restored from an older copy"), "{log}");
    Ok(())
}

/// The host has nothing to commit, so that nothing but the witness tells it. What it finds must not become the witness's word.
async fn a_running_host_ends(app: &App, mut host: Host, why: &str) -> Result<()> {
    let status = host.wait(LONG).await.with_context(|| app.log_end())?;
    let log = host.log()?.join("\n");
    assert!(status.code() == Some(1) && log.contains(why), "{log}");
    let log = refusal(app, "again").await?;
    assert!(log.contains(why), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_stream_that_is_made_anew_under_a_running_host_ends_it_and_is_refused_then() -> Result<()> {
    let app = app().await?;
    let host = app.host_told("reads", &["--reads-only"])?;
    logged(&host, &["running"]).await?;
    let config = app.jetstream().get_stream("KV_demo").await?.cached_info().config.clone();
    app.jetstream().delete_stream("KV_demo").await?;
    app.jetstream().create_stream(config).await?;
    a_running_host_ends(&app, host, "it was deleted and made anew").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_stream_that_is_rolled_back_under_a_running_host_ends_it_and_is_refused_then() -> Result<()> {
    let mut app = app().await?;
    let copy = app.folder().join("copy");
    app.server.stop().await?;
    copy_folder(&app.store("KV_demo"), &copy)?;
    app.server.restart().await?;
    let mut first = app.host_called("first")?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await?;
    first.terminate().await?;
    // It notes how far the stream is when it starts.
    let host = app.host_told("reads", &["--reads-only"])?;
    logged(&host, &["running"]).await?;
    app.server.stop().await?;
    std::fs::remove_dir_all(app.store("KV_demo"))?;
    copy_folder(&copy, &app.store("KV_demo"))?;
    app.server.restart().await?;
    a_running_host_ends(&app, host, "rolled back or restored from an older copy").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_stream_with_limits_that_would_eat_checkpoints_is_refused_by_name() -> Result<()> {
    let app = app().await?;
    let good = app.jetstream().get_stream("KV_demo").await?.cached_info().config.clone();
    let spoilt: [(&str, Spoil); 4] = [
        ("max_age", |c| c.max_age = Duration::from_secs(3_600)),
        ("max_msgs", |c| c.max_messages = 1_000_000),
        ("max_bytes", |c| c.max_bytes = 1 << 30),
        ("max_msgs_per_subject", |c| c.max_messages_per_subject = 1),
    ];
    for (setting, spoil) in spoilt {
        let mut config = good.clone();
        spoil(&mut config);
        app.jetstream().update_stream(config).await?;
        let log = refusal(&app, setting).await?;
        assert!(log.contains(&format!("KV_demo: {setting}")), "{log}");
    }
    app.jetstream().update_stream(good).await?;
    let _host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_too_old_is_refused_with_its_version() -> Result<()> {
    let app = App::new(&probe::module("")).await?;
    let old = TcpListener::bind("127.0.0.1:0")?;
    let address = old.local_addr()?;
    std::thread::spawn(move || old.incoming().flatten().for_each(|stream| drop(pretend(stream, "2.11.3"))));
    let text = std::fs::read_to_string(app.config())?.replace(&app.server.url(), &format!("nats://{address}"));
    std::fs::write(app.config(), text)?;
    let log = refusal(&app, "old").await?;
    assert!(log.contains("nats-server 2.11.3 is too old") && log.contains("2.14.4"), "{log}");
    Ok(())
}

/// Greets a client as a server of that version, and answers its pings from a thread of its own.
fn pretend(mut stream: std::net::TcpStream, version: &str) -> std::io::Result<()> {
    let info = format!(
        r#"{{"server_id":"X","server_name":"x","version":"{version}","go":"go","host":"127.0.0.1","port":4222,"headers":true,"max_payload":1048576,"proto":1,"jetstream":true}}"#
    );
    write!(stream, "INFO {info}\r\n")?;
    let reader = BufReader::new(stream.try_clone()?);
    std::thread::spawn(move || {
        for line in reader.lines().map_while(Result::ok) {
            if line.starts_with("PING") && stream.write_all(b"PONG\r\n").is_err() {
                return;
            }
        }
    });
    Ok(())
}
