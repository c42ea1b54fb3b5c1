//! Where modules start, and how lanes without inputs get on.

use anyhow::Result;
use pelton_tests::{App, stored};
use time::format_description::well_known::Rfc3339;

use crate::probe;

#[tokio::test(flavor = "multi_thread")]
async fn lanes_without_inputs_advance() -> Result<()> {
    let app = App::with_input(&format!("stream = {{ advance = \"100ms\" }}\n{}", probe::module("lanes = 4"))).await?;
    let mut host = app.host()?;
    for _ in 0..20 {
        app.publish("in.a", r#"[{"emit":{}}]"#).await?;
    }
    app.covered("probe", 4, 20).await?;
    let positions = stored::checkpoints(&app, "probe", 4).await?.into_iter().map(|c| (c.position, c.hash.is_some()));
    let mut positions: Vec<_> = positions.collect();
    positions.sort_unstable();
    assert_eq!(positions, [(0, true), (0, true), (0, true), (20, true)]);
    assert!(host.terminate().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_module_starts_where_its_config_says_and_then_goes_on_from_its_checkpoint() -> Result<()> {
    let app = App::with_input("").await?;
    for _ in 0..5 {
        app.publish("in.a", r#"[{"emit":{}}]"#).await?;
    }
    let fourth = app.jetstream().get_stream("IN").await?.get_raw_message(4).await?.time.format(&Rfc3339)?;
    let starts = [
        ("first", "\"first\"", 1),
        ("default", "", 1),
        ("new", "\"new\"", 6),
        ("sequence", "3", 3),
        ("beyond", "1000", 6),
        ("time", &format!("\"{fourth}\""), 4),
        ("later", "\"2200-01-01T00:00:00Z\"", 6),
    ];
    let modules = starts.map(|(name, from, _)| {
        let from = if from.is_empty() { String::new() } else { format!("from = {from}\n") };
        format!("[modules.{name}]\nplugin = \"probe.wasm\"\ninput = {{ stream = \"IN\" }}\nemits = [\"out\"]\n{from}")
    });
    app.configure(&modules.concat())?;
    let mut last = 0;
    for _ in 0..2 {
        let mut host = app.host()?;
        pelton_tests::logged(&host, &["running"]).await?;
        last = app.publish("in.a", r#"[{"emit":{}}]"#).await?;
        for (name, ..) in &starts {
            app.covered(name, 1, last).await?;
        }
        host.terminate().await?;
    }
    let events = stored::events(&app, "out").await?;
    for (name, _, start) in starts {
        let source = format!("pelton/demo/{name}");
        let of_module = events.iter().filter(|event| event.header("ce-source") == source);
        let inputs: Vec<_> = of_module.map(|event| event.header("Pelton-Input").to_owned()).collect();
        let expected: Vec<_> = (start..=last).map(|at| format!("IN:{at}")).collect();
        assert_eq!(inputs, expected, "{name}");
    }
    Ok(())
}
