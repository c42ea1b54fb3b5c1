//! The module's settings, from `[modules.NAME.config]` in the host's config file.

use crate::host;

/// The setting of that name, or none.
pub fn get(name: &str) -> Option<String> {
    host::setting(name)
}
