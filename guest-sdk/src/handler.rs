//! The role `handler`.

use crate::bindings::pelton::plugin::types;
use crate::{Effects, Event, Failure, Payload, host};

/// A handler: answers an event with events and view writes.
///
/// It must depend on nothing but its event and what this crate offers, so that running it again gives the same.
pub trait Handler {
    /// What its events say. A payload that does not parse is rejected before the handler sees it.
    type Payload: Payload;

    /// Called once for each input, in the order of its lane.
    fn handle(event: Event<Self::Payload>) -> Result<Effects, Failure>;
}

/// Makes the crate a plugin whose handler is the named type.
///
/// Natively it does nothing, so that the crate's tests can run.
#[macro_export]
macro_rules! export_handler {
    ($handler:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::handler::exports::pelton::plugin::handler;
            use $crate::bindings::pelton::plugin::types;

            struct PeltonExport;

            impl handler::Guest for PeltonExport {
                fn handle(event: types::Event) -> Result<types::Effects, types::Failure> {
                    $crate::handler::call::<$handler>(event)
                }
            }

    $crate::bindings::handler::export!(PeltonExport with_types_in $crate::bindings::handler);
        };
    };
}

/// Runs `H` on what the host sent. For [`export_handler!`](crate::export_handler).
#[doc(hidden)]
pub fn call<H: Handler>(event: types::Event) -> Result<types::Effects, types::Failure> {
    host::log_panics();
    let effects = H::handle(event.try_into()?)?;
    Ok(effects.into())
}
