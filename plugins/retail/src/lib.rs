//! What the plugins of the retail example share: the lines of a shop's invoices, and what is made of them.

mod line;
mod moment;
mod money;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod totals;

pub use line::Line;
pub use moment::Moment;
pub use money::Money;
pub use totals::{Overflow, Totals};

use serde::{Deserialize, Serialize};

/// The data of an `invoice.cancelled` event.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Cancelled {
    /// The number of the invoice, which begins with `C`.
    pub invoice: String,
    /// The day on which it was cancelled, for example `2010-12-01`.
    pub day: String,
    /// Where the customer lives.
    pub country: String,
    /// Who bought, if known.
    pub customer: Option<String>,
}
