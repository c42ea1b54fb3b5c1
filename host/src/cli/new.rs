//! `pelton new`: a project with a plugin that builds and passes its tests at once. Needs neither network nor repository.

mod embedded;
mod language;
mod manifest;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;

use self::embedded::{C_SDK, File, JS_SDK, PYTHON_SDK, RUST_MANIFESTS, RUST_SDK, TEMPLATES, WIT, WORKSPACE};
use self::language::Language;
use super::output::{Format, print};
use crate::guest::Role;
use crate::subject::Name;

#[derive(clap::Args)]
#[command(after_help = "\
The project holds the plugin, its cases, a config to run it, and the SDK.

Examples:
  pelton new loyalty --lang rust
  pelton new totals --lang python --role projector --path plugins/totals")]
pub struct New {
    /// The plugin's name, which becomes that of the app and its module too
    name: Name,
    /// The language to write it in
    #[arg(long)]
    lang: Language,
    /// What it is: a handler emits events and writes views, a projector only writes views
    #[arg(long, default_value = "handler")]
    role: Role,
    /// The folder to make; without it, one of that name
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// How to print
    #[arg(short, long, default_value = "text")]
    output: Format,
}

#[derive(Serialize)]
struct Made {
    name: Name,
    language: Language,
    role: Role,
    folder: PathBuf,
    files: Vec<String>,
    /// The commands to go on with.
    next: Vec<String>,
}

impl New {
    pub fn main(self) -> anyhow::Result<()> {
        let Self { name, lang, role, path, output } = self;
        let folder = path.unwrap_or_else(|| name.as_str().into());
        let project = Project { name: name.as_str(), language: lang, role };
        let files = project.files()?;
        check_free(&folder)?;
        for (path, content) in &files {
            write(&folder.join(path), content)?;
        }
        let next = vec![
            format!("cd {}", folder.display()),
            lang.install().to_owned(),
            lang.build().to_owned(),
            "pelton test".to_owned(),
            "pelton dev".to_owned(),
        ];
        let files = files.into_iter().map(|(path, _)| path).collect();
        let made = Made { name, language: lang, role, folder, files, next };
        print(output, &made, |made| {
            let next: String = made.next.iter().map(|command| format!("  {command}\n")).collect();
            format!("Made {} in {}. Go on with:\n\n{next}", made.name, made.folder.display())
        })
    }
}

/// Refuses a folder that holds something.
fn check_free(folder: &Path) -> anyhow::Result<()> {
    match std::fs::read_dir(folder).map(Iterator::count) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Ok(0) => Ok(()),
        Ok(_) => bail!("{} exists already and is not empty: give another folder with --path", folder.display()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be the project's folder", folder.display())),
    }
}

fn write(path: &Path, content: &str) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}", path.display());
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).with_context(failed)?;
    std::fs::write(path, content).with_context(failed)
}

/// A project to be made.
struct Project<'a> {
    name: &'a str,
    language: Language,
    role: Role,
}

impl Project<'_> {
    /// All files, by their paths.
    fn files(&self) -> anyhow::Result<Vec<(String, String)>> {
        self.check()?;
        let role = self.role_name();
        let folder = match self.language {
            Language::Rust => "rust",
            Language::Js => "js",
            Language::Python => "python",
            Language::C => "c",
        };
        let (own, (template, source)) = self.language.places();
        let mut files = vec![
            ("README.md".to_owned(), self.filled("common/README.md")?),
            ("pelton.toml".to_owned(), self.filled(&format!("common/{role}/pelton.toml"))?),
            ("cases/orders.json".to_owned(), self.filled(&format!("common/{role}/cases.json"))?),
            (".gitignore".to_owned(), self.language.ignored().to_owned()),
            (source.to_owned(), self.filled(&format!("{folder}/{role}/{template}"))?),
        ];
        for (template, place) in own {
            files.push(((*place).to_owned(), self.filled(&format!("{folder}/{template}"))?));
        }
        files.extend(self.vendored()?);
        Ok(files)
    }

    /// Refuses what cannot be built.
    fn check(&self) -> anyhow::Result<()> {
        if self.language == Language::Rust && TAKEN.split(' ').any(|taken| taken == self.crate_name()) {
            bail!("a crate cannot be called {:?}, which is a word of Rust's or a crate that it uses", self.name);
        }
        Ok(())
    }

    /// The SDK, and the interface where the SDK is built from it. They stand to each other as in the repository.
    fn vendored(&self) -> anyhow::Result<Vec<(String, String)>> {
        let sdk = match self.language {
            Language::Rust => RUST_SDK,
            Language::Js => JS_SDK,
            Language::Python => PYTHON_SDK,
            Language::C => C_SDK,
        };
        let place =
            |folder: &'static str| move |(path, text): &File| (format!("vendor/{folder}/{path}"), (*text).to_owned());
        let mut files: Vec<(String, String)> = sdk.iter().map(place("pelton-sdk")).collect();
        if self.language != Language::C {
            files.extend(WIT.iter().map(place("wit/v0.1")));
        }
        if self.language == Language::Rust {
            for (path, text) in RUST_MANIFESTS {
                let manifest = manifest::standalone(text, WORKSPACE, "guest-sdk")?;
                files.push((format!("vendor/pelton-sdk/{path}"), manifest));
            }
        }
        Ok(files)
    }

    /// A template with what its names stand for.
    fn filled(&self, template: &str) -> anyhow::Result<String> {
        let (_, text) = TEMPLATES
            .iter()
            .find(|(path, _)| *path == template)
            .with_context(|| format!("there is no template {template}"))?;
        let (crate_name, plugin) = (self.crate_name(), self.plugin());
        let names = [
            ("name", self.name),
            ("crate", &crate_name),
            ("plugin", &plugin),
            ("role", self.role_name()),
            ("define", if self.role == Role::Projector { " -DPELTON_PROJECTOR" } else { "" }),
            ("language", self.language.name()),
            ("source", self.language.places().1.1),
            ("install", self.language.install()),
            ("build", self.language.build()),
        ];
        Ok(names
            .into_iter()
            .fold((*text).to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value)))
    }

    fn role_name(&self) -> &'static str {
        match self.role {
            Role::Handler => "handler",
            Role::Projector => "projector",
        }
    }

    fn crate_name(&self) -> String {
        self.name.replace('-', "_")
    }

    /// Where its build puts the plugin.
    fn plugin(&self) -> String {
        match self.language {
            Language::Rust => format!("target/wasm32-unknown-unknown/release/{}.wasm", self.crate_name()),
            Language::Js | Language::Python | Language::C => format!("{}.wasm", self.name),
        }
    }
}

/// What a crate cannot be called: the words of the language, and the crates that a plugin in Rust is built from.
const TAKEN: &str = "\
    abstract alloc as async await become box break build const continue core crate deps do dyn else enum examples \
    extern false final fn for gen if impl in incremental let loop macro match mod move mut override pelton_cases \
    pelton_sdk priv proc_macro pub ref return self serde serde_json serde_path_to_error similar static std struct \
    super test trait true try type typeof unsafe unsized use virtual where while wit_bindgen yield";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn all() -> impl Iterator<Item = Project<'static>> {
        let languages = [Language::Rust, Language::Js, Language::Python, Language::C];
        let pairs = languages.into_iter().flat_map(|language| [(language, Role::Handler), (language, Role::Projector)]);
        pairs.map(|(language, role)| Project { name: "my-plugin", language, role })
    }

    #[test]
    fn a_project_has_no_open_names_a_readme_of_five_lines_a_config_and_cases_that_are_read() {
        let made: Vec<_> = all().filter_map(|project| Some((project.files().ok()?, project))).collect();
        assert_eq!(made.len(), 8);
        for (files, project) in made {
            let text = |path: &str| files.iter().find(|(found, _)| found == path).unwrap().1.as_str();
            for (path, text) in files.iter().filter(|(path, _)| !path.starts_with("vendor/")) {
                assert!(!text.contains("{{"), "{path}");
            }
            assert_eq!(text("README.md").lines().count(), 5);
            let config = config::parse(text("pelton.toml"), Path::new("pelton.toml")).unwrap();
            assert_eq!(config.modules[0].plugin, Path::new(&project.plugin()));
            let cases = pelton_cases::parse(text("cases/orders.json"), Path::new("orders.json")).unwrap();
            assert!(cases.len() > 1);
        }
    }

    #[test]
    fn what_cannot_be_built_is_refused_by_name() {
        let project =
            |name, language, role| Project { name, language, role }.files().map_err(|error| error.to_string());
        for (name, language, role, why) in [
            ("serde", Language::Rust, Role::Handler, "serde"),
            ("match", Language::Rust, Role::Handler, "match"),
            ("wit-bindgen", Language::Rust, Role::Handler, "wit-bindgen"),
        ] {
            let refused = project(name, language, role).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert!(project("match", Language::Js, Role::Handler).is_ok());
    }
}
