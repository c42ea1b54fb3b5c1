//! Test support: a real nats-server, the real `pelton` binary, and waiting with a deadline.
//!
//! Whatever is started here ends with the process that started it, however that ends.

mod app;
pub mod browser;
mod cluster;
pub mod collector;
mod host;
mod http;
mod locate;
pub mod oracle;
mod process;
pub mod proxy;
mod pty;
mod random;
mod server;
pub mod stored;
mod wait;

pub use app::{App, LONG, SOON, logged, plugins, wasi_probe};
pub use cluster::Cluster;
pub use host::Host;
pub use http::{Answer, Events, Http};
pub use locate::{binary, nats_server, tools};
pub use process::Running;
pub use proxy::Proxy;
pub use pty::Pty;
pub use random::{Random, seed};
pub use server::Server;
pub use wait::eventually;
