//! Amounts of money, exact to 28 digits.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// An amount of money, exact to 28 digits. In JSON it is a text such as `"2.55"`, so that no reader rounds it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Money(Decimal);

impl Money {
    /// No money.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// That many times this amount, or none if that is too much to hold.
    pub fn times(self, count: i64) -> Option<Self> {
        self.0.checked_mul(count.into()).map(Self)
    }

    /// The sum without trailing zeros, or none if that is too much to hold.
    pub fn plus(self, other: Self) -> Option<Self> {
        let sum = self.0.checked_add(other.0)?;
        Some(Self(sum.normalize()))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for Money {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let amount = Decimal::from_str_exact(&text);
        amount.map(Self).map_err(|error| format!("{text:?} is no amount of money: {error}"))
    }
}

impl From<Money> for String {
    fn from(money: Money) -> Self {
        money.to_string()
    }
}
