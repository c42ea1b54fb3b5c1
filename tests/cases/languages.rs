//! The plugin `flag` in each language: all its cases hold on the real host.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, bail, ensure};
use pelton_sdk::testing::case::{self, Case, Then, When};
use pelton_tests::{App, LONG, plugins, stored};
use serde_json::{Value, json};

use crate::{apart::apart, main_path::decode};

const MODULE: &str = r#"
[modules.flag]
plugin = "PLUGIN"
input = { stream = "IN" }
key = { header = "Case-Key" }
views = ["cancelled"]
emits = ["invoices", "lines"]
"#;

const RUST: &str = "flag.wasm";

/// The view that the plugin owns.
const VIEW: &str = "cancelled";

/// The values of a view, by their keys.
type View = BTreeMap<String, Value>;

fn cases() -> Result<Vec<Case>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/flag/cases");
    let cases = case::read(&folder).map_err(anyhow::Error::msg)?;
    Ok(cases.into_iter().enumerate().map(|(number, case)| apart(case, number)).collect())
}

/// Publishes the events of a case, in order; gives their positions.
async fn publish(app: &App, case: &Case) -> Result<Vec<u64>> {
    let mut positions = Vec::new();
    for step in &case.steps {
        let When { key, id, source, kind, content_type, .. } = &step.when;
        let text = |value: &Option<String>, default: &str| value.clone().unwrap_or(default.into());
        let headers = [
            ("Case-Key", text(key, "key")),
            ("ce-specversion", "1.0".into()),
            ("ce-id", text(id, "test-1")),
            ("ce-source", text(source, "test")),
            ("ce-type", text(kind, "test")),
            ("Content-Type", text(content_type, "application/json")),
        ];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let payload = String::from_utf8(step.when.bytes())?;
        positions.push(app.publish_with("in.case", &headers, &payload).await?);
    }
    Ok(positions)
}

/// An app in whose view the cases find what they are given.
async fn app_with_given(cases: &[Case]) -> Result<App> {
    let app = App::with_input(&MODULE.replace("PLUGIN", RUST)).await?;
    // A lane that never ran takes its view for empty. So it runs once, with the plugin that starts fastest.
    let mut host = app.host()?;
    let first = app.publish_with("in.case", &[("Case-Key", "key")], "no line").await?;
    app.covered("flag", 1, first).await?;
    host.terminate().await?;
    for (key, value) in cases.iter().filter_map(|case| case.given.views.get(VIEW)).flatten() {
        app.publish(&format!("$KV.demo.{VIEW}.1.{key}"), value.to_string()).await?;
    }
    Ok(app)
}

/// Runs all cases; gives the positions of each one's events.
async fn run(app: &App, cases: &[Case]) -> Result<Vec<Vec<u64>>> {
    let mut positions = Vec::new();
    for case in cases {
        positions.push(publish(app, case).await?);
    }
    let last = positions.iter().flatten().max().context("no cases")?;
    let _host = app.host()?;
    app.covered_within("flag", 1, *last, LONG).await?;
    Ok(positions)
}

/// What the app stream holds in the end.
struct Found {
    /// Events by the position of their input.
    events: BTreeMap<u64, Vec<Value>>,
    /// Kind and reason of dead letters, by the position of their input.
    letters: BTreeMap<u64, String>,
    view: View,
}

async fn found(app: &App) -> Result<Found> {
    let mut events = BTreeMap::<u64, Vec<Value>>::new();
    for event in stored::messages(app, "KV_demo", "pelton.demo.events.>").await? {
        let position = event.header("Pelton-Input").strip_prefix("IN:").context("an event of another stream")?;
        let category = event.subject.split('.').nth(3).unwrap_or_default();
        let (key, kind) = (decode(event.key())?, event.header("ce-type"));
        let found = json!({ "category": category, "key": key, "kind": kind, "data": event.json()? });
        events.entry(position.parse()?).or_default().push(found);
    }
    let cause = |letter: Value| {
        let text = |field: &str| letter["cause"][field].as_str().unwrap_or_default().to_owned();
        format!("{}: {}", text("kind"), text("message").lines().next().unwrap_or_default())
    };
    let letters = stored::dead_letters(app, "flag").await?.into_iter();
    let letters = letters.map(|(position, letter)| (position, cause(letter))).collect();
    let values = stored::messages(app, "KV_demo", &format!("$KV.demo.{VIEW}.1.>")).await?;
    let view = values.iter().map(|value| Ok((decode(value.key())?, value.json()?))).collect::<Result<_>>()?;
    Ok(Found { events, letters, view })
}

impl Found {
    /// How a case failed, if it did.
    fn difference(&self, case: &Case, positions: &[u64]) -> Option<String> {
        let mut steps = case.steps.iter().zip(positions);
        let (step, position) = steps.find(|(step, position)| !self.shows(step, **position))?;
        let found = (self.events.get(position), self.letters.get(position));
        Some(format!("{}: at input {position}\n  expected {:?}\n  found {found:?}", case.name, step.then))
    }

    /// Whether a step had the answer that it expects.
    fn shows(&self, step: &case::Step, position: u64) -> bool {
        let events = self.events.get(&position).map(Vec::as_slice).unwrap_or_default();
        let letter = self.letters.get(&position).map_or("", String::as_str);
        let key = step.when.key.as_deref().unwrap_or("key");
        match &step.then {
            Then::Effects { events: expected, .. } => {
                let expected: Vec<Value> = expected.iter().map(|event| as_found(event, key)).collect();
                letter.is_empty() && events == expected
            }
            Then::Reject(reason) => events.is_empty() && letter.starts_with("reject: ") && letter.contains(reason),
            // The lane would wait for ever.
            Then::Retry(_) => false,
        }
    }
}

fn as_found(event: &case::Event, key: &str) -> Value {
    let key = event.key.as_deref().unwrap_or(key);
    json!({ "category": event.category, "key": key, "kind": event.kind, "data": event.data })
}

/// The view after all cases.
fn view_after(cases: &[Case]) -> Result<View> {
    let mut view = View::new();
    for case in cases {
        view.extend(case.given.views.get(VIEW).cloned().unwrap_or_default());
        for step in &case.steps {
            let Then::Effects { writes, .. } = &step.then else { continue };
            for write in writes {
                ensure!(write.view == VIEW, "{}: another view than {VIEW}", case.name);
                view.insert(write.key.clone(), write.value.clone().context("no case removes a key")?);
            }
        }
    }
    Ok(view)
}

async fn all_cases_hold(plugin: &str) -> Result<()> {
    let cases = cases()?;
    let app = app_with_given(&cases).await?;
    app.configure(&MODULE.replace("PLUGIN", plugin))?;
    let positions = run(&app, &cases).await?;
    let found = found(&app).await?;
    let failed: Vec<String> =
        cases.iter().zip(&positions).filter_map(|(case, positions)| found.difference(case, positions)).collect();
    ensure!(failed.is_empty(), "{} of {} cases failed\n{}", failed.len(), cases.len(), failed.join("\n"));
    assert_eq!(found.view, view_after(&cases)?);
    Ok(())
}

/// The same for a plugin whose tools may not be there: only with `PELTON_LANGUAGES=all` it must be built.
async fn all_cases_hold_if_built(file: &str) -> Result<()> {
    let path = format!("../../languages/{file}");
    if plugins()?.join(&path).exists() {
        return all_cases_hold(&path).await;
    }
    let why = format!("{file} is not built; `cargo xtask languages` builds it or says what it lacks");
    if std::env::var("PELTON_LANGUAGES").is_ok_and(|languages| languages == "all") {
        bail!(why);
    }
    eprintln!("skipped: {why}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_cases_hold_in_rust() -> Result<()> {
    all_cases_hold(RUST).await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_cases_hold_in_javascript() -> Result<()> {
    all_cases_hold_if_built("flag_js.wasm").await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_cases_hold_in_python() -> Result<()> {
    all_cases_hold_if_built("flag_python.wasm").await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_cases_hold_in_c() -> Result<()> {
    all_cases_hold_if_built("flag_c.wasm").await
}
