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
    let own = |module: &Module| Some(folder.join(module.name.as_str())).filter(|own| own.is_dir());
    match (config.modules.as_slice(), of_all.first()) {
        ([module], Some(_)) if own(module).is_none() => Ok(vec![(module, Some(folder))]),
        (_, Some(path)) => Err(Error::Ambiguous { path: path.clone(), folder }),
        (modules, None) => Ok(modules.iter().map(|module| (module, own(module))).collect()),
    }
}
