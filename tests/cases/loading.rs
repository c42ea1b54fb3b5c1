//! Which files load as plugins, and what is said of those that do not.

use anyhow::Result;
use pelton_tests::{App, SOON, logged, plugins, stored, wasi_probe};

use crate::probe;

/// The module `probe` with the plugin in `file`, a path from the folder of the config.
fn with(file: &str) -> String {
    probe::module("").replace("\"probe.wasm\"", &format!("'{file}'"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_plugin_is_refused_with_the_reason() -> Result<()> {
    let app = App::with_input("").await?;
    let importing = r#"(component
        (import "evil:net/socket@1.0.0" (instance $socket (export "open" (func))))
        (instance $none)
        (export "pelton:plugin/handler@0.1.0" (instance $none)))"#;
    let empty_role = r#"(component (instance $none) (export "pelton:plugin/handler@0.1.0" (instance $none)))"#;
    let later = r#"(component (instance $none) (export "pelton:plugin/handler@9.0.0" (instance $none)))"#;
    let saga = r#"(component (instance $none) (export "pelton:plugin/saga@0.1.0" (instance $none)))"#;
    for (name, bytes, parts) in [
        ("importing.wasm", wat::parse_str(importing)?, &["evil:net/socket@1.0.0", "not granted"][..]),
        ("core.wasm", wat::parse_str(r#"(module (import "env" "open" (func)))"#)?, &["env", "wrapped"]),
        ("bare.wasm", wat::parse_str("(module)")?, &["no role"]),
        ("no-role.wasm", wat::parse_str("(component)")?, &["no role", "pelton:plugin/handler@0.1.0"]),
        ("empty-role.wasm", wat::parse_str(empty_role)?, &["does not link"]),
        ("later.wasm", wat::parse_str(later)?, &["pelton:plugin/handler@9.0.0", "does not run"]),
        ("saga.wasm", wat::parse_str(saga)?, &["pelton:plugin/saga@0.1.0", "does not run"]),
        ("text.wasm", b"hello".to_vec(), &["not a WebAssembly"]),
        ("nothing.wasm", Vec::new(), &["not a WebAssembly"]),
        ("cut.wasm", std::fs::read(plugins()?.join("probe.wasm"))?[..5_000].to_vec(), &["cut.wasm"]),
        ("two.wasm", std::fs::read(plugins()?.join("two_roles.wasm"))?, &["one role", "handler", "projector"]),
    ] {
        std::fs::write(app.folder().join(name), bytes)?;
        app.configure(&with(name))?;
        for verb in ["validate", "run"] {
            let output = app.pelton(&[verb])?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{name}: {said}");
            assert!(said.contains(name) && parts.iter().all(|part| said.contains(part)), "{name}: {said}");
        }
    }
    app.configure(&with("missing.wasm"))?;
    let mut host = app.host()?;
    assert_eq!(host.wait(SOON).await?.code(), Some(1));
    assert!(host.log()?.join("\n").contains("missing.wasm"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_made_component_runs_as_its_core_module_does() -> Result<()> {
    let app = App::with_input("").await?;
    let core = std::fs::read(plugins()?.join("probe.wasm"))?;
    let component = wit_component::ComponentEncoder::default().validate(true).module(&core)?.encode()?;
    std::fs::write(app.folder().join("component.wasm"), component)?;
    app.configure(&with("component.wasm"))?;
    let _host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"emit":{}},{"count":"n"}]"#).await?).await?;
    assert_eq!(stored::events(&app, "out").await?.len(), 1);
    assert_eq!(app.view("v", "n").await?.as_deref(), Some(&b"1"[..]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_with_wasi_has_the_events_time_and_prints_to_the_log() -> Result<()> {
    let app = App::with_input(&with(&wasi_probe()?.display().to_string())).await?;
    let host = app.host()?;
    let time = ("ce-time", "2001-09-09T01:46:40Z");
    let headers = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "t"), ("ce-type", "t"), time];
    let last = app.publish_with("in.a", &headers, r#"[{"print":"hello\nyou"},"random",{"count":"n"}]"#).await?;
    app.covered("probe", 1, last).await?;
    assert_eq!(app.view("v", "n").await?.as_deref(), Some(&b"1"[..]));
    logged(&host, &["plugin says", "sequence=1", "out: hello"]).await?;
    logged(&host, &["plugin says", "sequence=1", "err: hello"]).await?;
    logged(&host, &["plugin says", "sequence=1", "you, 1000000000 s"]).await?;
    Ok(())
}
