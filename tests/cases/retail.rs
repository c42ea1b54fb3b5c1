//! Real invoice lines, and an independent fold over them, in whole numbers.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

/// Lines taken of the slice, spread over it.
pub const LINES: usize = 600;

/// A line as published.
pub struct Line {
    /// As JSON.
    pub data: Value,
    /// Where it stands in the stream.
    pub sequence: u64,
}

impl Line {
    /// A field of text.
    pub fn text(&self, field: &str) -> &str {
        self.data[field].as_str().unwrap_or_default()
    }

    /// The quantity.
    pub fn quantity(&self) -> i64 {
        self.data["quantity"].as_i64().unwrap_or_default()
    }

    /// The unit price in ten-thousandths.
    pub fn price(&self) -> i64 {
        ten_thousandths(self.text("unit_price"))
    }

    /// Whether its invoice is a cancellation.
    pub fn is_cancellation(&self) -> bool {
        self.text("invoice").starts_with('C')
    }
}

/// The lines.
pub fn lines() -> Result<Vec<Value>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../xtask/demo/data/online-retail-slice.csv.gz");
    let file = std::fs::File::open(path).context(path)?;
    let mut reader = csv::Reader::from_reader(GzDecoder::new(file));
    let records: Vec<BTreeMap<String, String>> = reader.deserialize().collect::<Result<_, _>>()?;
    let every = records.len() / LINES;
    let line = |record: &BTreeMap<String, String>| {
        let field = |name: &str| record.get(name).cloned().with_context(|| format!("no column {name}"));
        let customer = Some(field("CustomerID")?).filter(|customer| !customer.is_empty());
        let sold_at = field("InvoiceDate")?.replace(' ', "T") + "Z";
        Ok(json!({
            "invoice": field("InvoiceNo")?, "stock_code": field("StockCode")?, "description": field("Description")?,
            "quantity": field("Quantity")?.parse::<i64>()?, "unit_price": field("UnitPrice")?,
            "customer": customer, "country": field("Country")?, "sold_at": sold_at,
        }))
    };
    records.iter().step_by(every).take(LINES).map(line).collect()
}

/// Lines, units, revenue in ten-thousandths, first and last sale.
pub type Totals = (i64, i64, i64, String, String);

/// The totals by a key.
pub fn totals<'a>(lines: &'a [Line], key: impl Fn(&'a Line) -> &'a str) -> BTreeMap<String, Totals> {
    let mut all = BTreeMap::<String, Totals>::new();
    for line in lines {
        let at = line.text("sold_at").to_owned();
        let entry = all.entry(key(line).to_owned()).or_insert((0, 0, 0, at.clone(), at.clone()));
        entry.0 += 1;
        entry.1 += line.quantity();
        entry.2 += line.quantity() * line.price();
        entry.3 = entry.3.clone().min(at.clone());
        entry.4 = entry.4.clone().max(at);
    }
    all
}

/// A decimal text in ten-thousandths.
pub fn ten_thousandths(text: &str) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: i64 = format!("{}{fraction:0<4}", whole.trim_start_matches('-')).parse().unwrap_or_default();
    if text.starts_with('-') { -digits } else { digits }
}
