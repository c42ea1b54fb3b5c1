//! Test support: a real nats-server, the real `pelton` binary, and waiting with a deadline.
//!
//! Whatever is started here ends with the process that started it, however that ends.

mod host;
mod locate;
mod process;
mod server;
mod wait;

pub use host::Host;
pub use locate::{binary, nats_server};
pub use process::Running;
pub use server::Server;
pub use wait::eventually;
