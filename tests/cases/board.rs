//! The dashboard, the alerts and the guide ask for metrics and labels that a host has, and name each other's alerts.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use pelton_tests::App;
use serde_json::Value;

use crate::probe;

const BOARD: &str = include_str!("../../docs/grafana/pelton.json");
const ALERTS: &str = include_str!("../../docs/prometheus/alerts.yaml");
const GUIDE: &str = include_str!("../../docs/operations.md");
/// Labels that whoever scrapes adds.
const SCRAPED: [&str; 3] = ["app", "instance", "job"];

/// The names of labels, with their values.
type Labels = BTreeMap<String, BTreeSet<String>>;

/// Each sample's name, with the labels that it has.
fn samples(metrics: &str) -> BTreeMap<String, Labels> {
    let mut samples: BTreeMap<String, Labels> = BTreeMap::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let labels = samples.entry(name.to_owned()).or_default();
        for (label, _, value) in matchers(braces(&line[name.len()..])) {
            labels.entry(label).or_default().insert(value);
        }
    }
    samples
}

/// What stands between the braces that `text` begins with.
fn braces(text: &str) -> &str {
    text.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside)
}

/// `label OPERATOR "value"`, with commas between.
fn matchers(inside: &str) -> Vec<(String, String, String)> {
    let each = inside.split("\",").filter_map(|matcher| {
        let (left, value) = matcher.split_once('"')?;
        let label = left.trim_end_matches(['=', '!', '~']);
        Some((label.trim().to_owned(), left[label.len()..].to_owned(), value.trim_end_matches('"').to_owned()))
    });
    each.collect()
}

/// The metrics that a query names, each with what stands behind it.
fn metrics(query: &str) -> Vec<(&str, &str)> {
    let named = query
        .match_indices("pelton_")
        .filter(|(at, _)| !query[..*at].ends_with(|before: char| before.is_ascii_alphanumeric() || before == '_'));
    let named = named.map(|(at, _)| {
        let rest = &query[at..];
        let end = rest.find(|next: char| !next.is_ascii_alphanumeric() && next != '_').unwrap_or(rest.len());
        rest.split_at(end)
    });
    named.collect()
}

/// The labels after `by` or `without`.
fn grouped(query: &str) -> Vec<&str> {
    let lists = [" by (", " without ("].into_iter().flat_map(|word| query.split(word).skip(1));
    lists.filter_map(|list| list.split_once(')')).flat_map(|(list, _)| list.split(',').map(str::trim)).collect()
}

/// What is wrong with a query, if anything is.
fn wrong(query: &str, samples: &BTreeMap<String, Labels>) -> Option<String> {
    let named = metrics(query);
    if named.is_empty() {
        return Some("it names no metric".to_owned());
    }
    let mut known: BTreeSet<&str> = SCRAPED.into();
    for (name, behind) in named {
        let Some(labels) = samples.get(name) else { return Some(format!("there is no {name}")) };
        known.extend(labels.keys().map(String::as_str));
        for (label, operator, value) in matchers(braces(behind)) {
            let is_there = |value: &str| labels.get(&label).is_some_and(|values| values.contains(value));
            let is_scraped = SCRAPED.contains(&label.as_str());
            let is_variable = value.starts_with('$') && labels.contains_key(&label);
            let mut values = if operator.ends_with('~') { value.split('|') } else { value.split('\0') };
            if !is_scraped && !is_variable && !values.all(is_there) {
                return Some(format!("{name} never has {label}{operator}{value:?}"));
            }
        }
    }
    grouped(query).into_iter().find(|label| !known.contains(label)).map(|label| format!("there is no label {label}"))
}

/// All strings under the key `expr`, wherever they are.
fn expressions(board: &Value, found: &mut Vec<String>) {
    match board {
        Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| expressions(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

/// The alerts with their queries.
fn alerts() -> BTreeMap<String, String> {
    let value = |line: &str, key: &str| line.trim_start().strip_prefix(key).map(|value| value.trim().to_owned());
    let names = ALERTS.lines().filter_map(|line| value(line, "- alert:"));
    names.zip(ALERTS.lines().filter_map(|line| value(line, "expr:"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_query_of_board_and_alerts_names_metrics_and_labels_of_a_host() -> Result<()> {
    let app = App::with_input(&probe::module("")).await?;
    let host = app.host()?;
    app.covered("probe", 1, app.publish("in.a", r#"[{"emit":{}}]"#).await?).await?;
    let samples = samples(&host.http().await?.get("/metrics").await?.text());
    let board: Value = serde_json::from_str(BOARD)?;
    let mut queries = Vec::new();
    expressions(&board, &mut queries);
    assert!(queries.len() >= 15, "{queries:?}");
    let variables = board["templating"]["list"].as_array().context("no variables")?;
    let asked = variables.iter().filter_map(|variable| variable["query"]["query"].as_str());
    queries.extend(asked.map(str::to_owned));
    queries.extend(alerts().into_values());
    for query in &queries {
        assert_eq!(wrong(query, &samples), None, "{query}");
    }
    for (query, expected) in [
        ("rate(pelton_inputs[5m])", "there is no pelton_inputs"),
        ("pelton_module_state{state=\"asleep\"}", "pelton_module_state never has state=\"asleep\""),
        ("pelton_commits_total{outcome=~\"refused|lost\"}", "pelton_commits_total never has outcome=~\"refused|lost\""),
        ("pelton_commits_total{module=~\"$module\"}", "pelton_commits_total never has module=~\"$module\""),
        ("sum by (cause) (pelton_inputs_total)", "there is no label cause"),
        ("up == 0", "it names no metric"),
    ] {
        assert_eq!(wrong(query, &samples).as_deref(), Some(expected), "the test itself");
    }
    Ok(())
}

#[test]
fn the_guide_explains_each_alert_by_its_query() {
    let rows = GUIDE.lines().filter_map(|line| line.strip_prefix("| `Pelton"));
    let explained = rows.filter_map(|row| {
        let mut cells = row.split(" | ");
        let name = cells.next()?.trim_end_matches('`');
        Some((format!("Pelton{name}"), cells.next()?.trim_matches('`').replace("\\|", "|")))
    });
    let explained: BTreeMap<_, _> = explained.collect();
    assert!(explained.len() >= 10, "{explained:?}");
    assert_eq!(explained, alerts());
}

#[test]
fn panels_have_places_of_their_own_and_the_chosen_source() -> Result<()> {
    let board: Value = serde_json::from_str(BOARD)?;
    let panels = board["panels"].as_array().context("no panels")?;
    let ids: BTreeSet<_> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len());
    let place = |panel: &Value| ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap_or_default());
    for (number, panel) in panels.iter().enumerate() {
        let [x, y, w, h] = place(panel);
        assert!(w > 0 && h > 0 && x + w <= 24, "{panel}");
        for other in &panels[number + 1..] {
            let [ox, oy, ow, oh] = place(other);
            assert!(
                x + w <= ox || ox + ow <= x || y + h <= oy || oy + oh <= y,
                "{} {}",
                panel["title"],
                other["title"]
            );
        }
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
            assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()), "{}", panel["title"]);
        }
    }
    Ok(())
}
