//! Why a file does not load as a plugin.

use std::path::PathBuf;

use super::plugin::{ROLES, interface};

/// Why a file does not load as a plugin.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum LoadError {
    #[error("plugin {path}: {cause}")]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("plugin {path}: {cause}")]
    NoFile { path: PathBuf, cause: String },
    #[error(
        "plugin {path}: its digest is {found}, but the module's `digest` is {expected}: put the pinned file back, or pin \
         the new one if it is meant"
    )]
    Digest { path: PathBuf, expected: String, found: String },
    #[error("plugin {path}: not a WebAssembly module or component: {cause}")]
    NotWasm { path: PathBuf, cause: String },
    #[error("plugin {path}: too much to load: {cause}")]
    TooMuch { path: PathBuf, cause: String },
    #[error(
        "plugin {path}: was not compiled after {seconds} s, and is given up: try again when the machine is less busy, or make the plugin smaller"
    )]
    TooSlow { path: PathBuf, seconds: u64 },
    #[error("plugin {path}: the module cannot be wrapped into a component ({}): {cause}", likely(.cause))]
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

/// What a module that cannot be wrapped is most likely to have been built with.
fn likely(cause: &str) -> &'static str {
    if cause.contains("wasi_snapshot_preview1") {
        "it asks the system for something, such as files or time: a plugin has none"
    } else {
        "was it built with the SDK?"
    }
}
