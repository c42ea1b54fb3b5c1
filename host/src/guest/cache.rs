//! Compiled plugins, kept in a folder that nobody else can write to, so that a large one is compiled once.
//!
//! A compiled plugin is machine code that the process runs outside any sandbox. So the folder must belong to this user
//! and be closed to all others, a file in it is named by the digest of what it was compiled from and by everything in the
//! engine that matters to it, and holds the digest of the machine code itself. Nothing else is ever loaded.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Smaller components are compiled each time: that takes some milliseconds.
const SMALLEST: usize = 64 << 10;
/// The most files of the folder; those used longest ago go first.
const FILES: usize = 64;
/// The most bytes of a file.
const LARGEST: u64 = 1 << 30;
/// The bytes of a SHA-256, which each file begins with.
const DIGEST: usize = 32;
/// What others may not do with the folder or a file: anything at all.
const OTHERS: u32 = 0o077;

/// The component in `bytes`: from the cache if it is there, else compiled, and then kept.
pub fn component(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
    if bytes.len() < SMALLEST {
        return Component::from_binary(engine, bytes);
    }
    let folder = match folder() {
        Ok(folder) => folder,
        Err(error) => {
            warn!(%error, "compiled plugins are not kept");
            return Component::from_binary(engine, bytes);
        }
    };
    let path = folder.join(name_of(engine, bytes));
    if let Some(component) = read(engine, &path) {
        return Ok(component);
    }
    let component = Component::from_binary(engine, bytes)?;
    if let Err(error) = component.serialize().map_err(io::Error::other).and_then(|code| write(&folder, &path, &code)) {
        warn!(%error, folder = %folder.display(), "a compiled plugin could not be kept");
    }
    Ok(component)
}

fn name_of(engine: &Engine, bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:x}-{:016x}.cwasm", Sha256::digest(bytes), hasher.finish())
}

/// The folder: `PELTON_CACHE_DIR`, else `pelton` in the user's cache folder. Made if it is not there.
fn folder() -> io::Result<PathBuf> {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let users =
        || from("XDG_CACHE_HOME").or_else(|| Some(from("HOME")?.join(".cache"))).map(|base| base.join("pelton"));
    let nowhere = || io::Error::new(io::ErrorKind::NotFound, "set PELTON_CACHE_DIR, or HOME");
    let folder = from("PELTON_CACHE_DIR").or_else(users).ok_or_else(nowhere)?;
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    check_private(&folder, &fs::symlink_metadata(&folder)?)?;
    Ok(folder)
}

/// Refuses what another user owns or may touch.
fn check_private(path: &Path, found: &fs::Metadata) -> io::Result<()> {
    let is_own = found.uid() == rustix::process::geteuid().as_raw();
    if is_own && found.mode() & OTHERS == 0 && !found.is_symlink() {
        return Ok(());
    }
    let why = format!("{} is not private: it must be yours, with mode 0700, and no link", path.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// The component in a file that this module wrote; none if there is none, or it is not as it was written.
fn read(engine: &Engine, path: &Path) -> Option<Component> {
    match code_in(path) {
        Ok(code) => {
            // SAFETY: the bytes must be what `Component::serialize` gave for an engine of the same make. The folder and
            // the file belong to this user and are closed to others, the name holds the engine's compatibility hash
            // (which wasmtime checks again), and the digest says that the bytes are those that were written.
            #[allow(unsafe_code, reason = "argued above")]
            let component = unsafe { Component::deserialize(engine, &code) };
            component.inspect_err(|error| debug!(%error, "a kept plugin is of no use")).ok()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            warn!(%error, path = %path.display(), "a kept plugin is not trusted, and compiled again");
            None
        }
    }
}

fn code_in(path: &Path) -> io::Result<Vec<u8>> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(no_follow).open(path)?;
    check_private(path, &file.metadata()?)?;
    let mut bytes = Vec::new();
    (&file).take(LARGEST).read_to_end(&mut bytes)?;
    // So that it counts as used.
    file.set_modified(SystemTime::now()).ok();
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "damaged");
    let (digest, code) = bytes.split_at_checked(DIGEST).ok_or_else(damaged)?;
    if digest == Sha256::digest(code).as_slice() { Ok(code.to_vec()) } else { Err(damaged()) }
}

/// Writes a file that is there whole or not at all, and removes those used longest ago.
fn write(folder: &Path, path: &Path, code: &[u8]) -> io::Result<()> {
    let draft = path.with_extension(format!("{}", std::process::id()));
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&Sha256::digest(code))?;
    file.write_all(code)?;
    fs::rename(&draft, path)?;
    let mut kept = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Another host may remove it meanwhile.
        if let Ok(modified) = entry.metadata().and_then(|metadata| metadata.modified()) {
            kept.push((modified, entry.path()));
        }
    }
    kept.sort();
    for (_, path) in kept.iter().take(kept.len().saturating_sub(FILES)) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn private() -> tempfile::TempDir {
        tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap()
    }

    #[test]
    fn what_was_written_is_read_and_what_was_changed_is_not() {
        let (folder, engine) = (private(), Engine::default());
        let bytes = wat::parse_str("(component)").unwrap();
        let path = folder.path().join(name_of(&engine, &bytes));
        assert!(read(&engine, &path).is_none());
        let code = Component::from_binary(&engine, &bytes).unwrap().serialize().unwrap();
        write(folder.path(), &path, &code).unwrap();
        assert!(read(&engine, &path).is_some());

        let mut changed = fs::read(&path).unwrap();
        *changed.last_mut().unwrap() ^= 1;
        fs::write(&path, &changed).unwrap();
        assert!(read(&engine, &path).is_none(), "damaged");
        fs::write(&path, &code).unwrap();
        assert!(read(&engine, &path).is_none(), "machine code that this module did not write");
    }

    #[test]
    fn what_others_may_touch_is_not_trusted() {
        let (folder, engine) = (private(), Engine::default());
        let bytes = wat::parse_str("(component)").unwrap();
        let path = folder.path().join(name_of(&engine, &bytes));
        let code = Component::from_binary(&engine, &bytes).unwrap().serialize().unwrap();
        write(folder.path(), &path, &code).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(read(&engine, &path).is_none());
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let link = folder.path().join("link.cwasm");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(read(&engine, &link).is_none(), "a link");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        assert!(check_private(folder.path(), &fs::symlink_metadata(folder.path()).unwrap()).is_err());
    }

    #[test]
    fn the_folder_does_not_grow_without_end() {
        let folder = private();
        for number in 0..FILES + 5 {
            write(folder.path(), &folder.path().join(format!("{number}.cwasm")), b"code").unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), FILES);
        assert!(folder.path().join(format!("{}.cwasm", FILES + 4)).exists());
    }
}
