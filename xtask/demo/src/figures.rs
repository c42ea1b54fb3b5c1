//! What the demo is about, in figures: once as Pelton stored them, once as counted independently; and how they differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

/// Everything that is compared.
#[derive(Debug, Default)]
pub struct Figures {
    pub countries: BTreeMap<String, Tally>,
    pub customers: BTreeMap<String, Tally>,
    /// Cancellations by day.
    pub days: BTreeMap<String, u64>,
    /// Invoices that `flag` remembers as cancelled.
    pub remembered: BTreeSet<String>,
    /// What was emitted for each cancelled invoice; more than one entry is an error.
    pub cancelled: BTreeMap<String, Vec<Cancellation>>,
    /// Flagged lines by rule and invoice.
    pub flagged: BTreeMap<(String, String), u64>,
    /// Dead letters by sequence in RETAIL and module.
    pub dead: BTreeSet<(u64, String)>,
}

/// Sums over lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    pub lines: u64,
    pub units: i64,
    pub revenue_millionths: i128,
    pub first: String,
    pub last: String,
}

/// A cancelled invoice.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Cancellation {
    pub day: String,
    pub country: String,
    pub customer: Option<String>,
}

impl Figures {
    /// Says where `self`, as stored, differs from what was counted.
    pub fn differences(&self, counted: &Self) -> Vec<String> {
        [
            compare("country", &self.countries, &counted.countries),
            compare("customer", &self.customers, &counted.customers),
            compare("day", &self.days, &counted.days),
            compare("remembered invoice", &present(&self.remembered), &present(&counted.remembered)),
            compare("cancelled invoice", &self.cancelled, &counted.cancelled),
            compare("flagged", &self.flagged, &counted.flagged),
            compare("dead letter", &present(&self.dead), &present(&counted.dead)),
        ]
        .concat()
    }
}

fn present<T: Clone + Ord>(set: &BTreeSet<T>) -> BTreeMap<T, bool> {
    set.iter().map(|item| (item.clone(), true)).collect()
}

fn compare<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    stored: &BTreeMap<K, V>,
    counted: &BTreeMap<K, V>,
) -> Vec<String> {
    let shown = |value: Option<&V>| value.map_or("nothing".into(), |value| format!("{value:?}"));
    let keys: BTreeSet<&K> = stored.keys().chain(counted.keys()).collect();
    let pairs = keys.into_iter().map(|key| (key, stored.get(key), counted.get(key)));
    pairs
        .filter(|(_, stored, counted)| stored != counted)
        .map(|(key, stored, counted)| format!("{what} {key:?}: stored {}, counted {}", shown(stored), shown(counted)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_altered_number_is_one_difference() {
        let tally = Tally { lines: 3, ..Tally::default() };
        let counted = Figures { countries: BTreeMap::from([("EIRE".into(), tally.clone())]), ..Figures::default() };
        let mut stored = Figures { countries: counted.countries.clone(), ..Figures::default() };
        assert!(stored.differences(&counted).is_empty());

        stored.countries.insert("EIRE".into(), Tally { units: 1, ..tally });
        assert_eq!(stored.differences(&counted).len(), 1);
    }

    #[test]
    fn what_is_missing_or_too_much_is_a_difference() {
        let counted = Figures { dead: BTreeSet::from([(7, "flag".into())]), ..Figures::default() };
        let stored = Figures { days: BTreeMap::from([("2011-08-12".into(), 1)]), ..Figures::default() };
        assert_eq!(stored.differences(&counted).len(), 2);
    }
}
