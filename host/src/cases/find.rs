//! Finds the cases of an app's modules: in `cases/MODULE` beside its config file, or in `cases` if there is one module.

use std::path::{Path, PathBuf};

use super::Error;
use crate::config::{Config, Module};

/// The folder beside the config file that holds cases.
const FOLDER: &str = "cases";

/// Each module of the config in the file at `path`, with the folder that its cases are in, if it has any.
pub fn folders<'a>(config: &'a Config, path: &Path) -> Result<Vec<(&'a Module, Option<PathBuf>)>, Error> {
    let folder = path.parent().unwrap_or(Path::new("")).join(FOLDER);
    let of_all = if folder.is_dir() { pelton_cases::files(&folder).map_err(Error::Unreadable)? } else { Vec::new() };
    let mut found = Vec::new();
    for module in &config.modules {
        let own = folder.join(module.name.as_str());
        let folder = match (own.is_dir(), of_all.first(), config.modules.len()) {
            (true, _, _) => Some(own),
            (false, Some(_), 1) => Some(folder.clone()),
            (false, Some(path), _) => {
                return Err(Error::Ambiguous { path: path.clone(), folder });
            }
            (false, None, _) => None,
        };
        found.push((module, folder));
    }
    Ok(found)
}
