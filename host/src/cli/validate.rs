//! `pelton validate`: checks the config and loads the plugins that it names.

use serde::Serialize;

use super::Common;
use super::output::{print, table};
use crate::guest::{Engines, Plugin, Role};

#[derive(clap::Args)]
#[command(after_help = "Example:\n  pelton validate -c shop.toml")]
pub struct Validate {
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize)]
struct Valid {
    module: String,
    role: Role,
    lanes: u16,
    input: String,
    plugin: String,
}

impl Validate {
    pub fn main(self) -> anyhow::Result<()> {
        let config = self.common.load()?;
        let mut engines = Engines::default();
        let mut valid = Vec::new();
        for module in config.modules {
            let engine = engines.with_stack(module.limits.stack)?;
            let plugin = Plugin::load(&engine, &module.plugin, module.digest.as_deref())?;
            valid.push(Valid {
                module: module.name.to_string(),
                role: plugin.role,
                lanes: module.lanes.get(),
                input: module.input.stream,
                plugin: plugin.digest,
            });
        }
        print(self.common.output, &valid, |valid| {
            let rows = valid.iter().map(|valid| {
                let role = format!("{:?}", valid.role).to_lowercase();
                [valid.module.clone(), role, valid.lanes.to_string(), valid.input.clone(), valid.plugin.clone()]
            });
            table(["MODULE", "ROLE", "LANES", "INPUT", "PLUGIN"], rows)
        })
    }
}
