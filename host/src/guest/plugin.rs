//! A plugin: loaded and checked from a file, instantiated for a slice of inputs, called once for each.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use tracing::info;
use wasmtime::component::{Component, Linker};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, WasmBacktrace};

use super::engine::{Engine, TICK};
use super::error::LoadError;
use super::file::PluginFile;
use super::state::State;
use super::{Call, Setting, cache, v0_1, wasi};
use crate::config::Size;
use crate::effects::Effects;
use crate::lane::views::Views;
use crate::policy::{self, Failed, Failure};

/// What a plugin exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Answers events with events and view writes.
    Handler,
    /// Folds events into views.
    Projector,
}

/// The roles that this version runs.
pub(super) const ROLES: [(&str, Role); 2] = [("handler", Role::Handler), ("projector", Role::Projector)];

pub(super) fn interface(name: &str) -> String {
    format!("{}/{name}@{}", v0_1::PACKAGE, v0_1::VERSION)
}

/// How long compiling may take: the largest plugins we know take 4 s, and 50 s in a quick build on a busy machine.
const COMPILING: Duration = Duration::from_secs(120);
/// When it is said that this goes on.
const SILENT: Duration = Duration::from_millis(500);

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
    /// Loads the plugin in the file at `path`: a component, or a core module that the host wraps into one. If `pinned`
    /// is there, the file must have that digest.
    pub fn load(engine: &Engine, path: &Path, pinned: Option<&str>) -> Result<Self, LoadError> {
        let file = PluginFile::read(path)?;
        file.check(pinned)?;
        let contents = Contents::of(engine, file)?;
        let role = contents.role()?;
        let path = || path.to_owned();
        let refused = contents.refused();
        if !refused.is_empty() {
            return Err(LoadError::Imports { path: path(), imports: refused });
        }
        let pre = link(engine, &contents.component, role);
        let pre = pre.map_err(|cause| LoadError::Unlinkable { path: path(), cause: format!("{cause:#}") })?;
        Ok(Self { engine: engine.clone(), pre, role, digest: contents.file.digest })
    }

    /// Makes an instance that reads `views`. If that fails, the views come back with the failure.
    pub fn instantiate(&self, setting: &Setting, views: Views) -> Result<Instance, Box<(Failure, Views)>> {
        let limits = setting.limits;
        let mut store = Store::new(&self.engine.0, State::new(setting.clone(), views));
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(limits.host_call);
        store.set_max_component_handles(limits.handles);
        let ticks = ticks(limits.deadline);
        store.set_epoch_deadline(ticks);
        match self.pre.instantiate(&mut store) {
            Ok(export) => Ok(Instance { store, export, ticks }),
            Err(error) => {
                let mut state = store.into_data();
                let failure = failure_of(&error, &mut state, &[]);
                Err(Box::new((failure, state.views)))
            }
        }
    }
}

/// A guest that runs. After a failure it must not be called again.
pub struct Instance {
    store: Store<State>,
    export: v0_1::Export,
    ticks: u64,
}

impl Instance {
    /// Runs the guest on one input. Gives what it returned, and the last lines that it logged.
    pub fn call(&mut self, call: Call<'_>) -> Result<(Effects, Vec<String>), Failed> {
        self.store.data_mut().begin(call);
        self.store.set_epoch_deadline(self.ticks);
        let answer = self.export.call(&mut self.store, call);
        let state = self.store.data_mut();
        let log = state.log.end();
        let failure = match answer {
            Ok(Ok(effects)) => return Ok((effects, log)),
            Ok(Err(failure)) => failure,
            Err(error) => failure_of(&error, state, &log),
        };
        Err(Failed { failure, log })
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

/// Why a call or an instantiation ended in `error`, after the guest logged `log`.
fn failure_of(error: &wasmtime::Error, state: &mut State, log: &[String]) -> Failure {
    let limits = state.setting.limits;
    if let Some(stopped) = state.why_stopped() {
        return stopped;
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Failure::Interrupted(format!("all instances are in use: {error:#}"));
    }
    let root = error.root_cause().to_string();
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => return Failure::Timeout(limits.deadline),
        Some(Trap::StackOverflow) => {
            return Failure::Limit(format!("the stack is over the limit of {}", Size(limits.stack)));
        }
        // wasmtime has no type for it.
        _ if root.contains("fuel allocated for hostcalls") => {
            let limit = Size(limits.host_call);
            return Failure::Limit(format!("the bytes handed to the host in one call are over the limit of {limit}"));
        }
        _ => {}
    }
    let message = match (state.log.fault(), log.last()) {
        (Some(fault), _) => format!("{fault} ({root})"),
        (None, Some(last)) => format!("{root}; its last line was: {last}"),
        (None, None) => root,
    };
    Failure::Trap(policy::Trap { message, backtrace: backtrace(error) })
}

/// The most characters of a line of a backtrace: names are the plugin's to choose.
const FRAME: usize = 256;

/// The functions that a guest trapped in, innermost first, by their names if the plugin has them.
fn backtrace(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let shown = backtrace.to_string();
    shown.lines().skip(1).map(|line| line.trim().chars().take(FRAME).collect()).collect()
}

/// A compiled plugin, before it is checked.
pub struct Contents {
    /// The file.
    pub file: PluginFile,
    /// What it imports, by name.
    pub imports: Vec<String>,
    /// What it exports, by name.
    pub exports: Vec<String>,
    component: Component,
}

impl Contents {
    /// Compiles the component in `file`, or takes it from the cache.
    pub fn of(engine: &Engine, mut file: PluginFile) -> Result<Self, LoadError> {
        let (sender, done) = mpsc::channel();
        let (engine_too, bytes) = (engine.0.clone(), std::mem::take(&mut file.component));
        // Nothing can stop the compiler, but nobody has to wait for it.
        let compile = move || sender.send(cache::component(&engine_too, &bytes)).ok();
        let spawned = std::thread::Builder::new().name("compile".to_owned()).spawn(compile);
        let path = || file.path.clone();
        spawned.map_err(|cause| LoadError::Unreadable { path: path(), cause })?;
        let compiled = done.recv_timeout(SILENT).or_else(|failed| match failed {
            mpsc::RecvTimeoutError::Timeout => {
                info!(plugin = %file.path.display(), "the plugin is being compiled, once: a large one takes its time");
                done.recv_timeout(COMPILING)
            }
            ended @ mpsc::RecvTimeoutError::Disconnected => Err(ended),
        });
        let compiled = compiled.map_err(|failed| match failed {
            mpsc::RecvTimeoutError::Timeout => LoadError::TooSlow { path: path(), seconds: COMPILING.as_secs() },
            mpsc::RecvTimeoutError::Disconnected => {
                LoadError::NotWasm { path: path(), cause: "the compiler failed on it".to_owned() }
            }
        })?;
        let component = compiled.map_err(|cause| LoadError::NotWasm { path: path(), cause: format!("{cause:#}") })?;
        let kind = component.component_type();
        let imports = kind.imports(&engine.0).map(|(name, _)| name.to_owned()).collect();
        let exports = kind.exports(&engine.0).map(|(name, _)| name.to_owned()).collect();
        Ok(Self { file, imports, exports, component })
    }

    /// The plugin's one role.
    pub fn role(&self) -> Result<Role, LoadError> {
        let path = || self.file.path.clone();
        let mut roles: Vec<String> =
            self.exports.iter().filter(|name| name.starts_with(v0_1::PACKAGE)).cloned().collect();
        let Some(role) = roles.pop() else { return Err(LoadError::NoRole { path: path() }) };
        if !roles.is_empty() {
            roles.push(role);
            return Err(LoadError::ManyRoles { path: path(), roles });
        }
        let known = ROLES.iter().find(|(name, _)| interface(name) == role);
        known.map(|(_, role)| *role).ok_or_else(|| LoadError::UnknownRole { path: path(), role })
    }

    /// The imports that no plugin is granted: all but Pelton's own interfaces of this version, and the WASI that has
    /// nothing in it.
    pub fn refused(&self) -> Vec<String> {
        const OWN: [&str; 5] = ["types", "views", "log", "config", "random"];
        let is_granted = |name: &String| OWN.iter().any(|own| interface(own) == *name) || wasi::has(name);
        self.imports.iter().filter(|name| !is_granted(name)).cloned().collect()
    }
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
