//! What `pelton dev` watches, and what of it has changed since it was acted upon.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tracing::info;

use super::watch::{LOOK, Seen};
use crate::config::Config;
use crate::subject::Name;

/// Builds in a row that change a file before it is taken for something that builds make. An edit during a build, and one
/// during the build that follows from it, are still built.
const MADE: u32 = 3;

/// What is watched, as it was when it was acted upon, and when it was looked at last.
pub struct Watched {
    config: PathBuf,
    folder: PathBuf,
    /// The file of each module's plugin.
    plugins: BTreeMap<Name, PathBuf>,
    /// Whether anything is to be done about sources.
    by_sources: bool,
    acted: Snapshot,
    last: Snapshot,
    /// How many builds in a row a source changed during.
    made: BTreeMap<PathBuf, u32>,
}

#[derive(Clone, Default, PartialEq)]
struct Snapshot {
    config: Seen,
    sources: Seen,
    plugins: BTreeMap<Name, Seen>,
}

/// What is to be acted upon.
#[derive(Debug, PartialEq)]
pub enum Change {
    /// The config file.
    Config,
    /// Sources: plugins are to be built.
    Sources,
    /// Plugins: the running host is to take them in.
    Plugins,
}

impl Watched {
    /// Watches the config file `config` and what stands beside it.
    pub fn new(config: &Path) -> Self {
        let folder = config.parent().filter(|folder| !folder.as_os_str().is_empty());
        Self {
            config: config.to_owned(),
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
            plugins: BTreeMap::new(),
            by_sources: true,
            acted: Snapshot::default(),
            last: Snapshot::default(),
            made: BTreeMap::new(),
        }
    }

    /// The config file's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Everything is about to be read and built: what changes from now on is new.
    pub fn begin(&mut self) {
        self.by_sources = true;
        self.last = self.now();
        self.acted = self.last.clone();
    }

    /// The plugins of `config` are about to be loaded: what changes of them from now on is new.
    pub fn follow(&mut self, config: &Config) {
        self.plugins = config.modules.iter().map(|module| (module.name.clone(), module.plugin.clone())).collect();
        self.by_sources = config.modules.iter().any(|module| module.build.is_some());
        self.last.plugins = self.plugins_now();
        self.acted.plugins = self.last.plugins.clone();
    }

    /// Waits until something changes, sources too: there may be anything in the way of building them.
    pub async fn changed(&mut self) {
        self.by_sources = true;
        while self.look().is_none() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What has changed and has been so for one look: nobody is in the middle of writing it. Config and sources are acted
    /// upon from then on, a plugin when it is [`Watched::taken`].
    pub fn look(&mut self) -> Option<Change> {
        let now = self.now();
        if now != self.last {
            for edited in self.last.sources.changed(&now.sources) {
                self.made.remove(edited);
            }
            self.last = now;
            return None;
        }
        if now.config != self.acted.config {
            self.acted.config = now.config;
            return Some(Change::Config);
        }
        if now.sources != self.acted.sources {
            self.acted.sources = now.sources;
            return Some(Change::Sources);
        }
        (!self.plugins_changed().is_empty()).then_some(Change::Plugins)
    }

    /// A build has ended that began when sources were acted upon. What changed meanwhile is to be built, unless builds make
    /// it.
    pub fn built(&mut self) {
        self.last = self.now();
        let changed = self.acted.sources.changed(&self.last.sources);
        let before = std::mem::take(&mut self.made);
        self.made = changed
            .into_iter()
            .map(|file| (file.to_owned(), before.get(file).map_or(1, |builds| builds.saturating_add(1))))
            .collect();
        for (file, builds) in self.made.iter().filter(|(_, builds)| **builds >= MADE) {
            if *builds == MADE {
                info!(file = %file.display(), "each build changes this file: that is no reason to build again");
            }
            self.acted.sources.adopt(file, &self.last.sources);
        }
    }

    /// The modules whose plugins were others, when it was looked last, than those taken.
    pub fn plugins_changed(&self) -> Vec<Name> {
        let (taken, last) = (&self.acted.plugins, &self.last.plugins);
        last.keys().filter(|module| taken.get(*module) != last.get(*module)).cloned().collect()
    }

    /// A module's plugin as it was when it was looked last, or a newer one, has been acted upon.
    pub fn taken(&mut self, module: &Name) {
        if let Some(seen) = self.last.plugins.get(module) {
            self.acted.plugins.insert(module.clone(), seen.clone());
        }
    }

    fn now(&self) -> Snapshot {
        let config = Seen::files([self.config.as_path()]);
        let sources = match self.by_sources {
            true => Seen::sources(&self.folder, &config),
            false => self.acted.sources.clone(),
        };
        Snapshot { config, sources, plugins: self.plugins_now() }
    }

    fn plugins_now(&self) -> BTreeMap<Name, Seen> {
        self.plugins.iter().map(|(module, file)| (module.clone(), Seen::files([file.as_path()]))).collect()
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::config;

    const CONFIG: &str = "app = \"a\"\n[modules.one]\nplugin = \"one.wasm\"\nbuild = \"make\"\ninput = { stream = \"S\" }\n\
                          [modules.two]\nplugin = \"two.wasm\"\ninput = { stream = \"S\" }\n";

    /// A project that is watched from its first build on.
    struct Project {
        folder: TempDir,
        watched: Watched,
    }

    impl Project {
        fn new(text: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("pelton.toml");
            std::fs::write(&file, text).unwrap();
            let mut watched = Watched::new(&file);
            watched.begin();
            watched.follow(&config::load(&file).unwrap());
            Self { folder, watched }
        }

        /// Makes a file longer, which is seen also where its time is not.
        fn edit(&self, name: &str) {
            use std::io::Write;
            let file = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join(name));
            file.unwrap().write_all(b"x").unwrap();
        }

        /// A build during which these files change; what follows from it.
        fn build(&mut self, changing: &[&str]) -> Option<Change> {
            changing.iter().for_each(|name| self.edit(name));
            self.watched.built();
            self.watched.look()
        }

        /// What an edit leads to.
        fn edited(&mut self, name: &str) -> Option<Change> {
            self.edit(name);
            assert_eq!(self.watched.look(), None, "it may not be written to its end");
            self.watched.look()
        }
    }

    #[test]
    fn what_changes_during_a_build_is_built_and_once_more_if_it_changes_again() {
        let mut project = Project::new(CONFIG);
        assert_eq!(project.build(&["lib.rs"]), Some(Change::Sources));
        assert_eq!(project.build(&["lib.rs"]), Some(Change::Sources));
        assert_eq!(project.build(&[]), None);
        assert_eq!(project.edited("lib.rs"), Some(Change::Sources));
        assert_eq!(project.build(&["lib.rs"]), Some(Change::Sources));
    }

    #[test]
    fn what_each_build_changes_is_no_reason_to_build_until_somebody_else_changes_it() {
        let mut project = Project::new(CONFIG);
        assert_eq!(project.build(&["made"]), Some(Change::Sources));
        assert_eq!(project.build(&["made"]), Some(Change::Sources));
        assert_eq!(project.build(&["made"]), None);
        assert_eq!(project.edited("lib.rs"), Some(Change::Sources));
        assert_eq!(project.build(&["made"]), None);
        assert_eq!(project.build(&["made", "lib.rs"]), Some(Change::Sources));
        assert_eq!(project.build(&["made"]), None);
        assert_eq!(project.edited("made"), Some(Change::Sources));
        assert_eq!(project.build(&["made"]), Some(Change::Sources));
    }

    #[test]
    fn a_plugin_has_changed_until_it_is_taken() {
        let mut project = Project::new(CONFIG);
        let (one, two): (Name, Name) = ("one".parse().unwrap(), "two".parse().unwrap());
        project.edit("one.wasm");
        assert_eq!(project.edited("two.wasm"), Some(Change::Plugins));
        assert_eq!(project.watched.plugins_changed(), [one.clone(), two.clone()]);
        project.watched.taken(&one);
        assert_eq!(
            (project.watched.look(), project.watched.plugins_changed()),
            (Some(Change::Plugins), vec![two.clone()])
        );
        project.edit("one.wasm");
        project.watched.taken(&two);
        assert_eq!(project.watched.look(), None);
        assert_eq!(
            (project.watched.look(), project.watched.plugins_changed()),
            (Some(Change::Plugins), vec![one.clone()])
        );
        project.watched.taken(&one);
        assert_eq!(project.watched.look(), None);
    }

    #[test]
    fn sources_matter_if_something_is_built_and_while_nothing_runs() {
        let mut project = Project::new(&CONFIG.replace("build = \"make\"\n", ""));
        assert_eq!(project.watched.look(), None);
        project.edit("lib.rs");
        assert_eq!(project.watched.look(), None);
        assert_eq!(project.edited("pelton.toml"), Some(Change::Config));
        project.watched.by_sources = true;
        assert_eq!((project.watched.look(), project.watched.look()), (None, Some(Change::Sources)));
    }
}
