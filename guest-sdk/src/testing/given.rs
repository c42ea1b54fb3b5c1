//! What stands before an event comes.

use std::marker::PhantomData;

use serde::Serialize;

use super::{Outcome, Sample, host, to_json};
use crate::bindings::pelton::plugin::types::{self, Change};
use crate::{Effects, Failure, Handler, Projector, Write};

/// Begins a test of the plugin `P`, which is a [`Handler`] or a [`Projector`], with empty views and no settings.
pub fn given<P>() -> Given<P> {
    Given { state: host::State::default(), plugin: PhantomData }
}

/// What stands before an event comes.
#[derive(Debug)]
pub struct Given<P> {
    state: host::State,
    plugin: PhantomData<P>,
}

impl<P> Given<P> {
    /// A view that holds `value` as JSON under `key`.
    pub fn view<T: Serialize + ?Sized>(mut self, view: &str, key: &str, value: &T) -> Self {
        let place = (view.into(), key.into());
        self.state.views.insert(place, to_json(value));
        self
    }

    /// A setting of the module.
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.state.settings.insert(name.into(), value.into());
        self
    }

    /// Runs the plugin on `event`.
    pub fn when<R>(self, event: Sample) -> Outcome<P>
    where
        P: Role<R>,
    {
        let Sample(event) = event;
        let state = host::State { random: seed(&event.id), log: Vec::new(), ..self.state };
        let key = event.key.clone();
        let (state, result) = host::run(state, || P::run(event));
        let given = Self { state, ..self };
        Outcome { given, key, result }
    }

    /// Does to the views what `writes` say.
    pub(super) fn apply(&mut self, writes: Vec<Write>) {
        for Write(write) in writes {
            let place = (write.view, write.key);
            match write.change {
                Change::Put(value) => {
                    self.state.views.insert(place, value);
                }
                Change::Delete | Change::Other(_) => {
                    self.state.views.remove(&place);
                }
            }
        }
    }

    pub(super) fn log(&self) -> &[String] {
        &self.state.log
    }
}

/// What runs in a test: every [`Handler`] and every [`Projector`]. `R` tells which, and is inferred.
pub trait Role<R> {
    #[doc(hidden)]
    fn run(event: types::Event) -> Result<Effects, Failure>;
}

/// Marks a [`Role`] as that of a handler.
#[derive(Debug)]
pub struct AsHandler;

impl<H: Handler> Role<AsHandler> for H {
    fn run(event: types::Event) -> Result<Effects, Failure> {
        H::handle(event.try_into()?)
    }
}

/// Marks a [`Role`] as that of a projector.
#[derive(Debug)]
pub struct AsProjector;

impl<P: Projector> Role<AsProjector> for P {
    fn run(event: types::Event) -> Result<Effects, Failure> {
        let writes = P::project(event.try_into()?)?;
        let events = Vec::new();
        Ok(Effects { events, writes })
    }
}

/// FNV-1a of the event's id.
fn seed(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
