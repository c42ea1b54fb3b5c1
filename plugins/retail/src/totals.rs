//! What lines add up to.

use serde::{Deserialize, Serialize};

use crate::{Line, Moment, Money};

/// What the lines of a country or a customer add up to, returns included.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Totals {
    /// How many lines.
    pub lines: u64,
    /// How many units were sold, less those that came back.
    pub units: i64,
    /// The sum of quantity times unit price.
    pub revenue: Money,
    /// When the earliest line was recorded.
    pub first: Moment,
    /// When the latest line was recorded.
    pub last: Moment,
}

/// Totals that are too large to hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Overflow;

impl std::fmt::Display for Overflow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the totals are too large to hold")
    }
}

impl std::error::Error for Overflow {}

impl Totals {
    /// The totals of what `before` tells of (nothing, at the start) and of `line`.
    pub fn add(before: Option<Self>, line: &Line) -> Result<Self, Overflow> {
        let before = before.unwrap_or_else(|| Self::none(&line.sold_at));
        before.plus(line).ok_or(Overflow)
    }

    fn none(moment: &Moment) -> Self {
        Self { lines: 0, units: 0, revenue: Money::ZERO, first: moment.clone(), last: moment.clone() }
    }

    fn plus(self, line: &Line) -> Option<Self> {
        let revenue = line.unit_price.times(line.quantity)?;
        Some(Self {
            lines: self.lines.checked_add(1)?,
            units: self.units.checked_add(line.quantity)?,
            revenue: self.revenue.plus(revenue)?,
            first: self.first.min(line.sold_at.clone()),
            last: self.last.max(line.sold_at.clone()),
        })
    }
}
