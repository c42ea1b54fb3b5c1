//! The command line, as people and programs use it.

use std::process::Output;

use anyhow::Result;
use pelton_tests::App;
use serde_json::Value;

use crate::probe;

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a verb that must succeed, and parses its JSON.
fn json(app: &App, arguments: &[&str]) -> Result<Value> {
    let output = app.pelton(&[arguments, &["-o", "json"]].concat())?;
    assert!(output.status.success(), "{arguments:?}: {}", err(&output));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Runs a verb that must succeed, and gives what it prints for people.
fn text(app: &App, arguments: &[&str]) -> Result<String> {
    let output = app.pelton(arguments)?;
    assert!(output.status.success(), "{arguments:?}: {}", err(&output));
    Ok(out(&output))
}

#[tokio::test(flavor = "multi_thread")]
async fn verbs_show_what_stands_in_the_app_as_text_and_as_json() -> Result<()> {
    let app = App::with_input(&probe::module("lanes = 2")).await?;
    let mut host = app.host()?;
    let published = json(&app, &["publish", "in.a", "--data", r#"[{"reject":"no"}]"#, "--type", "t", "--id", "one"])?;
    assert_eq!((&published[0]["sequence"], &published[0]["id"]), (&1.into(), &"one".into()));
    let lines = app.folder().join("lines");
    std::fs::write(&lines, "[{\"write\":{\"key\":\"a\",\"value\":\"{\\\"n\\\":1}\"}}]\n[{\"emit\":{}}]\n")?;
    let lines = lines.to_string_lossy();
    assert!(text(&app, &["publish", "in.a", "--lines", "--file", &lines])?.contains("SEQUENCE"));
    app.covered("probe", 2, 3).await?;
    host.terminate().await?;

    let valid = json(&app, &["validate"])?;
    assert_eq!(
        (&valid[0]["module"], &valid[0]["role"], &valid[0]["lanes"]),
        (&"probe".into(), &"handler".into(), &2.into())
    );
    assert!(text(&app, &["validate"])?.contains("handler"));

    let modules = json(&app, &["module", "ls"])?;
    let listed = (&modules[0]["module"], &modules[0]["lag"], &modules[0]["hosts"]);
    assert_eq!(listed, (&"probe".into(), &0.into(), &serde_json::json!([])));
    assert!(text(&app, &["module", "ls"])?.contains("running, but no host runs it"));
    let module = json(&app, &["module", "show", "probe"])?;
    assert_eq!(module["checkpoints"].as_array().map(Vec::len), Some(2));
    assert!(text(&app, &["module", "show", "probe"])?.contains("COVERED"));

    assert_eq!(json(&app, &["view", "ls", "v"])?, serde_json::json!(["a"]));
    assert!(json(&app, &["view", "ls"])?.to_string().contains("\"v\""));
    assert_eq!(text(&app, &["view", "ls", "v"])?, "a\n");
    assert_eq!(json(&app, &["view", "get", "v", "a"])?, serde_json::json!({"n": 1}));
    assert_eq!(text(&app, &["view", "get", "v", "a"])?, "{\"n\":1}\n");

    let letters = json(&app, &["dlq", "ls"])?;
    let (lane, sequence) = (letters[0]["lane"].to_string(), letters[0]["sequence"].to_string());
    assert_eq!(letters, json(&app, &["dlq", "ls", "probe"])?);
    assert!(text(&app, &["dlq", "ls"])?.contains("reject: no"));
    let letter = json(&app, &["dlq", "show", "probe", &lane, &sequence])?;
    assert_eq!(letter["cause"], serde_json::json!({"kind": "reject", "message": "no"}));
    assert!(text(&app, &["dlq", "show", "probe", &lane, &sequence])?.contains(r#"[{"reject":"no"}]"#));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_is_named_and_ends_with_1() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let before = app.pelton(&["module", "ls"])?;
    assert_eq!(before.status.code(), Some(1));
    assert!(err(&before).contains("no stream yet"), "{}", err(&before));
    let mut host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", "[]").await?).await?;
    host.terminate().await?;
    for (arguments, named) in [
        (&["module", "show", "nobody"][..], "nobody"),
        (&["view", "get", "nothing", "a"], "nothing"),
        (&["view", "ls", "nothing"], "nothing"),
        (&["view", "get", "v", "no key"], "no key"),
        (&["dlq", "show", "probe", "0", "77"], "77"),
        (&["publish", "elsewhere", "--data", "1"], "elsewhere"),
        (&["publish", "in.>", "--data", "1"], "in.>"),
        (&["publish", "in.a", "--data", "{\"n\":"], "--content-type"),
        (&["publish", "in.a"], "standard input is empty"),
        (&["dlq", "replay", "nobody"], "nobody"),
        (&["dlq", "replay", "--sequence", "99"], "pelton dlq ls"),
        (&["dlq", "discard", "probe", "--sequence", "99"], "pelton dlq ls"),
    ] {
        for format in ["text", "json"] {
            let output = app.pelton(&[arguments, &["-o", format]].concat())?;
            assert_eq!(output.status.code(), Some(1), "{arguments:?}");
            assert!(err(&output).contains(named), "{arguments:?}: {}", err(&output));
            assert_eq!(out(&output), "");
        }
    }
    let empty = json(&app, &["dlq", "ls", "nobody"])?;
    assert_eq!(empty, serde_json::json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_cannot_be_used_is_shown_with_line_and_column_and_ends_with_78() -> Result<()> {
    let app = App::new("").await?;
    let module = probe::module("");
    for (modules, line_and_column, named) in [
        ("colour = 1\n".to_owned(), ":3:1:", "colour"),
        (module.replace("views = [\"v\"]", "view = [\"v\"]"), ":7:1:", "view"),
        (module.replace("[\"v\"]", "[\"V!\"]"), ":7:", "V!"),
        (module.clone() + "lanes = 0\n", ":10:9:", "lanes"),
        (module.clone() + "attempts = 0\n", ":10:12:", "attempts"),
        (module.clone() + "limits = { deadline = \"soon\" }\n", ":10:23:", "soon"),
        (module.clone() + "limits = { memory = \"much\" }\n", ":10:21:", "much"),
        (module.clone() + "from = \"there\"\n", ":10:8:", "there"),
        (module.replace("{ token = 2 }", "{ token = 0 }"), ":6:7:", "token"),
        (module.replace("stream = \"IN\"", "events = \"none\""), ":5:9:", "none"),
        (module.replace("stream = \"IN\"", "stream = \"a b\""), ":5:9:", "a b"),
        (module.clone() + "[modules", ":10:", ""),
    ] {
        app.configure(&modules)?;
        for verb in [&["validate"][..], &["run"], &["module", "ls"]] {
            let output = app.pelton(verb)?;
            let said = err(&output);
            assert_eq!(output.status.code(), Some(78), "{modules}: {said}");
            assert!(said.contains(line_and_column) && said.contains(named), "{line_and_column} {named}: {said}");
        }
    }
    std::fs::remove_file(app.config())?;
    assert_eq!(app.pelton(&["validate"])?.status.code(), Some(78));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_verb_that_needs_nats_ends_with_69_where_there_is_none() -> Result<()> {
    let mut app = App::with_input(&probe::module("")).await?;
    app.server.kill9()?;
    let other = app.folder().join("other.wasm");
    std::fs::write(&other, "")?;
    let other = other.to_string_lossy();
    for verb in [
        &["run"][..],
        &["module", "ls"],
        &["module", "show", "probe"],
        &["module", "pause", "probe"],
        &["module", "resume", "probe"],
        &["module", "swap", "probe"],
        &["module", "scale", "probe", "--lanes", "4"],
        &["module", "reset", "probe", "--to", "first"],
        &["view", "ls"],
        &["view", "get", "v", "a"],
        &["dlq", "ls"],
        &["dlq", "show", "probe", "0", "1"],
        &["dlq", "replay", "--all"],
        &["dlq", "discard", "--all"],
        &["dlq", "retry", "probe", "0", "1", "--plugin", &other],
        &["tap"],
        &["top", "--once"],
        &["graph", "--live"],
        &["lag"],
        &["doctor"],
        &["publish", "in.a", "--data", "[]"],
        &["verify", "probe", "--plugin", &other],
        &["source", "IN"],
    ] {
        let output = app.pelton(verb)?;
        let said = err(&output);
        assert_eq!(output.status.code(), Some(69), "{verb:?}: {said}");
        assert!(said.contains("error: cannot connect to nats://127.0.0.1:"), "{verb:?}: {said}");
        assert_eq!(out(&output), "", "{verb:?}");
    }
    // These need no server.
    for verb in
        [&["validate"][..], &["lint"], &["graph"], &["permissions", "--input", "in.>"], &["config", "schema"], &["man"]]
    {
        let mut command = std::process::Command::new(pelton_tests::binary("pelton")?);
        let output = command.args(verb).env("PELTON_CONFIG", app.config()).output()?;
        assert_eq!(output.status.code(), Some(0), "{verb:?}: {}", err(&output));
    }
    Ok(())
}

#[test]
fn a_command_line_that_cannot_be_read_ends_with_2_and_says_what_it_wants() -> Result<()> {
    for (arguments, named) in [
        (&["runn"][..], "unrecognized subcommand"),
        (&["run", "--colour"], "--colour"),
        (&["module"], "Usage: pelton module"),
        (&["module", "show"], "<NAME>"),
        (&["module", "ls", "-o", "xml"], "xml"),
        (&["dlq", "show", "probe", "lane", "1"], "lane"),
        (&["top", "--every", "often"], "often"),
    ] {
        let output = std::process::Command::new(pelton_tests::binary("pelton")?).args(arguments).output()?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", err(&output));
        assert!(err(&output).contains(named), "{arguments:?}: {}", err(&output));
        assert_eq!(out(&output), "");
    }
    Ok(())
}
