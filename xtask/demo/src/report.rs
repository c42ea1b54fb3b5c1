//! The demo's closing tables.

use std::{cmp::Reverse, collections::BTreeMap, process::ExitCode};

use super::{
    Outcome,
    app::ANONYMOUS,
    figures::{Figures, Tally},
    latency::Latency,
    money,
    money::thousands,
    stored::DeadLetter,
    table::{
        Column::{Number, Text},
        table,
    },
};

/// Differences shown; the rest is only counted.
const SHOWN: usize = 20;
/// Characters of a cause shown.
const CAUSE: usize = 90;

/// All tables, from what Pelton stored.
pub fn report(outcome: &Outcome) -> String {
    let figures = &outcome.figures;
    [
        ranking("Revenue by country", "country", &figures.countries),
        ranking("Best customers", "customer", &figures.customers),
        busiest_days(figures),
        flagged(figures),
        dead_letters(&outcome.dead),
        speed(outcome),
    ]
    .concat()
}

/// Says whether the independent count agrees, and what to exit with.
pub fn verdict(stored: &Figures, counted: &Figures) -> (String, ExitCode) {
    let differences = stored.differences(counted);
    if differences.is_empty() {
        let (countries, customers) = (counted.countries.len(), thousands(counted.customers.len()));
        let (days, cancelled) = (counted.days.len(), thousands(counted.cancelled.len()));
        let (flags, dead) = (thousands(counted.flagged.values().sum::<u64>()), counted.dead.len());
        let text = format!(
            "\nThe independent count of the same file agrees in all of {countries} countries, {customers} customers, \
             {days} days,\n{cancelled} cancelled invoices, {flags} flags and {dead} dead letters."
        );
        return (text, ExitCode::SUCCESS);
    }
    let mut text = format!("\nDifferences from the independent count of the same file: {}", differences.len());
    for difference in differences.iter().take(SHOWN) {
        text += &format!("\n  {difference}");
    }
    if differences.len() > SHOWN {
        text += "\n  …";
    }
    (text, ExitCode::FAILURE)
}

/// The ten with the highest revenue; lines without a customer are no customer.
fn ranking(title: &str, heading: &'static str, tallies: &BTreeMap<String, Tally>) -> String {
    let mut ranked: Vec<_> = tallies.iter().filter(|(key, _)| *key != ANONYMOUS).collect();
    ranked.sort_by_key(|(_, tally)| Reverse(tally.revenue_millionths));
    let title = format!("{title}: top {} of {}", ranked.len().min(10), thousands(ranked.len()));
    ranked.truncate(10);
    ranked.extend(tallies.get_key_value(ANONYMOUS));
    let rows = ranked.into_iter().map(|(key, tally)| {
        let Tally { lines, units, revenue_millionths, first, last } = tally;
        [key.clone(), thousands(lines), thousands(units), money::show(*revenue_millionths), minute(first), minute(last)]
    });
    let columns =
        [Text(heading), Number("lines"), Number("units"), Number("revenue"), Text("first sale"), Text("last sale")];
    table(&title, columns, rows.collect())
}

/// `2010-12-01T08:26:00Z` to the minute.
fn minute(time: &str) -> String {
    time.replacen('T', " ", 1).chars().take(16).collect()
}

fn busiest_days(figures: &Figures) -> String {
    let mut days: Vec<_> = figures.days.iter().collect();
    days.sort_by_key(|(_, count)| Reverse(*count));
    let title = format!("Cancellations by day: the busiest {} of {}", days.len().min(5), days.len());
    let rows = days.into_iter().take(5).map(|(day, count)| [day.clone(), thousands(count)]);
    table(&title, [Text("day"), Number("invoices")], rows.collect())
}

fn flagged(figures: &Figures) -> String {
    let mut rules: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for ((rule, _), lines) in &figures.flagged {
        let (sum, invoices) = rules.entry(rule).or_default();
        *sum += lines;
        *invoices += 1;
    }
    let rows =
        rules.into_iter().map(|(rule, (lines, invoices))| [rule.to_owned(), thousands(lines), thousands(invoices)]);
    table("Flagged lines by rule", [Text("rule"), Number("lines"), Number("invoices")], rows.collect())
}

fn dead_letters(dead: &[DeadLetter]) -> String {
    let mut causes: BTreeMap<(u64, &str, &str), Vec<&str>> = BTreeMap::new();
    for letter in dead {
        let cause = (letter.sequence, letter.cause.kind.as_str(), letter.cause.message.as_str());
        causes.entry(cause).or_default().push(&letter.module);
    }
    let rows = causes.into_iter().map(|((sequence, kind, message), mut modules)| {
        modules.sort_unstable();
        [thousands(sequence), kind.to_owned(), modules.join(", "), shortened(message)]
    });
    let title = format!("Dead letters: {}", dead.len());
    table(&title, [Number("sequence"), Text("kind"), Text("modules"), Text("cause")], rows.collect())
}

fn shortened(message: &str) -> String {
    if message.chars().count() <= CAUSE {
        return message.to_owned();
    }
    message.chars().take(CAUSE - 1).chain(['…']).collect()
}

fn speed(outcome: &Outcome) -> String {
    let caught_up = match outcome.rate {
        Some(rate) => format!("{} lines/s, each through three modules", thousands(rate)),
        None => "not measured: nothing was left to catch up".into(),
    };
    let latency = match &outcome.latency {
        Some(Latency { inputs, median, p99 }) => format!(
            "p50 {:.1} ms, p99 {:.1} ms (from stored to committed; {} lines at 1,000/s, each through three modules)",
            median.as_secs_f64() * 1e3,
            p99.as_secs_f64() * 1e3,
            thousands(inputs),
        ),
        None => "not measured: the demo was interrupted after its last line was published".into(),
    };
    format!("\nSpeed\n  catch-up  {caught_up}\n  latency   {latency}\n")
}
