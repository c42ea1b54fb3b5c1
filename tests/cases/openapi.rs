//! The OpenAPI document is what the server does: a fuzzer that reads the document finds nothing else.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use pelton_tests::{App, Host, tools};
use tokio::process::Command;

use crate::probe;

const TOKEN: &str = "a-token-of-24-characters";
/// How long the fuzzer may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(150);

/// How much of what it says is shown: it quotes whole bodies.
const MOST_SAID: usize = 8_000;

/// An app with something in it, and its host.
async fn app() -> Result<(App, Host)> {
    let app = App::with_input("").await?;
    std::fs::write(app.folder().join("token"), TOKEN)?;
    let http = "listen = \"127.0.0.1:0\"\ntoken = { file = \"token\" }";
    // What the fuzzer publishes is no order for the probe.
    app.configure_http(http, &probe::module("breaker = { failures = 0 }"))?;
    let host = app.host()?;
    for key in ["a", "b/c"] {
        app.publish("in.a", format!(r#"[{{"write":{{"key":"{key}","value":"1"}}}},{{"emit":{{}}}}]"#)).await?;
    }
    app.covered("probe", 1, 2).await?;
    Ok((app, host))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_of_the_document_is_there_and_it_is_for_those_who_may_read() -> Result<()> {
    let (_app, host) = app().await?;
    let http = host.http().await?;
    assert_eq!(http.get("/openapi.json").await?.status, 401);
    let document = http.with_token(TOKEN).get_json("/openapi.json").await?;
    let paths = document["paths"].as_object().context("no paths")?;
    for (path, methods) in paths {
        for method in
            methods.as_object().into_iter().flatten().map(|(method, _)| method).filter(|method| *method != "parameters")
        {
            let filled = path
                .replace("{view}", "v")
                .replace("{key}", "a")
                .replace("{module}", "probe")
                .replace("{subject}", "in.a");
            let answer =
                http.with_token(TOKEN).send(&method.to_uppercase(), &format!("{filled}?colour=1"), &[], "").await?;
            assert!(![404, 405].contains(&answer.status), "{method} {path}: {answer:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fuzzer_that_reads_the_document_finds_no_difference() -> Result<()> {
    let folder = tools()?.join("schemathesis");
    if !folder.join("installed").exists() {
        let why = "schemathesis is not installed; `cargo xtask test` installs it or says why not";
        if std::env::var("PELTON_LANGUAGES").is_ok_and(|languages| languages == "all") {
            bail!(why);
        }
        eprintln!("skipped: {why}");
        return Ok(());
    }
    let (app, host) = app().await?;
    let said = fuzz(&folder, host.http().await?.address(), app.folder()).await?;
    assert_eq!(host.http().await?.get("/readyz").await?.status, 200, "{said}");
    assert!(!host.log()?.iter().any(|line| line.contains("panicked")), "{}", app.log_end());
    Ok(())
}

/// Runs the fuzzer against a host, from a folder to write in; gives what it said.
async fn fuzz(tools: &Path, host: std::net::SocketAddr, folder: &Path) -> Result<String> {
    let subject = "[[operations]]\ninclude-operation-id = \"publish\"\nparameters = { \"path.subject\" = \"in.a\" }\n";
    std::fs::write(folder.join("schemathesis.toml"), subject)?;
    let mut fuzzer = Command::new("python3");
    fuzzer.current_dir(folder).env("PYTHONPATH", tools).env("PYTHONDONTWRITEBYTECODE", "1");
    fuzzer.args(["-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"]);
    fuzzer.arg(format!("http://{host}/openapi.json")).args(["-H", &format!("Authorization: Bearer {TOKEN}")]);
    // An endless answer cannot be waited for, and what is accepted hangs on what is in the app.
    fuzzer.args(["--exclude-operation-id", "events", "--exclude-checks", "positive_data_acceptance"]);
    fuzzer.args([
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        "25",
        "--seed",
        "1",
        "--request-timeout",
        "20",
    ]);
    fuzzer.args(["--continue-on-failure", "--no-shrink", "--suppress-health-check", "all", "--no-color"]);
    fuzzer.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, fuzzer.output()).await.context("the fuzzer takes too long")??;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", said.chars().take(MOST_SAID).collect::<String>());
    Ok(said)
}
