//! Runs cases, tests of plugins that are data, in the host's own sandbox: each event on a fresh instance, views from
//! memory, what the guest returns checked as in a lane. No NATS. The format is that of the crate `pelton-cases`.

mod find;
mod junit;
mod places;
mod stand;

use std::path::{Path, PathBuf};

use pelton_cases::{self as format, Answer, Case, Step, Then, defaults};
use serde::Serialize;

pub use self::find::folders;
pub use self::junit::junit;
pub use self::places::Place;
pub use self::stand::Stand;

/// Why cases could not be run.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("{0}")]
    Unreadable(String),
    #[error("cannot write {path}: {cause}")]
    Unwritable { path: PathBuf, cause: std::io::Error },
    #[error(
        "{path} belongs to no module: an app's cases are in {folder} if it has one module, else each in {folder}/MODULE"
    )]
    Ambiguous { path: PathBuf, folder: PathBuf },
}

/// A file of cases.
#[derive(Debug)]
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// Its content.
    text: String,
    /// Its cases, and where each stands.
    pub cases: Vec<(Case, Place)>,
}

/// Reads the files of cases in `folder`, by name.
pub fn read(folder: &Path) -> Result<Vec<File>, Error> {
    let paths = format::files(folder).map_err(Error::Unreadable)?;
    paths.into_iter().map(File::read).collect()
}

impl File {
    fn read(path: PathBuf) -> Result<Self, Error> {
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|error| Error::Unreadable(format!("{}: {error}", path.display())))?;
        Self::parse(path, text)
    }

    /// The cases in `text`, the content of the file at `path`.
    pub fn parse(path: PathBuf, text: String) -> Result<Self, Error> {
        let cases = format::parse(&text, &path).map_err(Error::Unreadable)?;
        let places = places::of(&text);
        let places = places.map_err(|error| Error::Unreadable(format!("{}: {error}", path.display())))?;
        Ok(Self { cases: cases.into_iter().zip(places).collect(), path, text })
    }

    /// Writes into the file what the steps of its cases answered, where that is not what they expect; those that could be
    /// written have passed then. Gives how many expectations changed.
    pub fn update(&self, tested: &mut [Tested]) -> Result<usize, Error> {
        let mut text = self.text.clone();
        let mut changed = 0;
        // From the end, so that the places before stay true.
        for ((case, place), tested) in self.cases.iter().zip(tested).rev() {
            let steps = case.steps.iter().zip(&place.thens);
            for ((step, range), answered) in steps.zip(&mut tested.steps).rev() {
                if answered.diff.is_none() {
                    continue;
                }
                let Some(then) = expecting(&answered.answer, step) else { continue };
                text.replace_range(range.clone(), &places::indented(&then, &self.text, range.start));
                answered.diff = None;
                changed += 1;
            }
            tested.passed = tested.steps.iter().all(|step| step.diff.is_none());
        }
        if changed > 0 {
            std::fs::write(&self.path, text).map_err(|cause| Error::Unwritable { path: self.path.clone(), cause })?;
        }
        Ok(changed)
    }
}

/// The JSON of a `then` with which `step` passes if it is answered so; none if no case can expect that.
fn expecting(answer: &Answer, step: &Step) -> Option<String> {
    let text = answer.as_then().ok()?;
    let then: Then = serde_json::from_str(&text).ok()?;
    let key = step.when.key.as_deref().unwrap_or(defaults::KEY);
    answer.meets(&Answer::from(&then), key).is_ok().then_some(text)
}

/// What became of a case.
#[derive(Debug, Serialize)]
pub struct Tested {
    /// The file that it stands in.
    pub file: PathBuf,
    /// The line there.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// Whether every step was answered as it expects.
    pub passed: bool,
    /// How long it took.
    pub seconds: f64,
    /// How many answers it expects.
    pub expected: usize,
    /// Its steps, up to the first that failed.
    pub steps: Vec<Answered>,
}

/// What became of a step.
#[derive(Debug, Serialize)]
pub struct Answered {
    /// What the plugin answered.
    #[serde(skip)]
    pub answer: Answer,
    /// How that differs from what the step expects, line by line: `- ` expected, `+ ` got. None if it does not.
    pub diff: Option<String>,
    /// What the plugin logged.
    pub log: Vec<String>,
}

impl Answered {
    /// What the plugin logged, a line each.
    pub fn logged(&self) -> String {
        self.log.iter().map(|line| format!("log {line}\n")).collect()
    }

    /// A step that cannot be run, for this reason.
    fn fault(reason: String) -> Self {
        Self { diff: Some(format!("+ {reason}\n")), answer: Answer::Fault(reason), log: Vec::new() }
    }
}

impl Tested {
    /// The step that failed, from 1, and how.
    pub fn failure(&self) -> Option<(usize, &Answered)> {
        self.steps.iter().enumerate().find(|(_, step)| step.diff.is_some()).map(|(index, step)| (index + 1, step))
    }
}

#[cfg(test)]
mod tests {
    use pelton_cases::Emitted;

    use super::*;

    const TEXT: &str = r#"{ "cases": [{ "name": "x", "then": {} }] }"#;

    /// What an update makes of a case that is answered by an event with these attributes: the file, and whether it passes.
    fn updated(attributes: &[(&str, &str)]) -> (String, bool) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        std::fs::write(&path, TEXT).unwrap();
        let file = File::parse(path.clone(), TEXT.to_owned()).unwrap();
        let event = Emitted {
            category: "c".to_owned(),
            key: None,
            kind: "k".to_owned(),
            subject: None,
            content_type: defaults::CONTENT_TYPE.to_owned(),
            attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            data: b"0".to_vec(),
        };
        let answer = Answer::Effects { events: vec![event], writes: Vec::new() };
        let steps = vec![Answered { answer, diff: Some("+ emit\n".to_owned()), log: Vec::new() }];
        let name = "x".to_owned();
        let mut tested =
            [Tested { file: path.clone(), line: 1, name, passed: false, seconds: 0.0, expected: 1, steps }];
        file.update(&mut tested).unwrap();
        (std::fs::read_to_string(path).unwrap(), tested[0].passed)
    }

    #[test]
    fn an_update_claims_only_what_passes_from_then_on() {
        let (text, passed) = updated(&[("b", "1"), ("a", "2")]);
        assert!(passed && text.contains("\"a\": \"2\""), "{text}");
        assert_eq!(updated(&[("a", "1"), ("a", "2")]), (TEXT.to_owned(), false), "an object has a name once");
    }
}
