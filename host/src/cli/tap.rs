//! `pelton tap`: what flows through modules, while it does.

use std::collections::BTreeSet;
use std::str::FromStr;

use futures::{StreamExt, pin_mut};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Common;
use super::output::line;
use crate::config::Period;
use crate::event::Sequence;
use crate::subject::Name;
use crate::tap::{self, DATA, Item, Since, What, Wish, is_counted};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Tap {
    /// Of these modules; all without them
    modules: Vec<Name>,
    /// Of these kinds, with commas between; without it all but commits
    #[arg(long = "kind", value_delimiter = ',')]
    what: Vec<What>,
    /// With this key
    #[arg(long)]
    key: Option<String>,
    /// With this CloudEvents type
    #[arg(long = "type")]
    kind: Option<String>,
    /// From here on: `now`, a while ago like `10m`, an RFC 3339 time, a position in the input stream, STREAM:POSITION, or
    /// `first`, which is all there is
    #[arg(long, default_value = "now")]
    since: Since,
    /// End after so many
    #[arg(long)]
    limit: Option<usize>,
    /// Show at most so many bytes of data
    #[arg(long, default_value_t = DATA)]
    data: usize,
    #[command(flatten)]
    common: Common,
}

const EXAMPLES: &str = "\
Each line is one stored message: an input that a module takes, an event it emitted, a value it wrote to a view, or a dead
letter. The past comes in the order of storage. Inputs that are tried again are not seen. With -o json a line is an object.

Examples:
  pelton tap                                what happens from now on
  pelton tap totals --since 10m             the last ten minutes of one module, and on
  pelton tap --key 42 --since first         all that is stored about key 42
  pelton tap --kind dead-letter -o json     failures, for a program
  pelton tap --limit 1                      wait for something to happen";

impl Tap {
    pub async fn main(self) -> anyhow::Result<()> {
        let Self { modules, what, key, kind, since, limit, data, common } = self;
        let wish = Wish { modules: modules.into_iter().collect(), key, kind, since, largest: data, ..Wish::default() };
        let what: BTreeSet<What> = what.into_iter().collect();
        let wish = if what.is_empty() { wish } else { Wish { what, ..wish } };
        let reading = common.read().await?;
        let items = tap::open(&reading.query, wish).await?.take(limit.unwrap_or(usize::MAX));
        pin_mut!(items);
        while let Some(item) = items.next().await {
            if !line(reading.output, &item?, shown)? {
                break;
            }
        }
        Ok(())
    }
}

/// An item for people.
fn shown(item: &Item) -> String {
    /// Characters of data that a line has room for.
    const ROOM: usize = 160;
    let time: String = item.time.trim_end_matches('Z').chars().take("2026-01-31T00:00:00.000".len()).collect();
    let place = format!("{}:{}", item.stream, item.sequence);
    let lane = item.lane.map(|lane| format!("lane {lane} "));
    let key = item.key.as_ref().map(|key| format!("key {key} "));
    let kind = item.kind.as_ref().map(|kind| format!("{kind} "));
    let removed = item.removed.then(|| "removed ".to_owned());
    let problem = item.problem.as_ref().map(|problem| format!("{problem} "));
    let about: String = [lane, key, kind, removed, problem].into_iter().flatten().collect();
    let line = item.data.line();
    let data = line.chars().take(ROOM).collect::<String>() + if line.chars().nth(ROOM).is_some() { "…" } else { "" };
    let what = item.what.as_str();
    format!("{time:23}  {what:11}  {:12}  {place:16}  {}  {about}{data}", item.module.as_str(), item.subject)
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sequence = |text: &str| text.parse().ok().filter(|sequence| *sequence > 0).map(Sequence);
        match text {
            "now" => return Ok(Self::Now),
            "first" => return Ok(Self::First),
            _ => {}
        }
        if let Some(sequence) = sequence(text) {
            return Ok(Self::Sequence(None, sequence));
        }
        let counted = |time: Option<OffsetDateTime>| {
            let time = time.filter(|time| is_counted(*time)).map(Self::Time);
            time.ok_or_else(|| format!("{text:?} is too long ago or to come: the server counts time from 1970 to 2262"))
        };
        if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
            return counted(Some(time));
        }
        if let Ok(Period(ago)) = text.parse() {
            let ago = time::Duration::try_from(ago).ok();
            return counted(ago.and_then(|ago| OffsetDateTime::now_utc().checked_sub(ago)));
        }
        let split = text.rsplit_once(':').and_then(|(stream, number)| Some((stream, sequence(number)?)));
        if let Some((stream, sequence)) = split.filter(|(stream, _)| !stream.is_empty()) {
            return Ok(Self::Sequence(Some(stream.to_owned()), sequence));
        }
        Err(format!("{text:?} is no beginning: write now, 10m, 2026-01-31T00:00:00Z, 42, ORDERS:42 or first"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_time_or_a_position() {
        let time = OffsetDateTime::from_unix_timestamp(0).unwrap();
        let cases = [
            ("now", Some(Since::Now)),
            ("first", Some(Since::First)),
            ("42", Some(Since::Sequence(None, Sequence(42)))),
            ("ORDERS:42", Some(Since::Sequence(Some("ORDERS".to_owned()), Sequence(42)))),
            ("1970-01-01T00:00:00Z", Some(Since::Time(time))),
            ("0", None),
            ("ORDERS:x", None),
            (":1", None),
            ("yesterday", None),
            ("5000000d", None),
            ("30000d", None),
            ("1969-12-31T23:59:59Z", None),
            ("2263-01-01T00:00:00Z", None),
        ];
        for (text, since) in cases {
            assert_eq!(text.parse::<Since>().ok(), since, "{text}");
        }
        let ago = |text: &str| match text.parse() {
            Ok(Since::Time(time)) => OffsetDateTime::now_utc() - time,
            other => panic!("{other:?}"),
        };
        assert!((ago("10m") - time::Duration::minutes(10)).abs() < time::Duration::minutes(1));
    }
}
