//! The role `projector`.

use crate::bindings::pelton::plugin::types;
use crate::{Event, Failure, Payload, Write, host};

/// A projector: folds events into views. It emits nothing, so it can be rebuilt at will.
///
/// It must depend on nothing but its event and what this crate offers, so that running it again gives the same.
pub trait Projector {
    /// What its events say. A payload that does not parse is rejected before the projector sees it.
    type Payload: Payload;

    /// Called once for each input, in the order of its lane.
    fn project(event: Event<Self::Payload>) -> Result<Vec<Write>, Failure>;
}

/// Makes the crate a plugin whose projector is the named type.
///
/// Natively it does nothing, so that the crate's tests can run.
#[macro_export]
macro_rules! export_projector {
    ($projector:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::pelton::plugin::types;
            use $crate::bindings::projector::exports::pelton::plugin::projector;

            struct PeltonExport;

            impl projector::Guest for PeltonExport {
                fn project(event: types::Event) -> Result<Vec<types::ViewWrite>, types::Failure> {
                    $crate::projector::call::<$projector>(event)
                }
            }

    $crate::bindings::projector::export!(PeltonExport with_types_in $crate::bindings::projector);
        };
    };
}

/// Runs `P` on what the host sent. For [`export_projector!`](crate::export_projector).
#[doc(hidden)]
pub fn call<P: Projector>(event: types::Event) -> Result<Vec<types::ViewWrite>, types::Failure> {
    host::log_panics();
    let writes = P::project(event.try_into()?)?;
    Ok(writes.into_iter().map(|write| write.0).collect())
}
