//! The host itself fails somewhere: the module is halted or the process ends, and what was not committed is redone.

use anyhow::{Context, Result};
use pelton_tests::{App, SOON, eventually, logged};

use crate::probe;

const FOLD: &str = "[modules.fold]\nplugin = \"fold.wasm\"\ninput = { stream = \"IN\" }\nviews = [\"fold\"]\n";
const INPUTS: u64 = 10;

async fn app() -> Result<App> {
    let app = App::with_input(&(probe::module("lanes = 2") + FOLD)).await?;
    publish(&app).await?;
    Ok(app)
}

async fn publish(app: &App) -> Result<()> {
    for input in 0..INPUTS {
        app.publish(&format!("in.k{}", input % 3), r#"[{"emit":{}}]"#).await?;
    }
    Ok(())
}

/// Both modules have done all inputs, each of them once.
async fn all_done_once(app: &App, inputs: u64) -> Result<()> {
    tokio::try_join!(app.covered("probe", 2, inputs), app.covered("fold", 1, inputs))?;
    each_once(app, inputs).await
}

async fn each_once(app: &App, inputs: u64) -> Result<()> {
    let mut causes = probe::causes(app).await?;
    causes.sort_unstable();
    assert_eq!(causes, (1..=inputs).collect::<Vec<_>>());
    Ok(())
}

async fn resume(app: &App, module: &str) -> Result<()> {
    eventually("the halt to be noted", SOON, async || {
        let shown = app.pelton_json(&["module", "show", module])?;
        Ok(shown["state"]["halted"].is_string().then_some(()))
    })
    .await?;
    app.pelton_json(&["module", "resume", module])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_lane_halts_its_module_and_nothing_else() -> Result<()> {
    let app = app().await?;
    let host = app.failing_host("lane/probe=3")?;
    logged(&host, &["ERROR", "module halts", "probe", "the host failed"]).await?;
    app.covered("fold", 1, INPUTS).await?;
    resume(&app, "probe").await?;
    all_done_once(&app, INPUTS).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_reader_halts_the_modules_of_its_stream_by_name() -> Result<()> {
    // With one module: when another one is fed just then, the reader begins anew and nobody notices.
    let app = App::with_input(&probe::module("lanes = 2")).await?;
    publish(&app).await?;
    let mut host = app.failing_host("reader/IN=5")?;
    let ended = host.wait(SOON).await.with_context(|| app.log_end())?;
    assert_eq!(ended.code(), Some(1));
    logged(&host, &["ERROR", "module halts", "probe", "a reader of stream IN failed"]).await?;
    let _second = app.host_called("second")?;
    app.covered("probe", 2, INPUTS).await?;
    each_once(&app, INPUTS).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_while_a_lane_catches_up_halts_the_modules_of_its_stream() -> Result<()> {
    // One module is far ahead, so that the other one begins on a reader of its own.
    let app = App::with_input(FOLD).await?;
    publish(&app).await?;
    let last = publish_nothing(&app, 10_500).await?;
    let mut alone = app.host_called("alone")?;
    app.covered("fold", 1, last).await?;
    alone.terminate().await?;
    app.configure(&(probe::module("lanes = 2") + FOLD))?;
    ends(&app, "catch-up/probe=3", "a reader of stream IN failed").await?;
    let _second = app.host_called("second")?;
    tokio::try_join!(app.covered("probe", 2, last), app.covered("fold", 1, last))?;
    each_once(&app, INPUTS).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_committer_ends_the_host_and_the_next_one_redoes_what_was_not_committed() -> Result<()> {
    let app = app().await?;
    ends(&app, "committer/batch=2", "the committer failed").await?;
    let _second = app.host_called("second")?;
    all_done_once(&app, INPUTS).await
}

/// A host that panics at `place` ends with nothing left to run, and says `why`.
async fn ends(app: &App, place: &str, why: &str) -> Result<()> {
    let mut host = app.failing_host(place)?;
    let ended = host.wait(SOON).await.with_context(|| app.log_end())?;
    assert_eq!(ended.code(), Some(1));
    logged(&host, &["ERROR", why]).await.map(drop)
}

/// Publishes inputs that cause nothing; gives the position of the last.
async fn publish_nothing(app: &App, count: u64) -> Result<u64> {
    let (context, mut acks, mut last) = (app.jetstream(), Vec::new(), 0);
    for number in 0..count {
        acks.push(context.publish("in.none", "[]".into()).await?);
        if acks.len() == 500 || number + 1 == count {
            for ack in acks.drain(..) {
                last = ack.await?.sequence;
            }
        }
    }
    Ok(last)
}
