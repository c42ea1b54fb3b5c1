//! One line of an invoice, as the shop records it.

use serde::Deserialize;

use crate::{Moment, Money};

/// One line of an invoice. It is dirty where the shop's records are: only its form is certain.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    /// The number of the invoice; that of a cancellation begins with `C`.
    pub invoice: String,
    /// What was sold: five digits, perhaps a letter. Fees, samples and corrections have other codes.
    pub stock_code: String,
    /// What was sold, in words.
    pub description: String,
    /// How many; negative for what came back.
    pub quantity: i64,
    /// The price of one, in pounds.
    pub unit_price: Money,
    /// Who bought, if known.
    pub customer: Option<String>,
    /// Where the customer lives.
    pub country: String,
    /// When.
    pub sold_at: Moment,
}

impl Line {
    /// Whether the line belongs to a cancelled invoice.
    pub fn is_cancellation(&self) -> bool {
        self.invoice.starts_with('C')
    }
}
