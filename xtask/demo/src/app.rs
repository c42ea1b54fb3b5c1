//! The app as the demo deploys it: its config, its modules and their lanes.

use std::path::Path;

use serde::Deserialize;
use xxhash_rust::xxh64::xxh64;

use super::data::Line;

/// The app stream.
pub const STREAM: &str = "KV_demo";
/// Where the app's own cancellations are, which `by-day` counts.
pub const CANCELLATIONS: &str = "pelton.demo.events.invoices.>";
/// What the app's modules emit.
pub const CATEGORIES: [&str; 2] = ["invoices", "lines"];
/// The module that counts cancellations, with one lane.
pub const BY_DAY: &str = "by-day";
/// The key of lines that name no customer.
pub const ANONYMOUS: &str = "anonymous";

/// Lanes of each module that reads RETAIL.
pub const LANES: u64 = 4;

/// A module that reads RETAIL.
pub struct Module {
    pub name: &'static str,
    pub key: fn(&Line) -> &str,
}

impl Module {
    /// The lane that a line belongs to.
    pub fn lane(&self, line: &Line) -> u64 {
        xxh64((self.key)(line).as_bytes(), 0) % LANES
    }
}

/// The modules that read RETAIL, with [LANES] lanes each.
pub const MODULES: [Module; 3] = [
    Module { name: "by-country", key: |line| &line.country },
    Module {
        name: "by-customer",
        key: |line| Some(line.customer.as_str()).filter(|key| !key.is_empty()).unwrap_or(ANONYMOUS),
    },
    Module { name: "flag", key: |line| &line.invoice },
];

/// A checkpoint, as far as the demo looks into it.
#[derive(Default, Deserialize)]
pub struct Checkpoint {
    pub position: u64,
    pub covered: u64,
}

/// The config for a server at `nats` and plugins in the folder `plugins`.
pub fn config(nats: &str, plugins: &Path) -> String {
    include_str!("pelton.toml").replace("@NATS@", nats) + &modules(plugins)
}

/// Its part that is about modules.
pub fn modules(plugins: &Path) -> String {
    include_str!("modules.toml").replace("@PLUGINS@", &plugins.to_string_lossy())
}

/// Where the checkpoints of the modules that read RETAIL are.
pub fn checkpoints() -> Vec<String> {
    let lanes = MODULES.iter().flat_map(|module| (0..LANES).map(|lane| checkpoint(module.name, lane)));
    lanes.collect()
}

/// Where a lane's checkpoint is. The demo always begins anew, so everything is of generation 1.
pub fn checkpoint(module: &str, lane: u64) -> String {
    format!("pelton.demo.ckpt.{module}.1.{lane}")
}
