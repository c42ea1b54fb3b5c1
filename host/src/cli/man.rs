//! `pelton man`: the manual pages.

use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;
use serde_json::json;

use super::Cli;
use super::output::{Format, write};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  pelton man | man -l -
  pelton man ~/.local/share/man/man1    a page for each verb: man pelton-run")]
pub struct Man {
    /// The folder to write all pages to; without it, the first one is printed
    folder: Option<PathBuf>,
    /// How to print
    #[arg(short, long, default_value = "text")]
    output: Format,
}

impl Man {
    pub fn main(self) -> anyhow::Result<()> {
        match self.folder {
            Some(folder) => {
                let failed = || format!("cannot write manual pages to {}", folder.display());
                std::fs::create_dir_all(&folder).with_context(failed)?;
                clap_mangen::generate_to(Cli::command(), &folder).with_context(failed)?;
                match self.output {
                    Format::Text => Ok(()),
                    Format::Json => write(&format!("{}\n", json!({ "folder": folder }))),
                }
            }
            None => {
                let mut page = Vec::new();
                // There is no page for `help`.
                clap_mangen::Man::new(Cli::command().disable_help_subcommand(true)).render(&mut page)?;
                let page = String::from_utf8_lossy(&page);
                match self.output {
                    Format::Text => write(&page),
                    Format::Json => write(&format!("{}\n", json!({ "page": page }))),
                }
            }
        }
    }
}
