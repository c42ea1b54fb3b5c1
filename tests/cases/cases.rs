//! `pelton test`, as authors and their continuous integration use it.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use anyhow::Result;
use pelton_tests::{binary, plugins};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with an app of the guest `probe`, which does what its input says.
fn app(modules: &[&str]) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let plugin = plugins()?.join("probe.wasm");
    let module = |name: &&str| {
        format!(
            "[modules.{name}]\nplugin = \"{}\"\ninput = {{ stream = \"IN\" }}\nlanes = 2\nviews = [\"{name}-v\"]\n\
             emits = [\"out\"]\nlimits = {{ deadline = \"100ms\" }}\n",
            plugin.display()
        )
    };
    let config = "app = \"demo\"\n".to_owned() + &modules.iter().map(module).collect::<String>();
    fs::write(folder.path().join("pelton.toml"), config)?;
    Ok(folder)
}

fn pelton(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary("pelton")?);
    Ok(command.arg("test").args(arguments).current_dir(folder).env_remove("PELTON_CONFIG").output()?)
}

fn write(folder: &TempDir, file: &str, cases: &Value) -> Result<()> {
    let path = folder.path().join(file);
    fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
    Ok(fs::write(path, format!("{cases:#}\n"))?)
}

/// What was printed, and the exit code.
fn said(output: &Output) -> (String, String, Option<i32>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

fn case(name: &str, payload: Value, then: Value) -> Value {
    json!({ "name": name, "when": { "key": "a", "payload": payload }, "then": then })
}

#[test]
fn cases_pass_or_are_shown_with_their_place_and_what_differs() -> Result<()> {
    let folder = app(&["probe"])?;
    let put = json!([{ "write": { "view": "probe-v", "key": "a", "value": "1" } }]);
    let wrote = |value: u8| json!({ "writes": [{ "view": "probe-v", "key": "a", "value": value }] });
    write(
        &folder,
        "cases/one.json",
        &json!({ "cases": [
            case("writes", put.clone(), wrote(1)),
            case("writes another", put, wrote(2)),
            case("rejects", json!([{ "reject": "no tea" }]), json!({ "reject": "tea" })),
        ] }),
    )?;
    let (text, error, code) = said(&pelton(folder.path(), &[])?);
    assert_eq!((error.as_str(), code), ("error: 1 of 3 cases failed\n", Some(1)));
    let line = fs::read_to_string(folder.path().join("cases/one.json"))?;
    let line = line.lines().take_while(|line| !line.contains("another")).count();
    assert!(text.contains("one.json:") && text.contains(": writes another\n"), "{text}");
    assert!(text.contains("      put probe-v/a\n    -   2\n    +   1\n"), "{text}");
    assert!(text.contains("probe: 2 passed, 1 failed\n"), "{text}");

    let report = folder.path().join("report.xml");
    let arguments = ["-o", "json", "--junit", &report.to_string_lossy()];
    let (text, _, code) = said(&pelton(folder.path(), &arguments)?);
    let found: Value = serde_json::from_str(&text)?;
    assert_eq!((code, &found[0]["passed"], &found[0]["failed"]), (Some(1), &2.into(), &1.into()));
    let failed = &found[0]["cases"][1];
    assert_eq!(failed["steps"][0]["diff"], "  put probe-v/a\n-   2\n+   1\n");
    assert!(failed["line"].as_u64().is_some_and(|found| found <= line as u64 + 1), "{failed} {line}");
    let xml = fs::read_to_string(report)?;
    assert!(xml.contains(r#"<testsuite name="probe" tests="3" failures="1""#), "{xml}");

    let (text, error, code) = said(&pelton(folder.path(), &["--case", "rejects"])?);
    assert!(text.contains("probe: 1 passed, 0 failed") && error.is_empty() && code == Some(0), "{text}{error}");
    assert_eq!(said(&pelton(folder.path(), &["--case", "nobody"])?).2, Some(1));
    Ok(())
}

#[test]
fn the_rules_of_a_lane_hold_and_what_breaks_them_can_be_no_expectation() -> Result<()> {
    let folder = app(&["probe"])?;
    let write_to = |view: &str, key: &str| json!([{ "write": { "view": view, "key": key, "value": "1" } }]);
    write(
        &folder,
        "cases/rules.json",
        &json!({ "cases": [
            case("a view of nobody", write_to("other", "a"), json!({})),
            case("a key of another lane", write_to("probe-v", "b"), json!({})),
            case("a category of nobody", json!([{ "emit": { "category": "other" } }]), json!({})),
            case("a trap", json!(["trap"]), json!({})),
            { "name": "a view given that is not the module's", "given": { "views": { "other": {} } }, "then": {} },
        ] }),
    )?;
    let before = fs::read(folder.path().join("cases/rules.json"))?;
    let (text, _, code) = said(&pelton(folder.path(), &["--update"])?);
    assert_eq!(code, Some(1));
    for part in ["\"other\" is not among the module's `views`", "key \"b\" is neither", "`emits`", "given: view"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("probe: 0 passed, 5 failed\n"), "{text}");
    assert!(fs::read(folder.path().join("cases/rules.json"))? == before, "nothing was written");
    Ok(())
}

#[test]
fn an_update_writes_what_the_plugin_answers_and_leaves_the_rest_as_it_was() -> Result<()> {
    let folder = app(&["probe"])?;
    let path = folder.path().join("cases/a.json");
    fs::create_dir_all(folder.path().join("cases"))?;
    let cases = r#"{ "when": {"key": "a"},   "cases": [
    { "name": "steps", "steps": [
      { "when": {"payload": [{"write": {"view": "probe-v", "key": "a", "value": "1"}}]}, "then": {} },
      { "when": {"payload": [{"config": "n"}]},     "then": {"reject": "x"} }
    ] },
    {"name": "right already",   "when": {"payload": [{"reject": "no"}]}, "then": {"reject":   "no"}}
  ] }
"#;
    fs::write(&path, cases)?;
    assert_eq!(said(&pelton(folder.path(), &[])?).2, Some(1));
    let (text, error, code) = said(&pelton(folder.path(), &["--update"])?);
    assert!(code == Some(0) && text.contains("2 passed, 0 failed, 2 expectations written"), "{text}{error}");
    let updated = fs::read_to_string(&path)?;
    assert!(updated.starts_with("{ \"when\": {\"key\": \"a\"},   \"cases\": [\n"), "{updated}");
    assert!(updated.contains("    {\"name\": \"right already\",   \"when\""), "{updated}");
    assert!(updated.contains("\"then\": {\n        \"writes\": [\n"), "{updated}");
    let (text, error, code) = said(&pelton(folder.path(), &["--update"])?);
    assert!(code == Some(0) && text.contains("2 passed, 0 failed\n"), "{text}{error}");
    assert_eq!(fs::read_to_string(&path)?, updated);
    Ok(())
}

#[test]
fn an_app_of_several_modules_has_a_folder_of_cases_for_each() -> Result<()> {
    let folder = app(&["one", "two"])?;
    let cases = |view: &str| {
        let writes = json!([{ "write": { "view": view, "key": "a", "value": "1" } }]);
        json!({ "cases": [case("writes", writes, json!({ "writes": [{ "view": view, "key": "a", "value": 1 }] }))] })
    };
    write(&folder, "cases/one/a.json", &cases("one-v"))?;
    let (text, _, code) = said(&pelton(folder.path(), &[])?);
    assert!(code == Some(0) && text.starts_with("one: 1 passed, 0 failed\nin "), "{text}");
    write(&folder, "cases/two/a.json", &cases("one-v"))?;
    let (text, _, code) = said(&pelton(folder.path(), &[])?);
    assert!(code == Some(1) && text.contains("two: 0 passed, 1 failed\n"), "{text}");
    assert_eq!(said(&pelton(folder.path(), &["--module", "one"])?).2, Some(0));
    // From elsewhere, by its folder.
    let path = folder.path().to_string_lossy().into_owned();
    assert_eq!(said(&pelton(Path::new("/"), &[&path, "--module", "one"])?).2, Some(0));
    write(&folder, "cases/b.json", &cases("v"))?;
    let (_, error, code) = said(&pelton(folder.path(), &[])?);
    assert!(code == Some(1) && error.contains("b.json belongs to no module"), "{error}");
    Ok(())
}

#[test]
fn what_cannot_be_tested_is_named() -> Result<()> {
    let folder = app(&["probe"])?;
    assert!(said(&pelton(folder.path(), &[])?).1.contains("no cases"));
    write(&folder, "cases/a.json", &json!({ "cases": [{ "name": "x", "when": {}, "than": {} }] }))?;
    let (_, error, code) = said(&pelton(folder.path(), &[])?);
    assert!(code == Some(1) && error.contains("a.json") && error.contains("than"), "{error}");
    assert_eq!(said(&pelton(folder.path(), &["--module", "nobody"])?).2, Some(1));
    assert_eq!(said(&pelton(folder.path(), &["--plugin", "x.wasm"])?).2, Some(2), "no --cases");
    let config = fs::read_to_string(folder.path().join("pelton.toml"))?;
    fs::write(folder.path().join("pelton.toml"), config.replace("probe.wasm", "none.wasm"))?;
    let (_, error, code) = said(&pelton(folder.path(), &[])?);
    assert!(code == Some(1) && error.contains("none.wasm") && error.contains("is it built?"), "{error}");
    let built = config.replace("probe.wasm\"", "none.wasm\"\nbuild = \"make it\"");
    fs::write(folder.path().join("pelton.toml"), built)?;
    let (_, error, _) = said(&pelton(folder.path(), &[])?);
    assert!(error.contains("build its plugin with `make it`"), "{error}");
    let (_, error, code) = said(&pelton(folder.path(), &["cases/a.json"])?);
    assert!(code == Some(1) && error.contains("holds cases"), "{error}");
    fs::write(folder.path().join("pelton.toml"), "app = 1")?;
    assert_eq!(said(&pelton(folder.path(), &[])?).2, Some(78));
    Ok(())
}

/// The same files that the SDK's native tests and the real host take.
#[test]
fn the_cases_of_the_demo_hold_for_its_plugin_alone() -> Result<()> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/flag/cases");
    let (plugin, cases) = (plugins()?.join("flag.wasm"), cases.canonicalize()?);
    let arguments = ["--plugin", &plugin.to_string_lossy(), "--cases", &cases.to_string_lossy()];
    let (text, error, code) = said(&pelton(Path::new("/"), &arguments)?);
    assert!(code == Some(0) && text.contains("flag: ") && text.contains(" 0 failed\n"), "{text}{error}");
    Ok(())
}
