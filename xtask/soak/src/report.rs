//! What the soak ends with: a table and a verdict, in plain text. Pure.

use std::time::Duration;

use pelton_demo::{
    money::thousands,
    table::{
        Column::{Number, Text},
        table,
    },
};

use crate::{
    journal::Entries,
    judge::{Compared, JUDGED_FROM, too_busy, too_much, too_slow},
    lag::Stalls,
    plan::LASTING,
    records::Held,
    verdict::Verdict,
};

/// Violations shown; the rest is only counted.
const SHOWN: usize = 20;

/// All that is told.
pub struct Report {
    pub minutes: u32,
    pub seed: u64,
    pub entries: Entries,
    pub verdict: Verdict,
    /// Lanes taken from hosts that had not released them, and lanes that had been released.
    pub taken: (u64, u64),
    pub stalls: Stalls,
    /// How long it took after the last fault until all was done that was there.
    pub recovered: Option<Duration>,
    pub held: Option<Compared<Held>>,
    /// Tasks of the host that is never ended, with so many lanes.
    pub tasks: Option<(u64, Compared<u64>)>,
    /// Times of 99 of 100 lines, and how many lines were looked at.
    pub p99: Option<Compared<(Duration, usize)>>,
}

impl Report {
    /// All violations, those of the soak's records too.
    pub fn violations(&self) -> Vec<String> {
        let mut wrong = self.verdict.wrong.clone();
        if self.minutes >= JUDGED_FROM {
            wrong.extend(self.held.iter().flat_map(too_much));
            wrong.extend(too_busy(self.tasks.as_ref()));
            let times = self.p99.map(|p99| Compared { before: p99.before.0, after: p99.after.0 });
            wrong.extend(times.iter().filter_map(too_slow));
        }
        wrong
    }

    /// The whole text.
    pub fn text(&self) -> String {
        let rows = self.entries.counts.iter().map(|(kind, count)| [kind.clone(), thousands(count)]);
        let happened = table("What happened", [Text("what"), Number("times")], rows.collect());
        let came = table("What came of it", [Text("what"), Text("figure")], self.came());
        format!("{happened}{came}\n{}", self.verdict())
    }

    fn came(&self) -> Vec<[String; 2]> {
        let Verdict { seen, lines, damaged, checkpoints, .. } = &self.verdict;
        let (taken, handed_over) = self.taken;
        let row = |what: &str, figure: String| [what.to_owned(), figure];
        vec![
            row("inputs for the oracle", thousands(seen.inputs)),
            row("effects of theirs", thousands(seen.events)),
            row("dead letters that were replayed", thousands(seen.replayed)),
            row("dead letters that are left", thousands(seen.letters)),
            row("checkpoints looked at", thousands(checkpoints)),
            row("lines of real data", format!("{} through three modules", thousands(lines.len()))),
            row("dead letters of theirs", thousands(damaged)),
            row("lanes taken from hosts that were gone", thousands(taken)),
            row("lanes handed over", thousands(handed_over)),
            row("longest stall", self.stall()),
            row("all done after the last fault", self.recovered.map_or("not within a minute".into(), seconds)),
            row("times outside faults", self.times()),
            row("what one host holds", self.held()),
            row("tasks that go on in it", self.tasks()),
        ]
    }

    fn stall(&self) -> String {
        self.stalls.longest.map_or("none".into(), |(time, module, at)| {
            format!("{} ({module}, until {:.0} s)", seconds(time), at.as_secs_f64())
        })
    }

    fn times(&self) -> String {
        let Some(Compared { before, after }) = self.p99 else { return "too few to say".into() };
        let millis = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        format!(
            "p99 {} before all faults ({} commits), {} between them ({})",
            millis(before.0),
            thousands(before.1),
            millis(after.0),
            thousands(after.1)
        )
    }

    fn held(&self) -> String {
        let Some(Compared { before, after }) = &self.held else { return "not known".into() };
        format!(
            "host {LASTING}, in the second minute and the last third: {} and {} MiB, {} and {} handles, {} and {} threads",
            before.memory / 1_024,
            after.memory / 1_024,
            before.handles,
            after.handles,
            before.threads,
            after.threads
        )
    }

    fn tasks(&self) -> String {
        let Some((lanes, Compared { before, after })) = self.tasks else { return "not known".into() };
        format!("with {lanes} lanes: {before} and {after}")
    }

    fn verdict(&self) -> String {
        let wrong = self.violations();
        if wrong.is_empty() {
            let also = if self.minutes >= JUDGED_FROM {
                "I5 to I7 hold, too.".to_owned()
            } else {
                format!("I5 holds, too. I6 and I7 are judged from {JUDGED_FROM} minutes on.")
            };
            return format!(
                "The oracle: every input has its effects or its dead letter (I1), none twice (I2), in the order of the \
                 input (I3),\nand no checkpoint was ahead of its effects (I4). The independent count of the lines agrees. \
                 {also}"
            );
        }
        let shown = wrong.iter().take(SHOWN).map(|wrong| format!("\n  {wrong}")).collect::<String>();
        let rest = if wrong.len() > SHOWN { "\n  …" } else { "" };
        format!("Violations: {} (seed {})\n{shown}{rest}", wrong.len(), self.seed)
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
