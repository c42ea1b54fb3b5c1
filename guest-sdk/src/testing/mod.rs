//! The test kit: runs a plugin natively, with the kit in the place of the host.
//!
//! Given views and settings, when an event comes, then these effects and no others:
//!
//! ```
//! use pelton_sdk::testing::{event, given, put};
//! # use pelton_sdk::{Event, Failure, Projector, View, Write};
//! # struct Count;
//! # const COUNTS: View<u64> = View::new("counts");
//! # impl Projector for Count {
//! #     type Payload = serde_json::Value;
//! #     fn project(event: Event<Self::Payload>) -> Result<Vec<Write>, Failure> {
//! #         let count = COUNTS.get(&event.key)?.unwrap_or(0) + 1;
//! #         Ok(vec![COUNTS.put(&event.key, &count)?])
//! #     }
//! # }
//!
//! given::<Count>()
//!     .view("counts", "France", &1)
//!     .when(event(&"an order").key("France"))
//!     .then([put("counts", "France", &2)])
//!     .when(event(&"another").key("France"))
//!     .then([put("counts", "France", &3)]);
//! ```
//!
//! What [`then`](Outcome::then) expects is in the views when the next event comes. A failing test shows what was
//! expected and what came, line by line, and what the plugin logged.
//!
//! Tests that hold for plugins in any language are better data: [`cases`] runs a folder of them.

mod cases;
mod expected;
mod given;
pub(crate) mod host;
mod outcome;
mod sample;

pub use cases::cases;
pub use expected::{Expected, delete, emit, put};
pub use given::{AsHandler, AsProjector, Given, Role, given};
pub use outcome::Outcome;
pub use pelton_cases as case;
pub use sample::{Sample, event, event_raw};

/// A value of a test as JSON.
#[expect(clippy::panic, reason = "a test whose values are no JSON cannot go on")]
#[track_caller]
fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> Vec<u8> {
    match serde_json::to_vec(value) {
        Ok(json) => json,
        Err(error) => panic!("a value of the test is no JSON: {error}"),
    }
}
