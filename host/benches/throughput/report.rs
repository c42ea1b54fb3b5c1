//! The bench's lines and tables.

use std::fmt::Write as _;

use crate::measure::{Run, Side};

/// A line about one run.
pub fn line(round: u32, side: Side, run: &Run) -> String {
    let seconds = run.time.as_seconds_f64();
    let peak = run.peak.map_or(String::new(), |peak| format!(", peak {} MiB", peak >> 20));
    format!(
        "round {round} {:<6} {:>8.0} inputs/s in {seconds:.2} s, {:.1} µs CPU each, {} commits of {:.0} messages{peak}",
        side.name(),
        run.rate(),
        run.cost(),
        run.batches.count,
        mean_batch(run),
    )
}

/// The table over all rounds of a load: medians, and for the ratio the spread.
pub fn table(title: &str, rounds: &[[Run; 2]]) -> String {
    let mut text =
        format!("\n{title}\n          inputs/s   CPU an input   commits   messages a commit   peak memory\n");
    for (at, side) in Side::BOTH.into_iter().enumerate() {
        let of = |figure: fn(&Run) -> f64| middle(rounds.iter().filter_map(|runs| runs.get(at)).map(figure));
        let peak = of(|run| run.peak.unwrap_or_default() as f64) / f64::from(1 << 20);
        let peak = if side == Side::Pelton { format!("{peak:.0} MiB") } else { "-".to_owned() };
        let (rate, cost, count, mean) =
            (of(Run::rate), of(Run::cost), of(|run| run.batches.count as f64), of(mean_batch));
        // Writing to a text does not fail.
        writeln!(text, "{:<6} {rate:>11.0} {cost:>11.1} µs {count:>9.0} {mean:>19.0} {peak:>13}", side.name()).ok();
    }
    let ratios: Vec<f64> = rounds.iter().map(|[native, pelton]| pelton.rate() / native.rate()).collect();
    let (least, most) = ratios.iter().fold((f64::MAX, f64::MIN), |(least, most), it| (least.min(*it), most.max(*it)));
    let ratio = middle(ratios.iter().copied());
    writeln!(text, "pelton to native: {ratio:.2} ({least:.2} to {most:.2} over {} rounds)", rounds.len()).ok();
    text
}

fn mean_batch(run: &Run) -> f64 {
    run.batches.messages as f64 / run.batches.count.max(1) as f64
}

fn middle(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let (lower, upper) = (figures.get(figures.len().saturating_sub(1) / 2), figures.get(figures.len() / 2));
    (lower.copied().unwrap_or_default() + upper.copied().unwrap_or_default()) / 2.0
}
