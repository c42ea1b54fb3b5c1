//! Whether a plugin is older than what it is built from.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::watch::Seen;
use crate::config::Config;

/// What lies beside sources, and no plugin is built from: a build would not make it older than the plugin.
const OTHERS: [&str; 4] = ["cases/", "tests/", "docs/", "README.md"];

/// A source beside the config in `folder` that was changed after all plugins that are built there, and the command of a build:
/// what is run is not what is written. None if nobody says how plugins are built.
pub fn unbuilt(config: &Config, folder: &Path) -> Option<(PathBuf, String)> {
    let built = config.modules.iter().filter_map(|module| Some((module, module.build.clone()?)));
    let aged = built.filter_map(|(module, build)| Some((changed(&module.plugin)?, build)));
    let (last, build) = aged.max()?;
    let mut sources = Seen::sources(folder, &Seen::default());
    sources.retain(|file| {
        let within = file.strip_prefix(folder).unwrap_or(file);
        let is_config = Some(within.as_os_str()) == config.file.file_name();
        !is_config && !OTHERS.iter().any(|other| within.to_string_lossy().starts_with(other))
    });
    sources.newer_than(last).map(|source| (source.to_owned(), build))
}

fn changed(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config;

    const CONFIG: &str =
        "app = \"a\"\n[modules.one]\nplugin = \"one.wasm\"\nbuild = \"make\"\ninput = { stream = \"S\" }\n";

    #[test]
    fn a_source_that_changed_after_the_build_is_named_and_a_case_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, age: u64| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, name).unwrap();
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        };
        std::fs::write(folder.path().join("pelton.toml"), CONFIG).unwrap();
        let config = config::load(&folder.path().join("pelton.toml")).unwrap();
        let found = || unbuilt(&config, folder.path()).map(|(file, build)| (file.ends_with("src/lib.rs"), build));
        write("src/lib.rs", 10);
        assert_eq!(found(), None, "there is no plugin, which is another matter");
        write("one.wasm", 5);
        write("cases/orders.json", 0);
        assert_eq!(found(), None);
        write("src/lib.rs", 1);
        assert_eq!(found(), Some((true, "make".to_owned())));
    }
}
