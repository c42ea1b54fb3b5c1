//! Sees that files change: by looking at them a few times a second, which works on every file system.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often it looks.
pub const LOOK: Duration = Duration::from_millis(200);
/// Files of a project that are looked at; more are none of its sources.
const MOST: usize = 10_000;
/// Folders in which no sources are.
const NOT_SOURCES: [&str; 5] = ["target", "node_modules", "build", "dist", "__pycache__"];

/// What files were like: their time and size.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

impl Seen {
    /// These files, as far as they are there.
    pub fn files<'a>(files: impl IntoIterator<Item = &'a Path>) -> Self {
        Self(files.into_iter().filter_map(|file| Some((file.to_owned(), about(file)?))).collect())
    }

    /// All sources in `folder` and below, but for files that `others` has.
    pub fn sources(folder: &Path, others: &Self) -> Self {
        let (mut seen, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let (path, name) = (entry.path(), entry.file_name());
                let name = name.to_string_lossy();
                if name.starts_with('.') || seen.len() >= MOST {
                    continue;
                }
                if path.is_dir() {
                    // A link to a folder may lead in a circle.
                    if !path.is_symlink() && !NOT_SOURCES.contains(&&*name) {
                        folders.push(path);
                    }
                } else if !others.0.contains_key(&path)
                    && path.extension().is_none_or(|end| end != "wasm")
                    && let Some(about) = about(&path)
                {
                    seen.insert(path, about);
                }
            }
        }
        Self(seen)
    }

    /// Forgets the files that `keep` does not want.
    pub fn retain(&mut self, keep: impl Fn(&Path) -> bool) {
        self.0.retain(|file, _| keep(file));
    }

    /// The file that changed last, if it changed after `time`.
    pub fn newer_than(&self, time: SystemTime) -> Option<&Path> {
        let timed = self.0.iter().filter_map(|(file, (changed, _))| Some(((*changed)?, file)));
        timed.max().filter(|(changed, _)| *changed > time).map(|(_, file)| file.as_path())
    }

    /// Takes for seen how `file` is `now`.
    pub fn adopt(&mut self, file: &Path, now: &Self) {
        match now.0.get(file) {
            Some(about) => self.0.insert(file.to_owned(), *about),
            None => self.0.remove(file),
        };
    }

    /// The files that `now` has otherwise.
    pub fn changed<'a>(&'a self, now: &'a Self) -> Vec<&'a Path> {
        let changed = now.0.iter().filter(|(path, about)| self.0.get(*path) != Some(about)).map(|(path, _)| path);
        let gone = self.0.keys().filter(|path| !now.0.contains_key(*path));
        changed.chain(gone).map(PathBuf::as_path).collect()
    }
}

fn about(file: &Path) -> Option<(Option<SystemTime>, u64)> {
    let about = std::fs::metadata(file).ok()?;
    Some((about.modified().ok(), about.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_seen_when_they_change_come_or_go_and_what_builds_leave_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
            file
        };
        let (kept, gone) = (write("src/lib.rs", "1"), write("src/old.rs", "1"));
        let config = write("pelton.toml", "1");
        let others = Seen::files([config.as_path()]);
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("linked")).unwrap();
        let before = Seen::sources(folder.path(), &others);
        std::fs::write(elsewhere.path().join("unseen"), "1").unwrap();
        for unseen in ["target/a.rs", ".git/b", "node_modules/c.js", "plugin.wasm", "pelton.toml"] {
            write(unseen, "22");
        }
        assert_eq!(before.changed(&Seen::sources(folder.path(), &others)), Vec::<&Path>::new());
        write("src/lib.rs", "22");
        let new = write("src/deep/new.rs", "1");
        std::fs::remove_file(&gone).unwrap();
        let now = Seen::sources(folder.path(), &others);
        let mut changed = before.changed(&now);
        changed.sort();
        assert_eq!(changed, [new.as_path(), kept.as_path(), gone.as_path()]);
        let mut seen = before.clone();
        [&new, &gone].into_iter().for_each(|file| seen.adopt(file, &now));
        assert_eq!(seen.changed(&now), [kept.as_path()]);
        assert_eq!(others.changed(&Seen::files([config.as_path()])), [config.as_path()]);
    }
}
