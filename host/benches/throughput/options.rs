//! What the bench can be told.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use crate::load::Load;

/// Compares Pelton with a native pipeline that does the same work.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
pub struct Options {
    /// Runs of each side
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// Inputs of a run; if the data holds fewer lines they repeat
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub inputs: u64,
    /// Lanes of each of Pelton's modules
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    pub lanes: u16,
    /// Take invoice lines from this file instead of the slice that the project carries
    #[arg(long, value_name = "FILE.csv.gz")]
    pub data: Option<PathBuf>,
    /// Run only this load
    #[arg(long, value_parser = ["retail", "plain"])]
    pub only: Option<String>,
    /// What cargo passes to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// The loads to run.
    pub fn loads(&self) -> Result<Vec<Load>> {
        let all = [Load::retail(self.data.as_deref(), self.inputs, self.lanes)?, Load::plain(self.lanes)];
        Ok(all.into_iter().filter(|load| self.only.as_ref().is_none_or(|only| only == load.name)).collect())
    }
}
