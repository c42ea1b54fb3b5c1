//! Modules in the hands of an operator, and those that stop themselves.

use anyhow::Result;
use pelton_tests::{App, SOON, eventually, logged, stored};

use crate::probe;

const FOLD: &str = "[modules.fold]\nplugin = \"fold.wasm\"\ninput = { stream = \"IN\" }\nviews = [\"fold\"]\n";
const EMIT: &str = r#"[{"emit":{}}]"#;

/// The state of a module as `pelton module ls` shows it.
fn state(app: &App, module: &str) -> Result<String> {
    let listed = app.pelton_json(&["module", "ls"])?;
    let found = listed.as_array().into_iter().flatten().find(|one| one["module"] == module);
    Ok(found.map(|one| one["state"].to_string()).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_module_waits_also_over_a_restart_and_goes_on_where_it_was() -> Result<()> {
    let app = App::with_input(&(probe::module("lanes = 2") + FOLD)).await?;
    let mut host = app.host()?;
    app.covered("probe", 2, app.publish("in.a", EMIT).await?).await?;
    assert_eq!(app.pelton_json(&["module", "pause", "probe"])?["changed"], true);
    assert_eq!(app.pelton_json(&["module", "pause", "probe"])?["changed"], false);
    logged(&host, &["module is paused", "probe"]).await?;
    app.covered("fold", 1, app.publish("in.b", EMIT).await?).await?;
    assert_eq!((probe::causes(&app).await?, state(&app, "probe")?.as_str()), (vec![1], "\"paused\""));

    assert!(host.terminate().await?.success());
    let host = app.host_called("second")?;
    logged(&host, &["module is paused", "probe"]).await?;
    app.covered("fold", 1, app.publish("in.a", EMIT).await?).await?;
    assert_eq!(probe::causes(&app).await?, [1]);

    app.pelton_json(&["module", "resume", "probe"])?;
    app.covered("probe", 2, 3).await?;
    let mut causes = probe::causes(&app).await?;
    causes.sort_unstable();
    assert_eq!((causes, state(&app, "probe")?.as_str()), (vec![1, 2, 3], "\"running\""));
    let acts: Vec<_> = stored::audit(&app).await?.iter().map(|entry| entry["act"].to_string()).collect();
    assert_eq!(acts, ["\"pause\"", "\"resume\""]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_paused_and_resumed_many_times_under_load_without_loss_or_double() -> Result<()> {
    const INPUTS: u64 = 3_000;
    let app = App::with_input(&(probe::module("lanes = 4") + FOLD)).await?;
    let _host = app.host()?;
    let load = async {
        for input in 0..INPUTS {
            app.client.publish(format!("in.k{}", input % 7), EMIT.into()).await?;
        }
        app.client.flush().await?;
        anyhow::Ok(())
    };
    let toggle = async {
        for round in 0..6 {
            let verb = if round % 2 == 0 { "pause" } else { "resume" };
            eventually("the record to be written", SOON, async || {
                Ok(app.pelton(&["module", verb, "probe"])?.status.success().then_some(()))
            })
            .await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(load, toggle)?;
    tokio::try_join!(app.covered("probe", 4, INPUTS), app.covered("fold", 1, INPUTS))?;
    let mut causes = probe::causes(&app).await?;
    causes.sort_unstable();
    assert!(causes == (1..=INPUTS).collect::<Vec<_>>(), "{} events", causes.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_is_to_halt_on_failure_stops_before_the_input_and_the_others_go_on() -> Result<()> {
    let app = App::with_input(&(probe::module("on_failure = \"halt\"") + FOLD)).await?;
    let mut host = app.host()?;
    for orders in [EMIT, r#"[{"reject":"never"}]"#, EMIT] {
        app.publish("in.a", orders).await?;
    }
    let halts = logged(&host, &["module halts", "probe", "input 2", "never"]).await?;
    assert!(halts.contains("ERROR"), "{halts}");
    tokio::try_join!(app.covered("fold", 1, 3), app.covered("probe", 1, 1))?;
    assert_eq!(probe::causes(&app).await?, [1]);
    assert!(stored::dead_letters(&app, "probe").await?.is_empty());
    assert!(state(&app, "probe")?.contains("input 2: never"), "{}", state(&app, "probe")?);

    // An operator's word has it try again, and it halts again.
    app.pelton_json(&["module", "resume", "probe"])?;
    logged(&host, &["module is started again", "probe"]).await?;
    eventually("it to halt again", SOON, async || {
        Ok((host.log()?.iter().filter(|line| line.contains("module halts")).count() == 2).then_some(()))
    })
    .await?;
    assert!(host.terminate().await?.success());

    app.configure(&(probe::module("") + FOLD))?;
    let _host = app.host_called("second")?;
    app.covered("probe", 1, 3).await?;
    assert_eq!((probe::causes(&app).await?, stored::dead_letters(&app, "probe").await?.len()), (vec![1, 3], 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_breaker_opens_after_failures_in_a_row_and_a_probe_closes_it() -> Result<()> {
    let app = App::with_input(&(probe::module("breaker = { failures = 3, pause = \"100ms\" }") + FOLD)).await?;
    let host = app.host()?;
    for orders in
        [EMIT, r#"["trap"]"#, r#"[{"reject":"no"}]"#, r#"[{"reject":"no"}]"#, r#"[{"reject":"no"}]"#, EMIT, EMIT]
    {
        app.publish("in.a", orders).await?;
    }
    logged(&host, &["the breaker opens", "probe"]).await?;
    app.covered("fold", 1, 7).await?;
    app.covered("probe", 1, 7).await?;
    logged(&host, &["the breaker closes", "probe"]).await?;
    assert_eq!((probe::causes(&app).await?, stored::dead_letters(&app, "probe").await?.len()), (vec![1, 6, 7], 4));
    let opened = host.log()?.iter().filter(|line| line.contains("the breaker opens")).count();
    assert_eq!(opened, 2, "at the third failure in a row, and when the probe after it failed");
    Ok(())
}
