//! Reads a config file as written, then as meant; what does not fit is shown in its place.

use std::path::{Path, PathBuf};

use miette::{Diagnostic, NamedSource, SourceSpan};

use super::Config;
use super::meant::{Finding, meant};
use super::written::File;

/// Why a config file cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("cannot read {path}: {cause}")]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Bad(Box<Bad>),
}

/// What does not fit, and where.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{path}:{line}:{column}: {message}")]
pub struct Bad {
    path: String,
    line: usize,
    column: usize,
    message: String,
    #[source_code]
    text: NamedSource<String>,
    #[label("here")]
    at: SourceSpan,
}

/// Reads the config file at `path`. Paths in it are relative to its folder.
pub fn load(path: &Path) -> Result<Config, Error> {
    let text = std::fs::read_to_string(path).map_err(|cause| Error::Unreadable { path: path.to_owned(), cause })?;
    parse(&text, path)
}

/// Parses `text`, the content of the file at `path`.
pub fn parse(text: &str, path: &Path) -> Result<Config, Error> {
    let file: File = toml::from_str(text)
        .map_err(|error| bad(text, path, &Finding::new(error.span().unwrap_or(0..0), error.message())))?;
    meant(file, path).map_err(|finding| bad(text, path, &finding))
}

fn bad(text: &str, path: &Path, Finding { at, message }: &Finding) -> Error {
    let before = text.get(..at.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let path = path.display().to_string();
    Error::Bad(Box::new(Bad {
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        message: message.clone(),
        text: NamedSource::new(&path, text.to_owned()),
        at: (at.start, at.len()).into(),
        path,
    }))
}

#[cfg(test)]
mod tests;
