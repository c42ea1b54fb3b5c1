//! What the demo can be told.

use std::path::PathBuf;

/// The demo's options.
#[derive(clap::Args)]
pub struct Options {
    /// Read this file instead of the slice that the project carries (see xtask/demo/data)
    #[arg(long, value_name = "FILE.csv.gz")]
    pub data: Option<PathBuf>,
    /// Start clean, even if an interrupted demo could go on
    #[arg(long)]
    pub fresh: bool,
    /// Leave everything running at the end, until Ctrl-C
    #[arg(long)]
    pub keep: bool,
    /// Only compare again what a kept demo holds by now
    #[arg(long, conflicts_with_all = ["fresh", "keep"])]
    pub check_only: bool,
    /// Use another folder than .pelton/demo
    #[arg(long, hide = true)]
    pub folder: Option<PathBuf>,
}
