//! `pelton lag`, as a monitor calls it.

use std::collections::BTreeSet;

use anyhow::Result;
use futures::TryStreamExt;
use pelton_tests::App;
use serde_json::Value;

use crate::probe;

const FOLD: &str = "[modules.fold]\nplugin = \"fold.wasm\"\ninput = { stream = \"IN\" }\nviews = [\"fold\"]\n";

/// The consumers of the input stream.
async fn consumers(app: &App) -> Result<BTreeSet<String>> {
    Ok(app.jetstream().get_stream("IN").await?.consumer_names().try_collect().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_is_told_by_lines_and_by_the_exit_code() -> Result<()> {
    let mut app = App::with_input(&probe::module("on_failure = \"halt\"")).await?;
    let lag = |arguments: &[&str]| {
        let output = app.pelton(&[&["lag"], arguments].concat())?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        anyhow::Ok((output.status.code().unwrap_or(-1), said))
    };
    let (code, said) = lag(&[])?;
    assert!(code == 3 && said.contains("no stream yet"), "{code} {said}");

    let mut host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", "[]").await?).await?;
    assert_eq!(
        lag(&["--warn", "0", "--crit", "1"])?,
        (0, "OK probe: 0 inputs behind | probe=0 probe_age=0.0s\n".to_owned())
    );
    host.terminate().await?;
    app.publish("in.a", r#"[{"reject":"no"}]"#).await?;
    app.publish("in.a", "[]").await?;
    for (arguments, expected) in [
        (&[][..], 0),
        (&["--warn", "2"], 0),
        (&["--warn", "1"], 1),
        (&["--warn", "1h,1"], 1),
        (&["--warn", "1", "--crit", "1h"], 1),
        (&["--crit", "1ms"], 2),
        (&["--crit", "soon"], 2),
    ] {
        let (code, said) = lag(arguments)?;
        assert_eq!(code, expected, "{arguments:?}: {said}");
    }
    let before = consumers(&app).await?;
    let output = app.pelton(&["lag", "--warn", "1", "-o", "json"])?;
    assert_eq!(consumers(&app).await?.difference(&before).count(), 0, "who only looks leaves no consumer behind");
    let json: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!((&json[0]["level"], &json[0]["messages"]), (&"warning".into(), &2.into()));
    assert!(json[0]["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0 && seconds < 600.0), "{json}");

    let host = app.host_called("second")?;
    pelton_tests::logged(&host, &["module halts", "probe"]).await?;
    app.configure(&(probe::module("on_failure = \"halt\"") + FOLD))?;
    let (code, said) = lag(&[])?;
    assert!(code == 2 && said.contains("CRITICAL probe: 2 inputs behind"), "{code} {said}");
    assert!(said.contains("halted: ") && said.contains("CRITICAL fold") && said.contains("it never ran"), "{said}");
    app.server.stop().await?;
    let output = app.pelton(&["lag"])?;
    assert_eq!(output.status.code(), Some(69));
    Ok(())
}
