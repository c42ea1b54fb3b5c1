//! Guests that call the host without end: the deadline ends them, and what they may log and read is counted.

use std::time::Instant;

use anyhow::{Result, ensure};
use pelton_tests::{logged, oracle, stored};
use serde_json::{Value, json};

use super::{Fate, Field, memory, probe};

/// Publishes `inputs` times these orders for `module`, waits until they are done, and checks what became of them.
async fn check(field: &Field, module: &str, orders: &Value, inputs: u64, fate: Fate) -> Result<()> {
    let subject = format!("attack.{module}.k");
    let mut last = 0;
    let mut published = Vec::new();
    for _ in 0..inputs {
        last = field.app.publish(&subject, orders.to_string()).await?;
        published.push(last);
    }
    field.done(module, last).await?;
    let letters = stored::dead_letters(&field.app, module).await?;
    published.into_iter().try_for_each(|at| fate.check(module, &letters, at))
}

const TIMEOUT: Fate = Fate { kind: "timeout", says: "200ms" };

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_the_host_without_end_are_ended_by_the_deadline_and_the_log_stays_small() -> Result<()> {
    const LIMITS: &str = "attempts = 1\nlimits = { deadline = \"200ms\" }";
    const TEN_MILLION: u64 = 10_000_000;
    let rows = [
        ("lines", json!([{"repeat": [TEN_MILLION, {"log": "again"}]}])),
        ("long-lines", json!([{"repeat": [TEN_MILLION, {"log-bytes": 1_000_000}]}])),
        ("gets", json!([{"repeat": [TEN_MILLION, {"get": {"view": "gets", "key": "k"}}]}])),
    ];
    let modules = rows.iter().map(|(name, _)| probe(name, &format!("views = [\"{name}\"]\n{LIMITS}")));
    let (start, field) = (Instant::now(), Field::new(&[], &modules.collect::<Result<String>>()?).await?);
    for (name, orders) in &rows {
        check(&field, name, orders, 10, TIMEOUT).await?;
    }
    // Without the rates the log would hold some hundred thousand lines, or gigabytes.
    let (log, seconds) = (field.host.log()?, start.elapsed().as_secs() as usize);
    for name in ["lines", "long-lines"] {
        let module = format!("module={name}");
        let own: Vec<_> = log.iter().filter(|line| line.contains("plugin says") && line.contains(&module)).collect();
        let bytes: usize = own.iter().map(|line| line.len()).sum();
        ensure!(!own.is_empty() && own.len() <= 100 * (seconds + 2), "{name}: {} lines in {seconds} s", own.len());
        ensure!(bytes <= (64 << 10) * 2 * (seconds + 2), "{name}: {bytes} bytes in {seconds} s");
        logged(&field.host, &["lines of the plugin's log were dropped", &module, "dropped="]).await?;
    }
    field.stands().await
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_a_hundred_thousand_keys_takes_bounded_memory_and_no_more_requests_than_the_limit() -> Result<()> {
    const LIMITS: &str = "views = [\"v\"]\nattempts = 1\nlimits = { deadline = \"20s\" }";
    let mut field = Field::new(&[], &probe("reads", LIMITS)?).await?;
    let orders = json!([{"reads": {"view": "v", "n": 100_000, "key": "k"}}, {"emit": {}}]).to_string();
    oracle::finished(&field.app).await?;
    let before = memory(&field.host, "VmRSS")?;
    // A lane that never ran before knows that its keys are not there, and asks nobody.
    let done = field.app.publish("attack.reads.k", orders.clone()).await?;
    field.done("reads", done).await?;
    ensure!(stored::dead_letters(&field.app, "reads").await?.is_empty(), "no request, no limit");
    // A lane that forgot none of half a million would take about half a gigabyte for them.
    let mut last = done;
    for key in ["b", "c", "d", "e"] {
        let orders = json!([{"reads": {"view": "v", "n": 100_000, "key": key}}]);
        last = field.app.publish("attack.reads.k", orders.to_string()).await?;
    }
    field.done("reads", last).await?;
    let after = memory(&field.host, "VmRSS")?;
    ensure!(after < before + (192 << 20), "{before} bytes before, {after} after");

    // Any other has to ask the app stream for each.
    field.host.terminate().await?;
    field.host = field.app.host()?;
    let limited = field.app.publish("attack.reads.k", orders).await?;
    field.done("reads", limited).await?;
    let letters = stored::dead_letters(&field.app, "reads").await?;
    Fate { kind: "limit", says: "view keys read in one call are over the limit of 1000" }
        .check("reads", &letters, limited)?;
    field.stands().await
}
