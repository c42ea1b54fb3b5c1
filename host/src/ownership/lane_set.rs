//! A set of lanes, written as ranges: `0-3,7`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A set of lanes of one module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LaneSet(BTreeSet<u16>);

impl LaneSet {
    /// Whether `lane` is among them.
    pub fn contains(&self, lane: u16) -> bool {
        self.0.contains(&lane)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lanes, in order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<u16> for LaneSet {
    fn from_iter<I: IntoIterator<Item = u16>>(lanes: I) -> Self {
        Self(lanes.into_iter().collect())
    }
}

impl fmt::Display for LaneSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for lane in self.iter() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == lane => *last = lane,
                _ => ranges.push((lane, lane)),
            }
        }
        for (at, (first, last)) in ranges.into_iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}-{last}")? }
        }
        Ok(())
    }
}

/// Why a text is no set of lanes.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no set of lanes like 0-3,7")]
pub struct BadLanes(String);

impl FromStr for LaneSet {
    type Err = BadLanes;

    fn from_str(text: &str) -> Result<Self, BadLanes> {
        let bad = || BadLanes(text.to_owned());
        let number = |text: &str| text.parse::<u16>().map_err(|_| bad());
        let mut lanes = BTreeSet::new();
        for range in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(bad());
            }
            lanes.extend(first..=last);
        }
        Ok(Self(lanes))
    }
}

impl TryFrom<String> for LaneSet {
    type Error = BadLanes;

    fn try_from(text: String) -> Result<Self, BadLanes> {
        text.parse()
    }
}

impl From<LaneSet> for String {
    fn from(lanes: LaneSet) -> Self {
        lanes.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lanes_are_written_as_ranges() {
        for (lanes, text) in [(vec![], ""), (vec![5], "5"), (vec![0, 1, 2, 7, 9, 10], "0-2,7,9-10")] {
            assert_eq!(LaneSet::from_iter(lanes).to_string(), text);
        }
        for bad in ["a", "1-", "3-1", "1,", "-", "70000"] {
            assert!(bad.parse::<LaneSet>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_set_comes_back(lanes in proptest::collection::btree_set(0_u16..300, 0..60)) {
            let set = LaneSet(lanes);
            prop_assert_eq!(set.to_string().parse::<LaneSet>().unwrap(), set);
        }
    }
}
