//! Lines for the operator's log. They are no effect: a line may be dropped or repeated.
//!
//! ```
//! use pelton_sdk::log;
//!
//! log::warn("no price list");
//! log::info(format_args!("{} lines left", 3));
//! ```

use std::fmt::Display;

pub use crate::bindings::pelton::plugin::log::Level;
use crate::host;

/// Writes a line for finding faults.
pub fn debug(message: impl Display) {
    write(Level::Debug, message);
}

/// Writes a line for following what happens.
pub fn info(message: impl Display) {
    write(Level::Info, message);
}

/// Writes a line about something odd that needs nobody now.
pub fn warn(message: impl Display) {
    write(Level::Warn, message);
}

/// Writes a line about something that somebody should look at.
pub fn error(message: impl Display) {
    write(Level::Error, message);
}

/// Writes one line, marked by the host with the module and the event.
pub fn write(level: Level, message: impl Display) {
    host::log(level, &message.to_string());
}
