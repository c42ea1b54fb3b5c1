//! The demo's folder: its server's store, config and log, and a note on how far the demo has come.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The file of the host's token, beside its config.
const TOKEN: &str = "token";

/// The folder, held by one demo at a time.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// What is noted about the demo in a folder.
#[derive(Debug, Deserialize, Serialize)]
pub struct Note {
    /// Digest of the data file.
    pub data: String,
    /// Whether it came to its end.
    pub finished: bool,
    /// The address of its server, while that runs.
    pub nats: String,
}

impl Folder {
    /// Takes the folder, or fails if another demo has it.
    pub fn take(path: &Path) -> Result<Self> {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        let lock = File::create(path.with_extension("lock"))?;
        if lock.try_lock().is_err() {
            bail!("another demo runs in {}", path.display());
        }
        Ok(Self { path: path.to_path_buf(), _lock: lock })
    }

    /// Whether an interrupted demo of the same data can go on here.
    pub fn interrupted(&self, data: &str) -> Result<bool> {
        Ok(note(&self.path)?.is_some_and(|note| !note.finished && note.data == data))
    }

    /// Empties it.
    pub fn clear(&self) -> Result<()> {
        if self.path.exists() {
            fs::remove_dir_all(&self.path)?;
        }
        fs::create_dir_all(&self.path)?;
        Ok(())
    }

    /// Replaces the note, whole or not at all.
    pub fn write(&self, note: &Note) -> Result<()> {
        let draft = self.path.join("demo.json.new");
        fs::write(&draft, serde_json::to_vec(note)?)?;
        fs::rename(draft, self.path.join("demo.json"))?;
        Ok(())
    }

    /// Writes the token that the host wants, anew for each run, readable by nobody else.
    pub fn make_token(&self) -> Result<()> {
        let mut file = OpenOptions::new();
        file.write(true).create(true).truncate(true).mode(0o600);
        file.open(self.path.join(TOKEN))?.write_all(Uuid::new_v4().simple().to_string().as_bytes())?;
        Ok(())
    }

    /// The token.
    pub fn token(&self) -> Result<String> {
        Ok(fs::read_to_string(self.path.join(TOKEN))?)
    }

    pub fn store(&self) -> PathBuf {
        self.path.join("nats")
    }

    pub fn config(&self) -> PathBuf {
        self.path.join("pelton.toml")
    }

    pub fn log(&self) -> PathBuf {
        self.path.join("pelton.log")
    }
}

/// What is noted in the folder `path`, if a demo ever began there.
pub fn note(path: &Path) -> Result<Option<Note>> {
    let file = path.join("demo.json");
    match fs::read(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        outcome => {
            let bytes = outcome.with_context(|| format!("cannot read {}", file.display()))?;
            Ok(Some(serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", file.display()))?))
        }
    }
}
