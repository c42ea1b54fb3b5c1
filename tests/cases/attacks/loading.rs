//! Files that are no plugins, or more than a plugin may be: none of them loads, and `validate`, `run` and `inspect` say
//! which file it is and why.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use pelton_tests::{App, binary, plugins};
use serde_json::Value;

use super::forge::{Guest, Wit};
use crate::probe;

/// The module `probe` with the plugin in `file`, a path from the folder of the config.
fn with(file: &str, more: &str) -> String {
    probe::module(more).replace("\"probe.wasm\"", &format!("'{file}'"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs `pelton inspect` on `file`, with compiled plugins kept in `cache`.
fn inspect(file: &Path, cache: &Path) -> Result<Output> {
    let mut command = Command::new(binary("pelton")?);
    Ok(command.arg("inspect").arg(file).args(["-o", "json"]).env("PELTON_CACHE_DIR", cache).output()?)
}

/// Checks that no verb takes the plugin in `name`, nor does the host of the app `running`, and that each says why in all
/// these words.
fn is_refused(app: &App, running: Option<&App>, name: &str, parts: &[&str]) -> Result<()> {
    app.configure(&with(name, ""))?;
    let file = app.folder().join(name);
    for verb in ["validate", "run", "inspect", "module swap"] {
        let output = match (verb, running) {
            ("inspect", _) => inspect(&file, &app.folder().join("cache"))?,
            ("module swap", None) => continue,
            ("module swap", Some(running)) => {
                let file = file.to_str().context("no text")?;
                running.pelton(&["module", "swap", "probe", "--plugin", file])?
            }
            (verb, _) => app.pelton(&[verb])?,
        };
        let said = said(&output);
        ensure!(verb == "inspect" || output.status.code() == Some(1), "{verb} {name}: {:?} {said}", output.status);
        ensure!(!said.contains("panicked"), "{verb} {name}: {said}");
        let file = name.rsplit('/').next().unwrap_or(name);
        for part in parts.iter().chain([&file]) {
            ensure!(said.contains(part), "{verb} {name}: no {part:?} in {said}");
        }
    }
    Ok(())
}

/// A guest that imports the function `call` of an interface that no host has.
fn importing(package: &'static [&'static str], interface: &str, import: &'static str) -> Result<Vec<u8>> {
    let wit = Wit { packages: package, imports: import };
    Guest { wit, ..Guest::with(&format!("(import \"{interface}\" \"call\" (func))")) }.plugin()
}

const HTTP: &[&str] = &["package wasi:http@0.2.0; interface client { call: func(); }"];
const SECRETS: &[&str] = &["package pelton:secrets@0.1.0; interface all { call: func(); }"];

/// A component that exports an empty instance under each of these names.
fn exporting(names: &[&str]) -> Result<Vec<u8>> {
    let exports: String = names.iter().map(|name| format!("(export \"{name}\" (instance $none))")).collect();
    Ok(wat::parse_str(format!("(component (instance $none) {exports})"))?)
}

const EMIT: &str = r#"[{"emit":{}}]"#;

/// A module whose only function holds `depth` blocks, one in the other.
fn nested(depth: usize) -> Vec<u8> {
    // A text of that depth would be too much for whoever reads it: bytes of code are put in by hand.
    module_of(&[&[0][..], &[0x02, 0x40].repeat(depth), &[0x0B].repeat(depth), &[0x0B]].concat())
}

/// The module whose only function has this body.
fn module_of(body: &[u8]) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0".to_vec();
    let mut code = vec![1];
    code.extend(leb128(body.len()));
    code.extend(body);
    module.push(10);
    module.extend(leb128(code.len()));
    module.extend(code);
    module
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 128 {
        bytes.push((number % 128) as u8 | 128);
        number /= 128;
    }
    bytes.push(number as u8);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plugin_or_too_much_does_not_load_and_a_running_one_keeps_serving() -> Result<()> {
    let app = App::with_input("").await?;
    let running = App::with_input(&probe::module("lanes = 2")).await?;
    let _host = running.host()?;
    running.covered("probe", 2, running.publish("in.a", EMIT).await?).await?;
    let before = running.pelton_json(&["module", "show", "probe"])?["plugin"].to_string();
    let probe = fs::read(plugins()?.join("probe.wasm"))?;
    let two_versions = ["pelton:plugin/handler@0.1.0", "pelton:plugin/handler@0.2.0"];
    let files: [(&str, Vec<u8>, &[&str]); 18] = [
        ("zeros.wasm", vec![0; 50 << 20], &["not a WebAssembly"]),
        ("zeros-behind-a-head.wasm", [&b"\0asm\x01\0\0\0"[..], &vec![0; 50 << 20]].concat(), &["error"]),
        ("half.wasm", probe[..probe.len() / 2].to_vec(), &["unexpected end"]),
        ("other-version.wasm", [&b"\0asm\x02\0\0\0"[..], &probe[8..]].concat(), &["not a WebAssembly"]),
        ("two-versions.wasm", exporting(&two_versions)?, &["one role", two_versions[0], two_versions[1]]),
        ("later.wasm", exporting(&["pelton:plugin/handler@0.2.0"])?, &["handler@0.2.0", "does not run"]),
        ("unknown-role.wasm", exporting(&["pelton:plugin/oracle@0.1.0"])?, &["oracle@0.1.0", "does not run"]),
        ("other-package.wasm", exporting(&["evil:plugin/handler@0.1.0"])?, &["no role"]),
        (
            "http.wasm",
            importing(HTTP, "wasi:http/client@0.2.0", "import wasi:http/client@0.2.0;")?,
            &["wasi:http/client@0.2.0", "not granted"],
        ),
        (
            "secrets.wasm",
            importing(SECRETS, "pelton:secrets/all@0.1.0", "import pelton:secrets/all@0.1.0;")?,
            &["pelton:secrets/all@0.1.0", "not granted"],
        ),
        (
            "functions.wasm",
            wat::parse_str(format!("(module {})", "(func)".repeat(300_000)))?,
            &["functions, and may have"],
        ),
        (
            "globals.wasm",
            Guest::with(&"(global i32 (i32.const 0))".repeat(150_000)).plugin()?,
            &["globals, and may have"],
        ),
        ("components.wasm", wat::parse_str("(component ".repeat(50) + &")".repeat(50))?, &["levels of nesting"]),
        (
            "instances.wasm",
            wat::parse_str(format!(
                "(component (core module $m) {})",
                "(core instance (instantiate $m))".repeat(2_000)
            ))?,
            &["core instances, and may have"],
        ),
        ("memory.wasm", wat::parse_str("(module (memory i64 200000))")?, &["bytes of memory at the start"]),
        ("large-function.wasm", nested(3 << 20), &["bytes of one function"]),
        ("blocks.wasm", nested(1_000_000), &["no role"]),
        ("pooled.wasm", Guest { memory: "30000", ..Guest::default() }.plugin()?, &["memory"]),
    ];
    for (name, bytes, parts) in &files {
        fs::write(app.folder().join(name), bytes)?;
        is_refused(&app, Some(&running), name, parts)?;
    }
    File::create(app.folder().join("huge.wasm"))?.set_len((64 << 20) + 1)?;
    is_refused(&app, Some(&running), "huge.wasm", &["larger than 64 MiB"])?;
    fs::create_dir(app.folder().join("folder.wasm"))?;
    is_refused(&app, Some(&running), "folder.wasm", &["no regular file"])?;
    // Whoever opened it would wait for somebody to write to it.
    ensure!(Command::new("mkfifo").arg(app.folder().join("pipe.wasm")).status()?.success());
    is_refused(&app, Some(&running), "pipe.wasm", &["no regular file"])?;
    is_refused(&app, Some(&running), "../../../../../../dev/zero", &["no regular file"])?;

    running.covered("probe", 2, running.publish("in.b", EMIT).await?).await?;
    assert_eq!(probe::causes(&running).await?, [1, 2]);
    assert_eq!(running.pelton_json(&["module", "show", "probe"])?["plugin"].to_string(), before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn machine_code_is_no_plugin_even_if_this_very_host_made_it() -> Result<()> {
    let app = App::with_input("").await?;
    let large = Guest { memory: "32", data: vec![(128 << 10, vec![7; 300 << 10])], ..Guest::default() };
    let (plugin, cache) = (app.folder().join("large.wasm"), app.folder().join("cache"));
    fs::write(&plugin, large.plugin()?)?;
    let output = inspect(&plugin, &cache)?;
    ensure!(output.status.success(), "{}", said(&output));
    let kept = fs::read_dir(&cache)?.next().context("nothing was kept")??.path();
    let bytes = fs::read(&kept)?;
    // It begins with a digest; behind it is what wasmtime would run without looking.
    ensure!(bytes[32..].starts_with(b"\x7FELF"), "that is no machine code");
    for (name, bytes) in [("kept.cwasm", &bytes[..]), ("bare.cwasm", &bytes[32..])] {
        fs::write(app.folder().join(name), bytes)?;
        is_refused(&app, None, name, &["not a WebAssembly"])?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_plugin_loads_and_any_other_in_its_place_does_not() -> Result<()> {
    let app = App::with_input("").await?;
    let (plugin, cache) = (app.folder().join("pinned.wasm"), app.folder().join("cache"));
    fs::copy(plugins()?.join("probe.wasm"), &plugin)?;
    let inspected: Value = serde_json::from_slice(&inspect(&plugin, &cache)?.stdout)?;
    let digest = inspected["digest"].as_str().context("no digest")?;
    app.configure(&with("pinned.wasm", &format!("digest = \"{digest}\"")))?;
    let output = app.pelton(&["validate"])?;
    ensure!(output.status.success(), "{}", said(&output));

    // Every byte counts: a custom section behind it all changes nothing of what it does.
    fs::write(&plugin, [fs::read(&plugin)?, b"\0\x03\x01ab".to_vec()].concat())?;
    let changed: Value = serde_json::from_slice(&inspect(&plugin, &cache)?.stdout)?;
    for verb in ["validate", "run"] {
        let output = app.pelton(&[verb])?;
        let said = said(&output);
        ensure!(output.status.code() == Some(1), "{verb}: {said}");
        for part in ["pinned.wasm", digest, changed["digest"].as_str().context("no digest")?] {
            ensure!(said.contains(part), "{verb}: no {part:?} in {said}");
        }
    }
    for bad in ["sha256:0", "md5:00", ""] {
        app.configure(&with("pinned.wasm", &format!("digest = \"{bad}\"")))?;
        let said = said(&app.pelton(&["validate"])?);
        ensure!(said.contains("a digest is"), "{bad}: {said}");
    }
    Ok(())
}

/// A module whose only function holds `depth` loops, one in the other, and changes each of its `locals` in the innermost:
/// each loop then takes each of them as a parameter.
fn loops(locals: usize, depth: usize) -> Vec<u8> {
    let change = |local| [&[0x20][..], &leb128(local), &[0x41, 1, 0x6A, 0x21], &leb128(local)].concat();
    let changes: Vec<u8> = (0..locals).flat_map(change).collect();
    let ends = [0x20, 0, 0x0D, 0, 0x0B].repeat(depth);
    let declared = [&[1][..], &leb128(locals), &[0x7F]].concat();
    module_of(&[declared, [0x03, 0x40].repeat(depth), changes, ends, vec![0x0B]].concat())
}

/// Such a file of 46 KB keeps the compiler busy for more than a minute, and takes 1.7 GB.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_that_is_hard_to_compile_is_refused_before_it_takes_the_machine() -> Result<()> {
    let app = App::with_input("").await?;
    let file = app.folder().join("loops.wasm");
    fs::write(&file, loops(5_000, 200))?;
    let said = said(&inspect(&file, &app.folder().join("cache"))?);
    ensure!(said.contains("too much to load"), "{said}");
    Ok(())
}
