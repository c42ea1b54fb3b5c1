//! A plugin's file: read whole if it is not too large, looked over before anything is compiled, and wrapped into a
//! component if it is a core module.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::error::LoadError;
use super::shape::{self, LARGEST_FILE, Shape, Unfit};

/// A plugin's file as read.
#[derive(Debug)]
pub struct PluginFile {
    /// Where it is.
    pub path: PathBuf,
    /// `sha256:` and the hex digest of the file.
    pub digest: String,
    /// The bytes of the file.
    pub size: usize,
    /// What it is.
    pub form: Form,
    /// What it is made of.
    pub shape: Shape,
    /// The component in it.
    pub(super) component: Vec<u8>,
}

/// The two forms of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A core module, as plain `cargo build` gives; the host wraps it.
    Module,
    /// A component.
    Component,
}

impl PluginFile {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let own = || path.to_owned();
        let bytes = bytes_of(path)?;
        let digest = format!("sha256:{:x}", Sha256::digest(&bytes));
        let size = bytes.len();
        let Some(form) = form_of(&bytes) else {
            let cause = "it does not begin as one".to_owned();
            return Err(LoadError::NotWasm { path: own(), cause });
        };
        let shape = shape::scan(&bytes).map_err(|unfit| match unfit {
            Unfit::Broken(cause) => LoadError::NotWasm { path: own(), cause },
            Unfit::TooMuch(cause) => LoadError::TooMuch { path: own(), cause },
        })?;
        let component = match form {
            Form::Component => bytes,
            Form::Module => wrap(&bytes).map_err(|cause| LoadError::NotWrappable { path: own(), cause })?,
        };
        Ok(Self { path: own(), digest, size, form, shape, component })
    }

    /// Checks that the file is the one that was pinned.
    pub fn check(&self, pinned: Option<&str>) -> Result<(), LoadError> {
        match pinned.filter(|pinned| *pinned != self.digest) {
            Some(pinned) => {
                let (path, expected, found) = (self.path.clone(), pinned.to_owned(), self.digest.clone());
                Err(LoadError::Digest { path, expected, found })
            }
            None => Ok(()),
        }
    }
}

/// The bytes of a file that is one, and no larger than it may be, even if it grows meanwhile.
fn bytes_of(path: &Path) -> Result<Vec<u8>, LoadError> {
    let unreadable = |cause| LoadError::Unreadable { path: path.to_owned(), cause };
    let no_file = |cause: String| LoadError::NoFile { path: path.to_owned(), cause };
    let about = std::fs::metadata(path).map_err(|cause| match cause.kind() {
        ErrorKind::NotFound => no_file("there is no such file; is it built?".to_owned()),
        _ => unreadable(cause),
    })?;
    if !about.is_file() {
        return Err(no_file("is no regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(no_file(format!("is larger than {} MiB", LARGEST_FILE >> 20)));
    }
    Ok(bytes)
}

fn form_of(bytes: &[u8]) -> Option<Form> {
    match bytes.get(..8)? {
        b"\0asm\x01\0\0\0" => Some(Form::Module),
        b"\0asm\x0d\0\x01\0" => Some(Form::Component),
        _ => None,
    }
}

/// The component made of the core module that plain `cargo build` gives.
fn wrap(module: &[u8]) -> Result<Vec<u8>, String> {
    // The encoder takes a valid module for granted.
    wasmparser::validate(module).map_err(|error| error.to_string())?;
    let wrapped = wit_component::ComponentEncoder::default().validate(true).module(module);
    wrapped.and_then(|mut encoder| encoder.encode()).map_err(|error| format!("{error:#}"))
}
