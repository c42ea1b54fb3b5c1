//! Secrets: named by where they are, read when they are needed, never shown.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Something that nobody may see. Neither `Debug` nor an error shows it.
#[derive(Clone, PartialEq)]
pub struct Secret(Place);

#[derive(Clone, PartialEq)]
enum Place {
    Environment(String),
    File(PathBuf),
    Here(String),
}

/// Where a secret is, as written in a config: `{ env = "NAME" }` or `{ file = "PATH" }`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretTable {
    env: Option<String>,
    file: Option<PathBuf>,
}

impl SecretTable {
    /// The secret that is meant; paths are relative to `folder`.
    pub fn meant(self, folder: &Path) -> Result<Secret, &'static str> {
        match self {
            Self { env: Some(name), file: None } => Ok(Secret(Place::Environment(name))),
            Self { env: None, file: Some(path) } => Ok(Secret(Place::File(folder.join(path)))),
            Self { .. } => Err("a secret is { env = \"NAME\" } or { file = \"PATH\" }"),
        }
    }
}

impl Secret {
    /// A secret that came as such, from the environment or from another tool's file.
    pub fn here(secret: String) -> Self {
        Self(Place::Here(secret))
    }

    /// Reads it. A file's last line end is not part of it.
    pub fn read(&self) -> Result<String, String> {
        match &self.0 {
            Place::Here(secret) => Ok(secret.clone()),
            Place::Environment(name) => {
                std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))
            }
            Place::File(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|cause| format!("cannot read the secret in {}: {cause}", path.display()))?;
                Ok(text.strip_suffix('\n').unwrap_or(&text).trim_end_matches('\r').to_owned())
            }
        }
    }
}

/// Where it is to be found; never what it is.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Environment(name) => write!(f, "the environment variable {name}"),
            Place::File(path) => write!(f, "the file {}", path.display()),
            Place::Here(_) => f.write_str("a secret"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_from_its_file_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), "hidden word\n").unwrap();
        let table = |env: Option<&str>, file: Option<&str>| SecretTable {
            env: env.map(Into::into),
            file: file.map(Into::into),
        };
        let secret = table(None, Some("password")).meant(folder.path()).unwrap();
        assert_eq!(secret.read().as_deref(), Ok("hidden word"));
        for secret in [secret, Secret::here("hidden word".to_owned())] {
            assert!(!format!("{secret:?}").contains("hidden"), "{secret:?}");
        }
        let missing = table(Some("PELTON_TEST_NO_SUCH_VARIABLE"), None).meant(folder.path()).unwrap();
        assert!(missing.read().unwrap_err().contains("PELTON_TEST_NO_SUCH_VARIABLE is not set"));
        assert!(table(None, Some("gone")).meant(folder.path()).unwrap().read().unwrap_err().contains("gone"));
        assert!(table(Some("A"), Some("b")).meant(folder.path()).is_err());
        assert!(table(None, None).meant(folder.path()).is_err());
    }
}
