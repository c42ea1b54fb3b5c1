//! Another plugin takes a module over while it runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use pelton_tests::{App, Host, SOON, eventually, logged, plugins, stored};
use serde_json::{Value, json};

use crate::probe;

const EMIT: &str = r#"[{"emit":{}}]"#;

/// A plugin in other bytes: it does the same.
pub fn other(app: &App, plugin: &str, number: u8) -> Result<PathBuf> {
    let file = app.folder().join(plugin.replace('.', &format!("-{number}.")));
    fs::write(&file, [fs::read(plugins()?.join(plugin))?, vec![0, 3, 1, b'v', number]].concat())?;
    Ok(file)
}

pub fn other_probe(app: &App, number: u8) -> Result<PathBuf> {
    other(app, "probe.wasm", number)
}

/// What `pelton module swap` answers, whether it succeeds or not, and its exit code.
pub async fn swap(app: &App, more: &[&str]) -> Result<(Value, Option<i32>)> {
    let mut command = app.verb(&["module", "swap", "probe", "-o", "json"])?;
    command.args(more);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((serde_json::from_slice(&output.stdout).context(said)?, output.status.code()))
}

pub async fn swap_to(app: &App, file: &Path) -> Result<(Value, Option<i32>)> {
    swap(app, &["--plugin", file.to_str().context("no text")?]).await
}

/// The digest of the plugin that the module runs.
fn runs(app: &App) -> Result<Value> {
    Ok(app.pelton_json(&["module", "show", "probe"])?["plugin"].take())
}

/// Publishes an input once the host has begun its `number`th swap.
pub async fn publish_at(app: &App, host: &Host, number: usize) -> Result<()> {
    eventually("the swap to begin", SOON, async || {
        let begun = host.log()?.iter().filter(|line| line.contains("goes over to another plugin")).count();
        Ok((begun == number).then_some(()))
    })
    .await?;
    app.publish("in.a", EMIT).await?;
    Ok(())
}

/// Publishes for all lanes for as long as `work` takes. Gives the last input.
async fn under_load(app: &App, work: impl Future<Output = Result<()>>) -> Result<u64> {
    let done = AtomicBool::new(false);
    let load = async {
        let mut last = 1;
        while !done.load(Ordering::Relaxed) {
            last = app.publish(&format!("in.k{}", last % 7), EMIT).await?;
        }
        Ok(last)
    };
    let work = async {
        let worked = work.await;
        done.store(true, Ordering::Relaxed);
        worked
    };
    Ok(tokio::try_join!(load, work)?.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_are_swapped_many_times_under_load_and_each_input_has_its_effects_once() -> Result<()> {
    let app = App::with_input(&probe::module("lanes = 4")).await?;
    let _host = app.host()?;
    app.covered("probe", 4, app.publish("in.k0", EMIT).await?).await?;
    let inputs = under_load(&app, async {
        for number in 0..5 {
            let (answer, code) = swap_to(&app, &other_probe(&app, number)?).await?;
            assert_eq!((&answer["outcome"], code), (&json!("stays"), Some(0)), "{answer}");
            assert_eq!(runs(&app)?, answer["plugin"]);
        }
        Ok(())
    })
    .await?;
    app.covered("probe", 4, inputs).await?;
    let mut causes = probe::causes(&app).await?;
    causes.sort_unstable();
    assert!(causes == (1..=inputs).collect::<Vec<_>>(), "{} events", causes.len());

    let audit = stored::audit(&app).await?;
    let last = audit.last().context("no entry")?;
    assert_eq!((audit.len(), &last["act"], &last["module"]), (5, &json!("swap"), &json!("probe")));
    assert_eq!((&last["plugin"], &last["outcome"]), (&runs(&app)?, &json!("stays")), "{last}");
    assert!(last["who"].as_str().is_some_and(|who| who.contains('@')) && last["sequence"].is_u64(), "{last}");
    Ok(())
}

/// The first rejects the input, the second writes what the module may not.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_fails_on_its_first_input_gives_its_place_back_and_the_old_one_does_that_input() -> Result<()> {
    let app = App::with_input(&probe::module("lanes = 2")).await?;
    let host = app.host()?;
    app.covered("probe", 2, app.publish("in.a", EMIT).await?).await?;
    let before = runs(&app)?;
    for (number, (plugin, kind)) in (1..).zip([("flag.wasm", "reject"), ("relay.wasm", "effects")]) {
        let file = plugins()?.join(plugin);
        let ((answer, code), ()) = tokio::try_join!(swap_to(&app, &file), publish_at(&app, &host, number))?;
        let outcome = (&answer["outcome"], &answer["cause"]["kind"], answer["sequence"].as_u64(), code);
        assert_eq!(outcome, (&json!("returns"), &json!(kind), Some(number as u64 + 1), Some(1)), "{answer}");
        app.covered("probe", 2, number as u64 + 1).await?;
        assert_eq!(runs(&app)?, before);
    }
    logged(&host, &["WARN", "the old plugin returns", "is not among the module's"]).await?;
    assert_eq!(probe::causes(&app).await?, [1, 2, 3]);
    assert!(stored::dead_letters(&app, "probe").await?.is_empty());
    let outcomes: Vec<_> = stored::audit(&app).await?.iter().map(|entry| entry["outcome"].clone()).collect();
    assert_eq!(outcomes, ["returns", "returns"]);
    Ok(())
}

/// Several lanes run it at once: what fails on it after it has lost its place is no failure of that input.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_fails_in_many_lanes_at_once_leaves_no_dead_letter() -> Result<()> {
    let app = App::with_input(&probe::module("lanes = 8")).await?;
    let _host = app.host()?;
    app.covered("probe", 8, app.publish("in.k0", EMIT).await?).await?;
    let file = plugins()?.join("flag.wasm");
    let inputs = under_load(&app, async {
        for _ in 0..10 {
            let (answer, _) = swap_to(&app, &file).await?;
            assert_eq!(answer["outcome"], json!("returns"), "{answer}");
        }
        Ok(())
    })
    .await?;
    app.covered("probe", 8, inputs).await?;
    assert_eq!(stored::dead_letters(&app, "probe").await?.keys().collect::<Vec<_>>(), Vec::<&u64>::new());
    assert_eq!(probe::causes(&app).await?.len() as u64, inputs);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_name_the_plugin_of_the_config_is_taken_and_one_that_is_not_tried_stays() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let _host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", EMIT).await?).await?;
    assert_eq!(swap(&app, &[]).await?.0["swap"], "same");

    app.configure(&probe::module("").replace("probe.wasm", "flag.wasm"))?;
    let (answer, code) = swap(&app, &["--untried"]).await?;
    assert_eq!((&answer["swap"], &answer["plugin"], code), (&json!("next"), &runs(&app)?, Some(0)));
    app.covered("probe", 1, app.publish("in.a", EMIT).await?).await?;
    let letters = stored::dead_letters(&app, "probe").await?;
    assert_eq!((letters.len(), &letters[&2]["plugin"]), (1, &answer["plugin"]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_of_another_role_and_a_module_that_nobody_runs_are_refused_by_name() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let _host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", EMIT).await?).await?;
    let (answer, code) = swap_to(&app, &plugins()?.join("fold.wasm")).await?;
    assert_eq!((&answer["swap"], code), (&json!("refused"), Some(1)));
    assert!(answer["reason"].as_str().is_some_and(|reason| reason.contains("Projector")), "{answer}");

    let output = app.pelton(&["module", "swap", "nobody"])?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("no host runs a module \"nobody\""), "{said}");
    assert!(said.contains("nothing was swapped") && !said.contains("ran before"), "{said}");
    Ok(())
}
