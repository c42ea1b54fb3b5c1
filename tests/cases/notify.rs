//! What the service manager is told: that the host runs, what is wrong with it, and that it stops.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use anyhow::Result;
use pelton_tests::{App, Host, SOON, eventually};

use crate::probe;

/// Waits until a datagram has arrived, and gives its lines.
async fn told(manager: &UnixDatagram) -> Result<Vec<String>> {
    let arrived = eventually("a notification", SOON, async || {
        let mut bytes = [0; 4_096];
        match manager.recv(&mut bytes) {
            Ok(length) => Ok(Some(String::from_utf8(bytes[..length].to_vec())?)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    });
    Ok(arrived.await?.lines().map(str::to_owned).collect())
}

/// Starts a host that is to notify `address`.
fn host(app: &App, address: &str) -> Result<Host> {
    app.host_with(&[("NOTIFY_SOCKET", address)])
}

const STOPPING: [&str; 2] = ["STOPPING=1", "STATUS=stopping: what is in hand is finished and committed"];

#[tokio::test(flavor = "multi_thread")]
async fn the_manager_is_told_that_the_host_runs_what_fails_and_that_it_stops() -> Result<()> {
    let app = App::with_input(&probe::module("breaker = { failures = 1, pause = \"1h\" }")).await?;
    let path = app.folder().join("notify");
    let manager = UnixDatagram::bind(&path)?;
    manager.set_nonblocking(true)?;
    let mut host = host(&app, &path.display().to_string())?;
    assert_eq!(told(&manager).await?, ["READY=1", "STATUS=running"]);
    assert!(host.log()?.iter().any(|line| line.contains("running")), "told before it ran");
    app.publish("in.a", r#"[{"reject":"no"}]"#).await?;
    let wrong = ["STATUS=module probe: its breaker is open: it waits, since its inputs fail in a row"];
    assert_eq!(told(&manager).await?, wrong);
    assert!(host.terminate().await?.success());
    assert_eq!(told(&manager).await?, STOPPING);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_in_the_abstract_namespace_is_told() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    // The port is this test's own, so the name is too.
    let name = format!("pelton-notify-{}", app.server.port());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    manager.set_nonblocking(true)?;
    let mut host = host(&app, &format!("@{name}"))?;
    assert_eq!(told(&manager).await?, ["READY=1", "STATUS=running"]);
    assert!(host.terminate().await?.success());
    assert_eq!(told(&manager).await?, STOPPING);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_cannot_run_does_not_say_that_it_does() -> Result<()> {
    let app = App::new(&probe::module("")).await?;
    let path = app.folder().join("notify");
    let manager = UnixDatagram::bind(&path)?;
    manager.set_nonblocking(true)?;
    let mut host = host(&app, &path.display().to_string())?;
    assert_eq!(host.wait(SOON).await?.code(), Some(1), "its only input stream is not there");
    let nothing = manager.recv(&mut [0; 64]).map_err(|error| error.kind());
    assert_eq!(nothing, Err(std::io::ErrorKind::WouldBlock));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_is_not_there_stops_nobody() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let mut host = host(&app, "/nonexistent/notify")?;
    pelton_tests::logged(&host, &["NOTIFY_SOCKET", "/nonexistent/notify"]).await?;
    app.covered("probe", 1, app.publish("in.a", "[]").await?).await?;
    assert!(host.terminate().await?.success());
    Ok(())
}
