//! What `pelton dev` stands on: a server of one's own, builds, and files that are watched.

pub mod age;
pub mod build;
pub mod server;
pub mod watch;
pub mod watched;

/// Where, beside the config file, `pelton dev` keeps its server's store.
pub const SERVER: &str = ".pelton/nats";
