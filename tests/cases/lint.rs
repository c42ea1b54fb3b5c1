//! `pelton lint`, on an app whose config, plugin and cases each have something odd.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use anyhow::Result;
use pelton_tests::{binary, plugins};
use serde_json::Value;

fn lint(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary("pelton")?);
    Ok(command.arg("lint").args(arguments).current_dir(folder).env_remove("PELTON_CONFIG").output()?)
}

fn module(name: &str, plugin: &str, rest: &str) -> Result<String> {
    let plugin = plugins()?.join(plugin);
    Ok(format!("[modules.{name}]\nplugin = \"{}\"\n{rest}\n", plugin.display()))
}

#[test]
fn what_is_odd_is_named_with_its_place_and_what_to_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = "app = \"demo\"\n".to_owned()
        + &module(
            "one",
            "probe.wasm",
            "input = { stream = \"IN\", filter = \"in.a\" }\nlanes = 4\nviews = [\"v\", \"w\"]\nemits = [\"c\"]",
        )?
        + &module("two", "fold.wasm", "input = { events = \"c\" }\nviews = [\"x\"]\nemits = [\"d\"]")?
        + &module("three", "none.wasm", "input = { events = \"d\" }\nviews = [\"y\"]")?;
    fs::write(folder.path().join("pelton.toml"), config)?;
    fs::create_dir_all(folder.path().join("cases/one"))?;
    fs::write(
        folder.path().join("cases/one/a.json"),
        r#"{ "cases": [{ "name": "a", "then": { "writes": [{ "view": "v", "key": "key", "value": 1 }] } }] }"#,
    )?;

    let output = lint(folder.path(), &["-o", "json"])?;
    assert_eq!(output.status.code(), Some(1));
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    let found: Vec<_> = findings.iter().map(|finding| (finding["line"].as_u64(), finding["rule"].as_str())).collect();
    let expected = [
        // Its key is the subject, which is always the same.
        (2, "lanes"),
        (6, "unwritten"),
        (7, "unemitted"),
        (9, "no-cases"),
        (12, "projector-emits"),
        (14, "no-cases"),
        (14, "plugin"),
    ];
    assert_eq!(found, expected.map(|(line, rule)| (Some(line), Some(rule))), "{findings:#?}");

    let output = lint(folder.path(), &[])?;
    let (text, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(error, "error: 5 warnings\n");
    assert!(
        text.contains("pelton.toml:2: warning: module one: its keys can only be in.a: 1 of 4 lanes work [lanes]\n"),
        "{text}"
    );
    assert!(text.contains("pelton.toml:9: note: module two: it has no cases"), "{text}");
    Ok(())
}

#[test]
fn notes_alone_are_no_failure_and_a_config_that_cannot_be_used_is_78() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let module = module("one", "probe.wasm", "input = { stream = \"IN\" }\nviews = [\"v\"]")?;
    fs::write(folder.path().join("pelton.toml"), format!("app = \"demo\"\n{module}"))?;
    let output = lint(folder.path(), &[])?;
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("note: module one"));
    fs::write(folder.path().join("pelton.toml"), "app = \"demo\"\nmodule = 1\n")?;
    assert_eq!(lint(folder.path(), &[])?.status.code(), Some(78));
    Ok(())
}
