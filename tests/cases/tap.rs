//! `pelton tap`, live and from the past.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use anyhow::{Context, Result};
use pelton_tests::{App, LONG, eventually};
use serde_json::{Value, json};

use crate::probe;

const FOLD: &str = "[modules.fold]\nplugin = \"fold.wasm\"\ninput = { events = \"out\" }\nviews = [\"fold\"]\n";

/// What a tap from the past shows, as JSON.
fn tapped(app: &App, arguments: &[&str]) -> Result<Vec<Value>> {
    let output = app.pelton(&[&["tap", "-o", "json"], arguments].concat())?;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)?.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// What an item is and where it stands, in short.
fn short(item: &Value) -> String {
    let text = |name: &str| item[name].as_str().unwrap_or("-").to_owned();
    format!("{} {} {} {}", text("module"), text("what"), text("key"), text("causation"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_shown_in_order_with_what_caused_what() -> Result<()> {
    let app = App::with_input(&(probe::module("") + FOLD)).await?;
    let _host = app.host()?;
    let orders = json!([{"write": {"key": "a", "value": "1"}}, {"emit": {}}]).to_string();
    for (subject, orders) in [("in.a", orders.as_str()), ("in.b", r#"[{"reject":"no"}]"#), ("in.c", "[]")] {
        let done = app.publish(subject, orders.to_owned()).await?;
        app.covered("probe", 1, done).await?;
    }
    app.covered("fold", 1, 1).await?;

    let first = tapped(&app, &["probe", "--since", "1", "--limit", "6"])?;
    let shown: Vec<_> = first.iter().map(short).collect();
    assert_eq!(shown[0], "probe input a -", "{shown:?}");
    let mut effects = shown[1..3].to_vec();
    effects.sort();
    assert_eq!(effects, ["probe event a IN:1", "probe view a -"]);
    assert_eq!(shown[3..], ["probe input b -", "probe dead-letter b IN:2", "probe input c -"]);
    assert_eq!(first[4]["problem"], "reject: no");
    assert_eq!(first[4]["data"], json!([{"reject": "no"}]));

    let of_key = tapped(&app, &["--since", "IN:1", "--key", "b", "--limit", "2"])?;
    assert_eq!(of_key.iter().map(short).collect::<Vec<_>>(), ["probe input b -", "probe dead-letter b IN:2"]);
    let events = tapped(&app, &["--since", "10m", "--type", "probe.emitted", "--limit", "2"])?;
    assert_eq!(
        events.iter().map(|item| item["module"].to_string() + &item["what"].to_string()).collect::<Vec<_>>(),
        ["\"probe\"\"event\"", "\"fold\"\"input\""],
        "what one module emits is another's input"
    );
    let commit = tapped(&app, &["probe", "--kind", "commit", "--since", "2020-01-01T00:00:00Z", "--limit", "1"])?;
    assert!(commit[0]["data"]["epoch"].is_u64(), "{commit:?}");
    let cut = tapped(&app, &["--since", "1", "--kind", "input", "probe", "--data", "5", "--limit", "1"])?;
    assert_eq!((&cut[0]["data_cut"], &cut[0]["size"]), (&orders[..5].into(), &orders.len().into()));
    app.jetstream().get_stream("IN").await?.delete_message(1).await?;
    let left = tapped(&app, &["probe", "--since", "first", "--kind", "input", "--limit", "2"])?;
    assert_eq!((&left[0]["sequence"], &left[1]["sequence"]), (&2.into(), &3.into()), "all that there still is");
    Ok(())
}

/// A tap that is open, so that what is stored from now on is seen.
struct Open(Child);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_shown_while_it_does() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let _host = app.host()?;
    app.covered("probe", 1, app.publish("in.old", "[]").await?).await?;
    let mut open = Open(app.verb(&["tap", "-o", "json"])?.stdout(Stdio::piped()).spawn()?);
    let mut lines = BufReader::new(open.0.stdout.take().context("no output")?).lines();
    // A tap says nothing when it has begun: inputs are published until it shows one.
    let read = tokio::task::spawn_blocking(move || -> Result<Vec<Value>> {
        let mut seen: Vec<Value> = Vec::new();
        let caused = |seen: &[Value], item: &Value| {
            seen.iter().any(|one| one["what"] == "input" && item["causation"] == format!("IN:{}", one["sequence"]))
        };
        while !seen.iter().any(|item| item["what"] == "event" && caused(&seen, item)) {
            seen.push(serde_json::from_str(&lines.next().context("the tap ended")??)?);
        }
        Ok(seen)
    });
    let publish = eventually("the tap to show an input and its event", LONG, async || {
        app.publish("in.a", r#"[{"emit":{}}]"#).await?;
        Ok(read.is_finished().then_some(()))
    });
    publish.await?;
    let seen = read.await??;
    assert!(seen.iter().all(|item| item["key"] == "a"), "nothing of before: {seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tap_on_what_is_not_there_says_so() -> Result<()> {
    let app = App::with_input(&(probe::module("") + FOLD)).await?;
    let mut host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"write":{"key":"a","value":"\u001b[31mred"}}]"#).await?).await?;
    app.covered("fold", 1, 0).await?;
    host.terminate().await?;
    for (arguments, code, named) in [
        (&["nobody"][..], 1, "nobody"),
        (&["--since", "yesterday"], 2, "yesterday"),
        (&["--since", "5"], 1, "stream IN holds no message 5"),
        (&["--since", "IN:5"], 1, "no message 5"),
        (&["--since", "ELSEWHERE:1"], 1, "ELSEWHERE"),
        (&["--since", "5000000d"], 2, "1970"),
        (&["--kind", "nothing"], 2, "dead-letter"),
    ] {
        let output = app.pelton(&[&["tap"], arguments].concat())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(named), "{arguments:?}: {said}");
    }
    let output = app.pelton(&["tap", "probe", "--since", "1", "--kind", "view", "--limit", "1"])?;
    let line = String::from_utf8(output.stdout)?;
    assert!(line.contains("view") && line.contains("red") && !line.contains('\u{1b}'), "{line}");
    Ok(())
}
