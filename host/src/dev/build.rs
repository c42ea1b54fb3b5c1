//! Builds plugins, by the commands that the config names.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::config::Config;

/// Why a build has no result.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("cannot run `{command}`: {cause}")]
    Run { command: String, cause: std::io::Error },
    #[error("`{command}` failed: {status}")]
    Failed { command: String, status: std::process::ExitStatus },
}

/// The commands that build the plugins of an app, each once.
pub fn commands(config: &Config) -> BTreeSet<String> {
    config.modules.iter().filter_map(|module| module.build.clone()).collect()
}

/// Runs `commands` in `folder`, one after the other; what they say goes where this program's errors go. Dropped, it ends
/// the command that runs.
pub async fn run(commands: &BTreeSet<String>, folder: &Path) -> Result<(), Error> {
    for command in commands {
        let failed = |cause| Error::Run { command: command.clone(), cause };
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
        // Its words are for people, and standard output may be read by a program.
        shell.stdout(std::io::stderr());
        let status = shell.status().await.map_err(failed)?;
        if !status.success() {
            return Err(Error::Failed { command: command.clone(), status });
        }
    }
    Ok(())
}
