//! The one seam to the host: the WIT imports in a plugin.
//! Natively the test kit takes the host's place, in `testing/host.rs`.

use std::sync::Once;

use crate::bindings::pelton::plugin::{config, log, random, views};
use crate::log::Level;

pub fn view(view: &str, key: &str) -> Option<Vec<u8>> {
    views::get(view, key)
}

pub fn setting(name: &str) -> Option<String> {
    config::get(name)
}

pub fn random() -> u32 {
    random::next()
}

pub fn log(level: Level, message: &str) {
    log::log(level, message);
}

/// From now on a panic says why in the operator's log; all else that is left of it is a trap.
pub fn log_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            log(Level::Error, &panic.to_string().replace("\n", " "));
        }));
    });
}
