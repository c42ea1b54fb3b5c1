//! `pelton top`, as far as it prints: what runs, what does not, and where it cannot draw.

use std::process::Output;

use anyhow::{Context, Result};
use pelton_tests::{App, Pty, SOON, eventually, logged};
use serde_json::{Value, json};

use crate::probe;

const FOLD: &str = "[modules.fold]\nplugin = \"fold.wasm\"\ninput = { stream = \"IN\" }\nviews = [\"fold\"]\n";
const EMIT: &str = r#"[{"emit":{}},{"write":{"key":"a","value":"1"}}]"#;

/// Runs `pelton top` with these arguments, and publishes inputs until it ends.
async fn under_load(app: &App, arguments: &[&str]) -> Result<Output> {
    let mut top = app.verb(&[&["top"], arguments].concat())?;
    let mut top = tokio::task::spawn_blocking(move || top.output());
    loop {
        app.publish("in.a", EMIT).await?;
        if top.is_finished() {
            return Ok((&mut top).await??);
        }
    }
}

fn parsed(output: &Output) -> Result<Value> {
    serde_json::from_slice(&output.stdout).with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

fn module<'a>(top: &'a Value, name: &str) -> &'a Value {
    let found = top["modules"].as_array().into_iter().flatten().find(|module| module["module"] == name);
    found.unwrap_or(&Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_states_and_failures_are_those_of_the_host_that_runs() -> Result<()> {
    let app = App::with_input(&(probe::module("on_failure = \"halt\"") + FOLD)).await?;
    let host = app.host()?;
    app.covered("fold", 1, app.publish("in.a", EMIT).await?).await?;
    let top = parsed(&under_load(&app, &["-o", "json", "--every", "500ms"]).await?)?;
    let positive = |value: &Value| value.as_f64().is_some_and(|value| value > 0.0);
    for (name, effects) in [("probe", 2.0), ("fold", 1.0)] {
        let module = module(&top, name);
        assert_eq!((&module["state"], &module["reason"]), (&"running".into(), &Value::Null), "{top:#}");
        let ratio = |of: &str| module[of].as_f64().unwrap_or_default() / module["inputs_per_second"].as_f64().unwrap();
        assert!(positive(&module["inputs_per_second"]) && (ratio("effects_per_second") - effects).abs() < 0.01);
        let calls = &module["call_seconds"];
        assert!(positive(&calls["p50"]) && calls["p50"].as_f64() <= calls["p99"].as_f64(), "{top:#}");
        assert!(module["lag"].is_u64(), "{top:#}");
    }
    let hosts = top["app"]["hosts"].as_array().context("no hosts")?;
    assert_eq!((hosts.len(), &hosts[0]["process"]), (1, &host.id().into()), "{top:#}");
    for figure in ["commits_per_second", "messages_per_commit"] {
        assert!(positive(&top["app"][figure]), "{figure}: {top:#}");
    }
    assert!(positive(&top["app"]["commit_seconds"]["p99"]), "{top:#}");

    let rejected = app.publish("in.a", r#"[{"reject":"never"}]"#).await?;
    logged(&host, &["module halts", "probe"]).await?;
    app.covered("probe", 1, rejected - 1).await?;
    // What is covered is counted with the outcome of the batch, which may still be on its way to the status.
    eventually("the host to have counted it", SOON, async || {
        let top = app.pelton_json(&["top", "--every", "10ms"])?;
        Ok((module(&top, "probe")["inputs"] == rejected - 1).then_some(()))
    })
    .await?;
    let top = parsed(&under_load(&app, &["-o", "json", "--every", "200ms"]).await?)?;
    let (halted, runs) = (module(&top, "probe"), module(&top, "fold"));
    assert_eq!((&halted["state"], &halted["inputs_per_second"]), (&"halted".into(), &json!(0.0)), "{top:#}");
    assert!(halted["reason"].as_str().is_some_and(|why| why.contains("never")), "{top:#}");
    let fault = &halted["last_fault"];
    assert_eq!(
        (&fault["kind"], &fault["message"], &fault["fate"]),
        (&"reject".into(), &"never".into(), &"halt".into())
    );
    assert!(runs["state"] == "running" && positive(&runs["inputs_per_second"]), "{top:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_host_answers_and_without_any_the_records_do() -> Result<()> {
    let app = App::with_input(&(probe::module("") + FOLD)).await?;
    let mut first = app.host_called("first")?;
    app.covered("fold", 1, app.publish("in.a", EMIT).await?).await?;
    app.pelton_json(&["module", "pause", "fold"])?;
    logged(&first, &["module is paused", "fold"]).await?;

    let mut second = app.host_called("second")?;
    logged(&second, &["running"]).await?;
    app.covered("probe", 1, app.publish("in.a", EMIT).await?).await?;
    let top = eventually("both to answer, and one to run the module", SOON, async || {
        let top = app.pelton_json(&["top", "--every", "10ms"])?;
        let all =
            top["app"]["hosts"].as_array().map(Vec::len) == Some(2) && module(&top, "probe")["state"] == "running";
        Ok(all.then_some(top))
    });
    let top = top.await?;
    assert_eq!(module(&top, "fold")["state"], "paused", "{top:#}");
    first.terminate().await?;
    let top = app.pelton_json(&["top", "--every", "10ms"])?;
    assert_eq!(top["app"]["hosts"].as_array().map(Vec::len), Some(1), "{top:#}");
    second.terminate().await?;

    app.publish("in.a", EMIT).await?;
    app.configure(&(probe::module("") + FOLD + &FOLD.replace("fold]", "new]").replace("[\"fold\"]", "[\"new\"]")))?;
    let top = app.pelton_json(&["top", "--every", "1h"])?;
    assert_eq!((&top["app"]["hosts"], &top["app"]["commits_per_second"]), (&json!([]), &Value::Null), "{top:#}");
    let state = |name: &str| (module(&top, name)["state"].clone(), module(&top, name)["lag"].clone());
    assert_eq!(state("probe"), ("not-running".into(), 1.into()), "{top:#}");
    assert_eq!(state("fold"), ("paused".into(), 2.into()), "{top:#}");
    assert_eq!(state("new"), ("not-running".into(), Value::Null), "{top:#}");
    assert_eq!(module(&top, "new")["reason"], "it never ran");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_frame_is_text_and_a_screen_needs_a_terminal() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let none = app.pelton(&["top"])?;
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    assert_eq!(none.status.code(), Some(1));
    for named in ["no terminal", "pelton top --once", "pelton lag", "pelton module ls -o json"] {
        assert!(said.contains(named), "{said}");
    }
    let before = app.pelton(&["top", "--once"])?;
    assert!(String::from_utf8_lossy(&before.stderr).contains("no stream yet"), "{before:?}");

    let _host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"reject":"no"}]"#).await?).await?;
    let frame = app.verb(&["top", "--once", "--every", "100ms"])?.env("COLUMNS", "120").output()?;
    let text = String::from_utf8(frame.stdout)?;
    let row = text.lines().find(|line| line.starts_with(" probe")).with_context(|| text.clone())?;
    assert!(row.contains("running") && row.contains("closed"), "{text}");
    assert!(text.starts_with(" demo ") && text.contains("hosts ") && text.contains("P99"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_is_given_back_as_it_was_after_a_key_a_signal_and_a_panic() -> Result<()> {
    const TAKEN: &str = "\u{1b}[?1049h";
    const GIVEN_BACK: &str = "\u{1b}[?1049l";
    const CURSOR: &str = "\u{1b}[?25h";
    let app = App::with_input(&probe::module("")).await?;
    let _host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", "[]").await?).await?;
    for (end, code) in [("q", 0), ("\u{3}", 0), ("SIGTERM", 0), ("panic", 101)] {
        let mut top = app.verb(&["top", "--every", "50ms"])?;
        top.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        if end == "panic" {
            top.env("PELTON_FAIL", "top/frame=20");
        }
        let mut pty = Pty::spawn(top)?;
        pty.shows(TAKEN).await?;
        match end {
            "panic" => pty.shows("PELTON_FAIL asks for it").await?,
            _ => pty.shows("probe").await?,
        }
        match end {
            "SIGTERM" => pty.terminate()?,
            "panic" => {}
            key => pty.press(key)?,
        }
        assert_eq!(pty.wait().await?.code(), Some(code), "{end}");
        pty.shows(GIVEN_BACK).await?;
        pty.shows(CURSOR).await?;
        assert!(pty.is_as_before()?, "{end}");
        let told = pty.shown();
        let behind = told.split_once(GIVEN_BACK).map(|(_, behind)| behind).unwrap_or_default();
        assert_eq!(behind.contains("PELTON_FAIL asks for it"), end == "panic", "{end}: {told:?}");
    }
    Ok(())
}
