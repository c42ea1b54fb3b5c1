//! The soak's folder: stores and logs of the servers, configs and logs of the hosts, plugins, records.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Plugins that are run.
const PLUGINS: [&str; 6] = ["oracle", "fold", "by_country", "by_customer", "flag", "by_day"];

/// The folder. Dropped, it goes, unless it is kept.
pub struct Folder(TempDir);

impl Folder {
    /// Makes it, with copies of the plugins in it.
    pub fn new(built: &Path) -> Result<Self> {
        let folder = Self(tempfile::Builder::new().prefix("pelton-soak-").tempdir()?);
        fs::create_dir(folder.plugins())?;
        for plugin in PLUGINS {
            let (from, to) = (built.join(plugin).with_extension("wasm"), folder.plugin(plugin));
            fs::copy(&from, to).with_context(|| format!("cannot copy {}", from.display()))?;
        }
        Ok(folder)
    }

    /// Leaves it in its place, and says where.
    pub fn keep(self) -> PathBuf {
        self.0.keep()
    }

    pub fn servers(&self) -> PathBuf {
        self.0.path().join("servers")
    }

    pub fn plugins(&self) -> PathBuf {
        self.0.path().join("plugins")
    }

    pub fn plugin(&self, name: &str) -> PathBuf {
        self.plugins().join(name).with_extension("wasm")
    }

    /// The config of a host.
    pub fn host(&self, number: usize) -> PathBuf {
        self.0.path().join(format!("host-{number}.toml"))
    }

    /// The config that operators have, who go to the servers themselves.
    pub fn operator(&self) -> PathBuf {
        self.0.path().join("operator.toml")
    }

    /// A file of that name.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
