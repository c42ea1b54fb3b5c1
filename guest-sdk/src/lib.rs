//! Write Pelton plugins in Rust.
//!
//! A plugin is a pure function: it gets an [`Event`] and read access to its own [views](View), and returns
//! [`Effects`]. It never sees NATS, retries, offsets or transactions: the host commits all that it returns exactly
//! once, or nothing. It has no clock, no network and no files; time is the event's, and [`random`] is seeded by the
//! event's id.
//!
//! This is a complete one. It counts the orders of each customer and announces each tenth:
//!
//! ```
//! use pelton_sdk::{Effects, Emitted, Event, Failure, Handler, View};
//!
//! const COUNTS: View<u64> = View::new("counts");
//!
//! #[derive(serde::Deserialize)]
//! struct Order {
//!     total: u64,
//! }
//!
//! struct Loyalty;
//!
//! impl Handler for Loyalty {
//!     type Payload = Order;
//!
//!     fn handle(event: Event<Order>) -> Result<Effects, Failure> {
//!         let count = COUNTS.get(&event.key)?.unwrap_or(0) + 1;
//!         let mut effects = Effects::new();
//!         effects.write(COUNTS.put(&event.key, &count)?);
//!         if count % 10 == 0 {
//!             effects.emit(Emitted::json("rewards", "reward.earned", &event.payload.total)?);
//!         }
//!         Ok(effects)
//!     }
//! }
//!
//! pelton_sdk::export_handler!(Loyalty);
//!
//! // And its test, which runs natively:
//! use pelton_sdk::testing::{emit, event, given, put};
//!
//! given::<Loyalty>()
//!     .view("counts", "ada", &9)
//!     .when(event(&serde_json::json!({ "total": 42 })).key("ada"))
//!     .then([emit("rewards", "ada", "reward.earned", &42), put("counts", "ada", &10)]);
//! ```
//!
//! The crate of a plugin has `crate-type = ["cdylib", "rlib"]` and builds with plain
//! `cargo build --release --target wasm32-unknown-unknown`; the host loads the resulting `.wasm` as it is.
//!
//! - Roles: [`Handler`] with [`export_handler!`], [`Projector`] with [`export_projector!`].
//! - Payloads: any type that serde reads from JSON, or [`Raw`]. What does not parse becomes a dead letter that says
//!   which field was wrong.
//! - Imports: [`View`], [`config`], [`random`], [`log`].
//! - Tests: [`testing`].

#[doc(hidden)]
pub mod bindings;
pub mod config;
mod effects;
mod event;
mod failure;
#[doc(hidden)]
pub mod handler;
#[cfg(target_arch = "wasm32")]
mod host;
mod json;
pub mod log;
#[doc(hidden)]
pub mod projector;
pub mod random;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod view;

pub use effects::{Effects, Emitted, Write};
pub use event::{Attribute, Event, Payload, Raw};
pub use failure::Failure;
pub use handler::Handler;
pub use projector::Projector;
#[cfg(not(target_arch = "wasm32"))]
use testing::host;
pub use view::View;
