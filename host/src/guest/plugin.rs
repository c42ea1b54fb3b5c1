//! A plugin: loaded and checked from a file, instantiated for a slice of inputs, called once for each.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Linker};
use wasmtime::{Module, Store, Trap};

use super::engine::{Engine, TICK};
use super::state::State;
use super::{Call, Setting, v0_1, wasi};
use crate::effects::Effects;
use crate::lane::views::Views;
use crate::policy::Failure;

/// What a plugin exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Answers events with events and view writes.
    Handler,
    /// Folds events into views.
    Projector,
}

/// Why a file does not load as a plugin.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum LoadError {
    #[error("plugin {path}: {cause}")]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("plugin {path}: not a WebAssembly module or component: {cause}")]
    NotWasm { path: PathBuf, cause: String },
    #[error("plugin {path}: the module cannot be wrapped into a component (was it built with the SDK?): {cause}")]
    NotWrappable { path: PathBuf, cause: String },
    #[error("plugin {path}: imports {}, which is not granted: rebuild without it", .imports.join(", "))]
    Imports { path: PathBuf, imports: Vec<String> },
    #[error(
        "plugin {path}: exports no role; it must export one of {}, for example with pelton_sdk::export_handler!",
        ROLES.map(|(name, _)| interface(name)).join(", ")
    )]
    NoRole { path: PathBuf },
    #[error("plugin {path}: exports {}: a plugin has one role, in one version", .roles.join(" and "))]
    ManyRoles { path: PathBuf, roles: Vec<String> },
    #[error("plugin {path}: exports {role}, which this version of Pelton does not run (it runs {})", ROLES.map(|(name, _)| interface(name)).join(", "))]
    UnknownRole { path: PathBuf, role: String },
    #[error("plugin {path}: does not link: {cause}")]
    Unlinkable { path: PathBuf, cause: String },
}

const ROLES: [(&str, Role); 2] = [("handler", Role::Handler), ("projector", Role::Projector)];

fn interface(name: &str) -> String {
    format!("{}/{name}@{}", v0_1::PACKAGE, v0_1::VERSION)
}

/// A compiled and checked plugin.
#[derive(Clone)]
pub struct Plugin {
    engine: Engine,
    pre: v0_1::Pre,
    /// What it exports.
    pub role: Role,
    /// `sha256:` and the hex digest of the file.
    pub digest: String,
}

impl Plugin {
    /// Loads the plugin in the file at `path`: a component, or a core module that the host wraps into one.
    pub fn load(engine: &Engine, path: &Path) -> Result<Self, LoadError> {
        let own = || path.to_owned();
        let file = std::fs::read(path).map_err(|cause| LoadError::Unreadable { path: own(), cause })?;
        let digest = format!("sha256:{:x}", Sha256::digest(&file));
        let not_wasm = |cause: wasmtime::Error| LoadError::NotWasm { path: own(), cause: format!("{cause:#}") };
        let bytes = if is_core_module(&file) {
            // The encoder takes a valid module for granted.
            Module::validate(&engine.0, &file).map_err(not_wasm)?;
            wrap(&file).map_err(|cause| LoadError::NotWrappable { path: own(), cause: format!("{cause:#}") })?
        } else {
            file
        };
        let component = Component::from_binary(&engine.0, &bytes).map_err(not_wasm)?;
        let role = role_of(engine, &component, path)?;
        check_imports(engine, &component, path)?;
        let pre = link(engine, &component, role);
        let pre = pre.map_err(|cause| LoadError::Unlinkable { path: own(), cause: format!("{cause:#}") })?;
        Ok(Self { engine: engine.clone(), pre, role, digest })
    }

    /// Makes an instance that reads `views`. If that fails, the views come back with the failure.
    pub fn instantiate(&self, setting: &Setting, views: Views) -> Result<Instance, Box<(Failure, Views)>> {
        let mut store = Store::new(&self.engine.0, State::new(setting.clone(), views));
        store.limiter(|state| &mut state.limits);
        let ticks = ticks(setting.limits.deadline);
        store.set_epoch_deadline(ticks);
        match self.pre.instantiate(&mut store) {
            Ok(export) => Ok(Instance { store, export, ticks, deadline: setting.limits.deadline }),
            Err(error) => {
                let failure = failure_of(&error, setting.limits.deadline);
                Err(Box::new((failure, store.into_data().views)))
            }
        }
    }
}

/// A guest that runs. After a failure it must not be called again.
pub struct Instance {
    store: Store<State>,
    export: v0_1::Export,
    ticks: u64,
    deadline: std::time::Duration,
}

impl Instance {
    /// Runs the guest on one input.
    pub fn call(&mut self, call: Call<'_>) -> Result<Effects, Failure> {
        self.store.data_mut().begin(call);
        self.store.set_epoch_deadline(self.ticks);
        let answer = self.export.call(&mut self.store, call);
        self.store.data_mut().log.end();
        match answer {
            Ok(answer) => answer,
            Err(error) => {
                let stopped = self.store.data_mut().stopped.take();
                Err(stopped.unwrap_or_else(|| failure_of(&error, self.deadline)))
            }
        }
    }

    /// The views of the lane that it runs for.
    pub fn views(&mut self) -> &mut Views {
        &mut self.store.data_mut().views
    }

    /// Ends the instance and gives the views back.
    pub fn into_views(self) -> Views {
        self.store.into_data().views
    }
}

/// A deadline in ticks of the epoch, rounded up, and one more since the first may come at once.
fn ticks(deadline: std::time::Duration) -> u64 {
    u64::try_from(deadline.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX / 2) + 1
}

fn failure_of(error: &wasmtime::Error, deadline: std::time::Duration) -> Failure {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Failure::Timeout(deadline),
        _ => Failure::Trap(format!("{error:#}")),
    }
}

/// Whether `file` begins as a core module does, and not as a component.
fn is_core_module(file: &[u8]) -> bool {
    file.starts_with(b"\0asm\x01\0\0\0")
}

/// The component made of the core module that plain `cargo build` gives.
fn wrap(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    wit_component::ComponentEncoder::default().validate(true).module(module)?.encode()
}

fn role_of(engine: &Engine, component: &Component, path: &Path) -> Result<Role, LoadError> {
    let path = || path.to_owned();
    let kind = component.component_type();
    let names = kind.exports(&engine.0).map(|(name, _)| name.to_owned());
    let mut roles: Vec<String> = names.filter(|name| name.starts_with(v0_1::PACKAGE)).collect();
    let Some(role) = roles.pop() else { return Err(LoadError::NoRole { path: path() }) };
    if !roles.is_empty() {
        roles.push(role);
        return Err(LoadError::ManyRoles { path: path(), roles });
    }
    let known = ROLES.iter().find(|(name, _)| interface(name) == role);
    known.map(|(_, role)| *role).ok_or_else(|| LoadError::UnknownRole { path: path(), role })
}

/// What a plugin may import: Pelton's own interfaces of this version, and the WASI that has nothing in it.
fn check_imports(engine: &Engine, component: &Component, path: &Path) -> Result<(), LoadError> {
    const OWN: [&str; 5] = ["types", "views", "log", "config", "random"];
    const WASI: [&str; 6] =
        ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];
    let granted =
        |name: &str| OWN.iter().any(|own| interface(own) == name) || WASI.iter().any(|prefix| name.starts_with(prefix));
    let kind = component.component_type();
    let names = kind.imports(&engine.0).map(|(name, _)| name.to_owned());
    let imports: Vec<String> = names.filter(|name| !granted(name)).collect();
    if imports.is_empty() { Ok(()) } else { Err(LoadError::Imports { path: path.to_owned(), imports }) }
}

fn link(engine: &Engine, component: &Component, role: Role) -> wasmtime::Result<v0_1::Pre> {
    let mut linker = Linker::new(&engine.0);
    v0_1::add_to_linker(&mut linker)?;
    wasi::add_to_linker(&mut linker)?;
    let pre = linker.instantiate_pre(component)?;
    match role {
        Role::Handler => v0_1::Pre::handler(pre),
        Role::Projector => v0_1::Pre::projector(pre),
    }
}
