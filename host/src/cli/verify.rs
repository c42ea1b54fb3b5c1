//! `pelton verify`: whether the stored effects are those that the plugin gives.

use std::path::PathBuf;

use anyhow::Context;

use super::output::{print, table};
use super::{Common, Silent};
use crate::event::Sequence;
use crate::subject::Name;
use crate::verify::report::{Difference, Report};
use crate::verify::{self, Wish};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Verify {
    /// The module
    module: Name,
    /// From this input on; without it from the module's beginning, or as far back as the stream holds inputs
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,
    /// The module began with the first input: its views were empty
    #[arg(long)]
    empty: bool,
    /// Up to this input; without it as far as the module is
    #[arg(long, value_name = "SEQ")]
    to: Option<u64>,
    /// Only inputs of this key, of a module with several lanes
    #[arg(long)]
    key: Option<String>,
    /// A plugin that ran some of the inputs, besides the one that the config names; as often as needed
    #[arg(long = "plugin", value_name = "FILE")]
    plugins: Vec<PathBuf>,
    /// Tell of so many differences one by one
    #[arg(long, value_name = "N", default_value_t = 20)]
    most: usize,
    #[command(flatten)]
    common: Common,
}

const EXAMPLES: &str = "\
Runs the inputs again, in order, and compares with what is stored: events, each once, in order and with their ids; dead
letters; the values of views. Swaps, replays, resets and changes of lanes are taken from the audit, at their places. Nothing
is written, and the module may run meanwhile.

What was swapped out is not stored: name the files of earlier plugins. What cannot be decided is told and is no
difference: a failure that does not come again, as a timeout; inputs and events that retention removed; inputs that read what a
view held before the range. Settings are those of the config by now.

Exit codes: 0 all that could be verified is as the plugin gives it, 1 something differs, or a plugin is missing.

Examples:
  pelton verify totals
  pelton verify totals --plugin totals-1.wasm --plugin totals-2.wasm
  pelton verify totals --key 17850 -o json
  pelton verify totals --from 1200 --to 1300";

impl Verify {
    pub async fn main(self) -> anyhow::Result<()> {
        let Self { module, from, empty, to, key, plugins, most, common } = self;
        let config = common.load()?;
        let found = config.modules.iter().find(|found| found.name == module);
        let found = found.with_context(|| format!("the config has no module {:?}", module.as_str()))?;
        let reading = common.connect(&config).await?;
        let (from, to) = (from.map(Sequence), to.map(Sequence));
        let wish = Wish { from, empty, to, key, plugins, most };
        let max_payload = reading.connections.max_payload();
        let report = verify::verify(&reading.query, max_payload, (&config, found), &wish).await?;
        print(common.output, &report, shown)?;
        if report.is_good() { Ok(()) } else { Err(Silent(1).into()) }
    }
}

fn shown(report: &Report) -> String {
    let Report { module, stream, behind, to, inputs, repeats, events, values, dead_letters, replays, .. } = report;
    let mut lines = vec![format!(
        "module {module}, inputs {} to {to} of stream {stream}: {inputs} verified ({repeats} repeats, {dead_letters} dead \
         letters), {events} events, {replays} replays, {values} view values",
        behind.next()
    )];
    lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
    let unverified = report.unverified.iter();
    lines.extend(unverified.map(|(why, of)| format!("not verified: {}, first {}: {why}", of.count, of.first)));
    lines.extend(report.missing_plugins.iter().map(|plugin| format!("missing: {plugin}; give its file with --plugin")));
    if report.different > 0 {
        lines.push(format!("{} differences", report.different));
        let head = ["INPUT", "KEY", "WHAT", "AT", "EXPECTED", "STORED"];
        lines.push(table(head, report.differences.iter().map(row)));
    } else if report.missing_plugins.is_empty() {
        lines.push("no difference".to_owned());
    }
    lines.join("\n")
}

fn row(difference: &Difference) -> [String; 6] {
    let Difference { input, key, kind, subject, expected, stored, at } = difference;
    let number = |number: Option<Sequence>| number.map_or("-".to_owned(), |number| number.to_string());
    let key = key.clone().or_else(|| subject.clone()).unwrap_or_else(|| "-".to_owned());
    [number(*input), key, kind.name().to_owned(), number(*at), expected.clone(), stored.clone()]
}
