//! The languages of new projects: what differs from one to the other besides the files.

use serde::Serialize;

use super::embedded::File;

/// The languages that there is an SDK for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Rust,
    Js,
    Python,
    C,
}

impl Language {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Js => "JavaScript",
            Self::Python => "Python",
            Self::C => "C",
        }
    }

    /// The command that installs what its builds need.
    pub fn install(self) -> &'static str {
        match self {
            Self::Rust => "rustup target add wasm32-unknown-unknown",
            Self::Js => "npm install",
            Self::Python => {
                "python3 -m venv .venv && .venv/bin/pip install -r vendor/pelton-sdk/python/requirements.txt"
            }
            Self::C => "python3 -m venv .venv && .venv/bin/pip install -r vendor/pelton-sdk/c/requirements.txt",
        }
    }

    /// The command that builds the plugin.
    pub fn build(self) -> &'static str {
        match self {
            Self::Rust => "cargo build --release --target wasm32-unknown-unknown",
            Self::Js => "npm run build",
            Self::Python | Self::C => "sh build.sh",
        }
    }

    /// Where in a project the templates of its own go: those of the language, then that of the role.
    pub fn places(self) -> (&'static [File], File) {
        match self {
            Self::Rust => (&[("Cargo.toml", "Cargo.toml"), ("cases.rs", "tests/cases.rs")], ("lib.rs", "src/lib.rs")),
            Self::Js => (&[("package.json", "package.json")], ("plugin.js", "src/plugin.js")),
            Self::Python => (&[("build.sh", "build.sh")], ("plugin.py", "src/plugin.py")),
            Self::C => (&[("build.sh", "build.sh")], ("plugin.c", "src/plugin.c")),
        }
    }

    /// What git is to leave alone.
    pub fn ignored(self) -> &'static str {
        match self {
            Self::Rust => "/.pelton/\n/target/\n",
            Self::Js => "/.pelton/\n/*.wasm\nnode_modules/\n",
            Self::Python => "/.pelton/\n/.venv/\n/*.wasm\n__pycache__/\n",
            Self::C => "/.pelton/\n/.venv/\n/*.wasm\n",
        }
    }
}
