//! The fuzz targets: each takes any bytes, makes inputs of them, and asserts what must hold whatever they are.

mod config;
mod envelope;
mod keys;
mod message;
mod results;
mod source;

pub use self::config::config;
pub use self::envelope::envelope;
pub use self::keys::keys;
pub use self::results::results;
