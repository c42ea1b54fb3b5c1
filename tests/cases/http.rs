//! What the host serves over HTTP: its health, who may ask, and whom it refuses.

use std::{fs, sync::Arc};

use anyhow::{Context, Result};
use pelton_tests::{App, Host, Http, SOON, eventually, logged};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::probe;

const FOLD: &str = "[modules.fold]\nplugin = \"fold.wasm\"\ninput = { stream = \"IN\" }\nviews = [\"fold\"]\n";
const TOKEN: &str = "a-token-of-24-characters";

/// Waits until `/readyz` answers with this status; gives its reasons.
pub async fn ready(http: &Http, status: u16) -> Result<Vec<Value>> {
    let what = format!("readiness {status}");
    let answer = eventually(&what, SOON, async || {
        let answer = http.get("/readyz").await?;
        Ok((answer.status == status).then_some(answer))
    });
    Ok(answer.await?.json()?["reasons"].as_array().cloned().unwrap_or_default())
}

/// An app whose host wants the token.
async fn app_with_token(more: &str) -> Result<App> {
    let app = App::with_input("").await?;
    fs::write(app.folder().join("token"), format!("{TOKEN}\n"))?;
    app.configure_http(&format!("listen = \"127.0.0.1:0\"\ntoken = {{ file = \"token\" }}{more}"), &probe::module(""))?;
    Ok(app)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_alive_and_ready_as_json_and_as_text() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let host = app.host()?;
    let http = host.http().await?;
    assert!(ready(&http, 200).await?.is_empty());
    let live = http.get("/livez").await?;
    assert_eq!((live.status, live.json()?["ok"].as_bool()), (200, Some(true)));
    for path in ["/livez", "/readyz"] {
        let text = http.send("GET", path, &[("accept", "text/plain")], "").await?;
        assert_eq!(
            (text.status, text.text().as_str(), text.header("content-type")),
            (200, "ok\n", "text/plain; charset=utf-8")
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_names_a_module_that_halts_and_forgets_it_when_it_goes_on() -> Result<()> {
    let app = App::with_input(&(probe::module("on_failure = \"halt\"") + FOLD)).await?;
    let host = app.host()?;
    let http = host.http().await?;
    ready(&http, 200).await?;
    app.publish("in.a", r#"[{"reject":"never"}]"#).await?;
    let reasons = ready(&http, 503).await?;
    assert_eq!((reasons.len(), reasons[0]["module"].as_str()), (1, Some("probe")));
    assert!(reasons[0]["reason"].as_str().is_some_and(|reason| reason.contains("input 1: never")), "{reasons:?}");
    let text = http.send("GET", "/readyz", &[("accept", "text/plain")], "").await?;
    assert!(text.status == 503 && text.text().starts_with("module probe: it halted: "), "{}", text.text());
    assert_eq!(http.get("/livez").await?.status, 200);
    app.pelton_json(&["module", "pause", "probe"])?;
    ready(&http, 200).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_tells_when_nats_is_away_and_when_it_is_back() -> Result<()> {
    let mut app = App::with_input(&probe::module("")).await?;
    let host = app.host()?;
    let http = host.http().await?;
    ready(&http, 200).await?;
    app.server.kill9()?;
    let reasons = ready(&http, 503).await?;
    assert!(reasons.iter().any(|reason| reason["what"] == "nats"), "{reasons:?}");
    app.server.restart().await?;
    ready(&http, 200).await?;
    let metrics = http.get("/metrics").await?.text();
    assert!(metrics.contains("pelton_reconnects_total{connection=\"commit\"} 1"), "{metrics}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_token_everything_but_the_probes_wants_it_and_it_is_never_shown() -> Result<()> {
    let app = app_with_token("").await?;
    let mut host = app.host()?;
    let http = host.http().await?;
    ready(&http, 200).await?;
    assert_eq!(http.get("/livez").await?.status, 200);
    for path in ["/metrics", "/nothing"] {
        let refused = http.get(path).await?;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"));
        assert!(refused.problem().contains("Authorization: Bearer TOKEN"), "{refused:?}");
        let wrong = http.with_token("a-token-of-24-charakters").get(path).await?;
        assert!(wrong.status == 401 && wrong.problem().contains("not the one"), "{wrong:?}");
    }
    assert_eq!(http.with_token(TOKEN).get("/metrics").await?.status, 200);
    assert_eq!(http.with_token(TOKEN).get("/nothing").await?.status, 404);
    assert!(host.terminate().await?.success());
    assert!(!host.log()?.join("\n").contains(TOKEN));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn details_of_a_halt_are_only_for_those_who_show_the_token() -> Result<()> {
    let app = app_with_token("").await?;
    let modules = probe::module("on_failure = \"halt\"") + FOLD;
    app.configure_http("listen = \"127.0.0.1:0\"\ntoken = { file = \"token\" }", &modules)?;
    let host = app.host()?;
    let http = host.http().await?;
    ready(&http, 200).await?;
    app.publish("in.a", r#"[{"reject":"the secret of a guest"}]"#).await?;
    let reasons = ready(&http, 503).await?;
    assert_eq!((reasons[0]["module"].as_str(), reasons[0]["what"].as_str()), (Some("probe"), Some("module")));
    assert!(!reasons[0].to_string().contains("secret"), "{reasons:?}");
    let reasons = ready(&http.with_token(TOKEN), 503).await?;
    assert!(reasons[0].to_string().contains("the secret of a guest"), "{reasons:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_and_names_that_the_host_does_not_have_are_refused() -> Result<()> {
    let app = App::with_input("").await?;
    app.configure_http("listen = \"127.0.0.1:0\"\nnames = [\"pelton.test\"]", &probe::module(""))?;
    let host = app.host()?;
    let http = host.http().await?;
    let get = async |headers: &[(&str, &str)]| http.send("GET", "/livez", headers, "").await;
    for name in ["localhost:1", "127.0.0.1", "[::1]:80", "PELTON.test"] {
        assert_eq!(get(&[("host", name)]).await?.status, 200, "{name}");
    }
    let rebound = get(&[("host", "evil.example:7358")]).await?;
    assert!(rebound.status == 421 && rebound.problem().contains("[http] names"), "{rebound:?}");
    let cross = get(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]).await?;
    assert!(cross.status == 403 && cross.problem().contains("other sites"), "{cross:?}");
    assert_eq!(get(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]).await?.status, 200);
    let own = get(&[("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")]).await?;
    assert_eq!((own.status, own.header("access-control-allow-origin")), (200, ""));
    for (header, value) in
        [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("cache-control", "no-store")]
    {
        assert_eq!(own.header(header), value);
    }
    assert!(own.header("content-security-policy").starts_with("default-src 'none'"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_and_what_is_not_allowed_there_is_said_as_a_problem() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let host = app.host()?;
    let http = host.http().await?;
    for (method, path, status) in [("GET", "/nothing", 404), ("POST", "/livez", 405), ("DELETE", "/metrics", 405)] {
        let answer = http.send(method, path, &[], "").await?;
        assert!(answer.status == status && answer.problem().contains("/openapi.json"), "{method} {path}: {answer:?}");
    }
    Ok(())
}

/// Runs a host on this table `http`, which is to refuse; gives its exit code and what it said.
async fn refused(http: &str) -> Result<(Option<i32>, String)> {
    let app = App::with_input("").await?;
    fs::write(app.folder().join("short"), "short")?;
    fs::write(app.folder().join("long"), TOKEN)?;
    app.configure_http(http, &probe::module(""))?;
    let mut host = app.host()?;
    let status = host.wait(SOON).await?;
    Ok((status.code(), host.log()?.join("\n")))
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_would_open_the_host_to_everyone_are_refused_as_config_errors() -> Result<()> {
    let tls = "tls = { cert = \"no.pem\", key = \"no.pem\" }";
    for (http, said) in [
        ("listen = \"0.0.0.0:0\"".to_owned(), "needs TLS and a token"),
        (format!("listen = \"0.0.0.0:0\"\n{tls}"), "needs TLS and a token"),
        ("listen = \"[::]:0\"\ntoken = { file = \"long\" }".to_owned(), "needs TLS and a token"),
        ("listen = \"nowhere\"".to_owned(), "is no address"),
        ("listen = \"127.0.0.1:0\"\ntoken = { file = \"missing\" }".to_owned(), "missing"),
        ("listen = \"127.0.0.1:0\"\ntoken = { file = \"short\" }".to_owned(), "16 or more"),
        ("listen = \"127.0.0.1:0\"\ntoken = { env = \"PELTON_NO_SUCH\" }".to_owned(), "PELTON_NO_SUCH"),
        ("listen = \"127.0.0.1:0\"\ntoken = { env = \"A\", file = \"b\" }".to_owned(), "a token is"),
        (format!("listen = \"127.0.0.1:0\"\n{tls}"), "no.pem"),
        ("lisden = \"off\"".to_owned(), "lisden"),
    ] {
        let (code, log) = refused(&http).await?;
        assert!(code == Some(78) && log.contains(said), "{http}: {code:?}\n{log}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named_with_what_to_do() -> Result<()> {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = taken.local_addr()?;
    let (code, log) = refused(&format!("listen = \"{address}\"")).await?;
    assert!(code == Some(1) && log.contains(&address.to_string()) && log.contains("listen = \"off\""), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn http_that_is_off_is_off() -> Result<()> {
    let app = App::with_input("").await?;
    app.configure_http("listen = \"off\"", &probe::module(""))?;
    let host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", "[]").await?).await?;
    assert!(!host.log()?.iter().any(|line| line.contains("serving HTTP")));
    Ok(())
}

/// A certificate for 127.0.0.1 and its key, in these files; gives a client's config that trusts it.
fn certificate(app: &App) -> Result<ClientConfig> {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    fs::write(app.folder().join("cert.pem"), made.cert.pem())?;
    fs::write(app.folder().join("key.pem"), made.signing_key.serialize_pem())?;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(config.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_address_serves_tls_to_those_who_show_the_token() -> Result<()> {
    let app = app_with_token("").await?;
    let client = certificate(&app)?;
    let tls = "tls = { cert = \"cert.pem\", key = \"key.pem\" }";
    app.configure_http(&format!("listen = \"0.0.0.0:0\"\ntoken = {{ file = \"token\" }}\n{tls}"), &probe::module(""))?;
    let host = app.host()?;
    let port = host.http().await?.address().port();
    let plain = Http::at(([127, 0, 0, 1], port).into());
    let http = plain.with_tls(client);
    ready(&http, 200).await?;
    assert_eq!(http.get("/metrics").await?.status, 401);
    assert_eq!(http.with_token(TOKEN).get("/metrics").await?.status, 200);
    assert!(plain.get("/livez").await.is_err(), "without TLS there is no answer");
    Ok(())
}

/// What a host answers to these bytes, up to the end of the connection.
async fn raw(host: &Host, bytes: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(host.http().await?.address()).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
    read.context("the host keeps the connection")??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_never_end_and_heads_without_end_hold_nobody_up() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let host = app.host()?;
    let http = host.http().await?;
    let huge = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(4 << 20));
    // The host may end the connection before all of it is written.
    assert!(!raw(&host, huge.as_bytes()).await.unwrap_or_default().contains("200 OK"));
    let (slow, _) = tokio::join!(raw(&host, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"), async {
        assert!(http.get("/livez").await.is_ok_and(|answer| answer.status == 200));
    });
    assert!(!slow?.contains("200 OK"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_open_connections_ends_when_it_is_told_to() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let mut host = app.host()?;
    let address = host.http().await?.address();
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(TcpStream::connect(address).await?);
    }
    logged(&host, &["running"]).await?;
    assert!(host.terminate().await?.success());
    Ok(())
}
