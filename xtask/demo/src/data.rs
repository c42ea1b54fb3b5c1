//! The invoice lines of a data file, in order, with the damaged payloads spliced in. Streams; holds one line at a time.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{BufReader, Read},
    iter,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use xxhash_rust::xxh64::xxh64;

const SLICE: &[u8] = include_bytes!("../data/online-retail-slice.csv.gz");
const DAMAGED: &str = include_str!("../data/damaged.jsonl");

/// One line of an invoice, its texts as they stand in the file.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    #[serde(rename = "InvoiceNo")]
    pub invoice: String,
    #[serde(rename = "StockCode")]
    pub stock_code: String,
    #[serde(rename = "Description")]
    pub description: String,
    #[serde(rename = "Quantity")]
    pub quantity: i64,
    #[serde(rename = "InvoiceDate")]
    pub date: String,
    #[serde(rename = "UnitPrice")]
    pub unit_price: String,
    #[serde(rename = "CustomerID")]
    pub customer: String,
    #[serde(rename = "Country")]
    pub country: String,
}

impl Line {
    /// The invoice's date as a timestamp.
    pub fn sold_at(&self) -> String {
        format!("{}Z", self.date.replacen(' ', "T", 1))
    }
}

/// A payload damaged on purpose, and the number of the line that it follows.
#[derive(Clone, Debug, Deserialize)]
pub struct Damaged {
    pub after: u64,
    pub payload: String,
}

/// What is published, one after the other.
#[derive(Clone, Debug)]
pub enum Item {
    /// A line with its number in the file, from 1.
    Line(u64, Line),
    Damaged(Damaged),
}

/// A data file: the project's own slice, or one that was named.
pub struct Data {
    file: Option<PathBuf>,
    /// Tells this file from any other.
    pub digest: String,
}

impl Data {
    pub fn open(file: Option<&Path>) -> Result<Self> {
        let bytes = match file {
            None => SLICE,
            Some(path) => &fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
        };
        let digest = format!("{:016x}", xxh64(bytes, 0));
        Ok(Self { file: file.map(Path::to_path_buf), digest })
    }

    /// Everything in it, from the start.
    pub fn items(&self) -> Result<impl Iterator<Item = Result<Item>>> {
        let bytes: Box<dyn Read> = match &self.file {
            None => Box::new(SLICE),
            Some(path) => Box::new(BufReader::new(File::open(path)?)),
        };
        let lines = csv::Reader::from_reader(MultiGzDecoder::new(bytes)).into_deserialize::<Line>();
        Ok(splice(lines, damaged()?))
    }
}

fn damaged() -> Result<VecDeque<Damaged>> {
    DAMAGED.lines().map(|line| serde_json::from_str(line).context("damaged.jsonl")).collect()
}

/// Puts each damaged payload behind its line, and what remains behind the last one.
fn splice(
    mut lines: impl Iterator<Item = csv::Result<Line>>,
    mut damaged: VecDeque<Damaged>,
) -> impl Iterator<Item = Result<Item>> {
    let mut number = 0;
    iter::from_fn(move || {
        if let Some(next) = damaged.pop_front_if(|next| next.after <= number) {
            return Some(Ok(Item::Damaged(next)));
        }
        if let Some(line) = lines.next() {
            number += 1;
            return Some(line.map(|line| Item::Line(number, line)).context("cannot read the data file"));
        }
        damaged.pop_front().map(|rest| Ok(Item::Damaged(rest)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slice_holds_real_lines_and_ten_damaged_payloads() -> Result<()> {
        let items: Vec<Item> = Data::open(None)?.items()?.collect::<Result<_>>()?;
        let damaged = items.iter().filter(|item| matches!(item, Item::Damaged(_))).count();
        assert_eq!((items.len(), damaged), (12_010, 10));
        assert!(matches!(&items[99], Item::Line(100, _)));
        assert!(matches!(&items[100], Item::Damaged(damaged) if damaged.after == 100));
        Ok(())
    }

    #[test]
    fn a_short_file_still_carries_every_damaged_payload() -> Result<()> {
        let items: Vec<_> = splice(iter::empty(), damaged()?).collect::<Result<_>>()?;
        assert_eq!(items.len(), 10);
        Ok(())
    }
}
