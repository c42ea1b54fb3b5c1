//! `pelton completion`: what a shell completes this command line with.

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use super::Cli;
use super::output::{Format, write};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  pelton completion bash > ~/.local/share/bash-completion/completions/pelton
  pelton completion zsh > ~/.zfunc/_pelton
  pelton completion fish > ~/.config/fish/completions/pelton.fish")]
pub struct Completion {
    /// The shell
    shell: Shell,
    /// How to print
    #[arg(short, long, default_value = "text")]
    output: Format,
}

impl Completion {
    pub fn main(self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "pelton", &mut script);
        let script = String::from_utf8_lossy(&script);
        match self.output {
            Format::Text => write(&script),
            Format::Json => write(&format!("{}\n", json!({ "shell": self.shell.to_string(), "script": script }))),
        }
    }
}
