//! What an operator sees live of an app. [`look`] asks the hosts, [`figures`] makes rates of two looks, [`screen`] takes keys,
//! [`draw`] makes text of it all; only the first knows I/O.

pub mod column;
pub mod draw;
pub mod figures;
pub mod look;
pub mod screen;
pub mod text;
