//! The main job: the demo's plugins on real invoice lines, against a fold of the same lines that knows nothing of them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use pelton_tests::{App, LONG, stored};
use serde_json::Value;

use crate::retail::{self, LINES, Line, Totals, ten_thousandths, totals};

const MODULES: &str = r#"
[modules.by-country]
plugin = "by_country.wasm"
input = { stream = "RETAIL", filter = "retail.lines" }
key = { json = "/country" }
lanes = 4
views = ["by-country"]
[modules.by-customer]
plugin = "by_customer.wasm"
input = { stream = "RETAIL" }
key = { json = "/customer", missing = "anonymous" }
lanes = 4
views = ["by-customer"]
[modules.flag]
plugin = "flag.wasm"
input = { stream = "RETAIL", filter = ["retail.lines"] }
key = { json = "/invoice" }
lanes = 4
views = ["cancelled"]
emits = ["invoices", "lines"]
[modules.by-day]
plugin = "by_day.wasm"
input = { events = "invoices" }
key = { json = "/day" }
views = ["by-day"]
"#;

/// After how many lines a damaged one comes.
const DAMAGED_AFTER: [usize; 3] = [10, 200, 599];

/// Publishes the lines with damaged ones between; gives what was sound, and where the damaged ones are.
async fn publish(app: &App) -> Result<(Vec<Line>, Vec<u64>)> {
    let (mut sound, mut damaged) = (Vec::new(), Vec::new());
    for (number, data) in retail::lines()?.into_iter().enumerate() {
        let id = format!("line-{}", number + 1);
        let headers = [
            ("ce-specversion", "1.0"),
            ("ce-id", id.as_str()),
            ("ce-source", "online-retail"),
            ("ce-type", "line.recorded"),
            ("ce-time", data["sold_at"].as_str().unwrap_or_default()),
            ("Content-Type", "application/json"),
        ];
        let sequence = app.publish_with("retail.lines", &headers, &data.to_string()).await?;
        sound.push(Line { data, sequence });
        if DAMAGED_AFTER.contains(&number) {
            damaged.push(app.publish("retail.lines", r#"{"invoice":"900001","quantity":"six"}"#).await?);
        }
    }
    Ok((sound, damaged))
}

/// All values of a view, by their keys as the data has them.
async fn view(app: &App, view: &str) -> Result<BTreeMap<String, Value>> {
    let values = stored::messages(app, "KV_demo", &format!("$KV.demo.{view}.1.>")).await?;
    values.iter().map(|value| Ok((decode(value.key())?, value.json()?))).collect()
}

/// Decodes a key, as a client in any language would: `=XX` is a byte in hex.
pub fn decode(token: &str) -> Result<String> {
    let mut parts = token.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at_checked(2).context("a cut escape")?;
        bytes.push(u8::from_str_radix(hex, 16)?);
        bytes.extend(rest.bytes());
    }
    Ok(String::from_utf8(bytes)?)
}

fn assert_totals(view: &BTreeMap<String, Value>, expected: &BTreeMap<String, Totals>) {
    let found: BTreeMap<String, Totals> = view
        .iter()
        .map(|(key, v)| {
            let text = |field: &str| v[field].as_str().unwrap_or_default().to_owned();
            let number = |field: &str| v[field].as_i64().unwrap_or(i64::MIN);
            let revenue = ten_thousandths(v["revenue"].as_str().unwrap_or_default());
            (key.clone(), (number("lines"), number("units"), revenue, text("first"), text("last")))
        })
        .collect();
    assert_eq!(&found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_counts_real_lines_as_an_independent_fold_does() -> Result<()> {
    let app = App::new(MODULES).await?;
    app.stream("RETAIL", "retail.lines").await?;
    let _host = app.host()?;
    let (lines, damaged) = publish(&app).await?;
    let last = (LINES + DAMAGED_AFTER.len()) as u64;
    for module in ["by-country", "by-customer", "flag"] {
        app.covered_within(module, 4, last, LONG).await?;
    }
    let invoices = stored::events(&app, "invoices").await?;
    app.covered("by-day", 1, invoices.last().context("no cancellation in the data")?.sequence).await?;

    assert_totals(&view(&app, "by-country").await?, &totals(&lines, |line| line.text("country")));
    let by_customer = totals(&lines, |line| line.data["customer"].as_str().unwrap_or("anonymous"));
    assert_totals(&view(&app, "by-customer").await?, &by_customer);

    let cancelled: BTreeSet<&str> = lines.iter().filter(|l| l.is_cancellation()).map(|l| l.text("invoice")).collect();
    let mut announced: Vec<&str> = invoices.iter().map(|event| event.key()).collect();
    announced.sort_unstable();
    assert_eq!(announced, cancelled.into_iter().collect::<Vec<_>>());
    let mut by_day = BTreeMap::<String, u64>::new();
    for event in &invoices {
        assert_eq!(event.header("ce-type"), "invoice.cancelled");
        *by_day.entry(event.json()?["day"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    let days = view(&app, "by-day").await?.into_iter().map(|(day, v)| (day, v["cancellations"].as_u64().unwrap_or(0)));
    assert_eq!(days.collect::<BTreeMap<_, _>>(), by_day);

    assert_flagged(&app, &lines).await?;
    for module in ["by-country", "by-customer", "flag"] {
        let letters = stored::dead_letters(&app, module).await?;
        assert_eq!(letters.keys().copied().collect::<Vec<_>>(), damaged, "{module}");
        assert!(letters.values().all(|letter| !letter["cause"]["message"].as_str().unwrap_or_default().is_empty()));
    }
    Ok(())
}

/// Each broken rule is one event, which names its input.
async fn assert_flagged(app: &App, lines: &[Line]) -> Result<()> {
    let mut expected = Vec::new();
    for line in lines {
        let rules = [
            ("negative-price", line.price() < 0),
            ("zero-price", line.price() == 0),
            ("negative-quantity", line.quantity() < 0 && !line.is_cancellation()),
            ("stock-code", line.text("stock_code").chars().take(5).filter(char::is_ascii_digit).count() < 5),
        ];
        let broken = rules.into_iter().filter(|(_, broken)| *broken);
        expected.extend(broken.map(|(rule, _)| (format!("RETAIL:{}", line.sequence), rule.to_owned())));
    }
    let events = stored::events(app, "lines").await?;
    let mut found = Vec::new();
    for event in &events {
        let rule = event.json()?["rule"].as_str().unwrap_or_default().to_owned();
        assert_eq!(event.header("ce-type"), "line.flagged");
        assert!(event.header("ce-causationid").starts_with("line-"));
        found.push((event.header("Pelton-Input").to_owned(), rule));
    }
    let ids: BTreeSet<&str> = events.iter().map(|event| event.header("ce-id")).collect();
    assert_eq!(ids.len(), events.len());
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    Ok(())
}
