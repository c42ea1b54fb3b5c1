//! The WIT interfaces `pelton:plugin@0.1.0`: bindings, the host's side of the imports, and conversion at the edge. The
//! generated types never leave this folder.

mod bindings;
mod convert;

use wasmtime::component::{HasSelf, InstancePre, Linker};
use wasmtime::{Result, Store};

use self::bindings::pelton::plugin::{config, log, random, types, views};
use super::Call;
use super::state::State;
use crate::effects::Effects;
use crate::policy::Failure;

/// The package and version that these bindings are of.
pub const PACKAGE: &str = "pelton:plugin";
/// The version.
pub const VERSION: &str = "0.1.0";

/// Links what a plugin of this version may import.
pub fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    bindings::Imports::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

/// A plugin's role, found among its exports, ready to be instantiated.
#[derive(Clone)]
pub enum Pre {
    /// A handler.
    Handler(bindings::handler::HandlerPluginPre<State>),
    /// A projector.
    Projector(bindings::projector::ProjectorPluginPre<State>),
}

/// An instance's exported function.
pub enum Export {
    /// A handler's.
    Handler(bindings::handler::HandlerPlugin),
    /// A projector's.
    Projector(bindings::projector::ProjectorPlugin),
}

impl Pre {
    /// The handler in a component that exports one.
    pub fn handler(pre: InstancePre<State>) -> Result<Self> {
        bindings::handler::HandlerPluginPre::new(pre).map(Self::Handler)
    }

    /// The projector in a component that exports one.
    pub fn projector(pre: InstancePre<State>) -> Result<Self> {
        bindings::projector::ProjectorPluginPre::new(pre).map(Self::Projector)
    }

    /// Makes an instance in `store`.
    pub fn instantiate(&self, store: &mut Store<State>) -> Result<Export> {
        match self {
            Self::Handler(pre) => pre.instantiate(store).map(Export::Handler),
            Self::Projector(pre) => pre.instantiate(store).map(Export::Projector),
        }
    }
}

impl Export {
    /// Calls the guest. The outer error is a trap, the inner one the guest's own answer.
    pub fn call(&self, store: &mut Store<State>, call: Call<'_>) -> Result<Result<Effects, Failure>> {
        let event = convert::event(call);
        Ok(match self {
            Self::Handler(handler) => match handler.pelton_plugin_handler().call_handle(store, &event)? {
                Ok(effects) => convert::effects(effects),
                Err(failure) => Err(convert::failure(failure)),
            },
            Self::Projector(projector) => match projector.pelton_plugin_projector().call_project(store, &event)? {
                Ok(writes) => convert::writes(writes).map(|writes| Effects { events: Vec::new(), writes }),
                Err(failure) => Err(convert::failure(failure)),
            },
        })
    }
}

impl types::Host for State {}

impl views::Host for State {
    fn get(&mut self, view: String, key: String) -> Result<Option<Vec<u8>>> {
        self.view(&view, &key)
    }
}

impl log::Host for State {
    fn log(&mut self, level: log::Level, message: String) -> Result<()> {
        let level = match level {
            log::Level::Debug => tracing::Level::DEBUG,
            log::Level::Info => tracing::Level::INFO,
            log::Level::Warn => tracing::Level::WARN,
            log::Level::Error => tracing::Level::ERROR,
        };
        self.log.line(level, &message);
        Ok(())
    }
}

impl config::Host for State {
    fn get(&mut self, name: String) -> Result<Option<String>> {
        Ok(self.setting.config.get(&name).cloned())
    }
}

impl random::Host for State {
    fn next(&mut self) -> Result<u32> {
        Ok(self.wasi.random())
    }
}
