//! From an empty folder to a tested plugin: a project that `pelton new` made builds and passes its tests as it is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, bail, ensure};
use pelton_tests::{binary, plugins};
use serde_json::Value;
use tempfile::TempDir;

/// `target` of the workspace: what is built for these tests stays there for the next time.
fn target() -> Result<PathBuf> {
    let pelton = binary("pelton")?;
    Ok(pelton.parent().and_then(Path::parent).context("the build has no target folder")?.to_path_buf())
}

fn pelton(folder: &Path, arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(binary("pelton")?).args(arguments).current_dir(folder).env_remove("PELTON_CONFIG").output()?)
}

/// Runs a command that must succeed.
fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&said));
    Ok(())
}

/// A project of `pelton new`, in a folder that was empty.
struct Project {
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

impl Project {
    fn new(language: &str, role: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let project = Self::new_in(folder.path(), language, role)?;
        Ok(Self { _temporary: Some(folder), ..project })
    }

    fn new_in(folder: &Path, language: &str, role: &str) -> Result<Self> {
        let made = pelton(folder, &["new", "my-plugin", "--lang", language, "--role", role, "-o", "json"])?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let made: Value = serde_json::from_slice(&made.stdout)?;
        assert_eq!((&made["language"], &made["role"]), (&language.into(), &role.into()));
        for file in made["files"].as_array().context("no files")? {
            let path = folder.join("my-plugin").join(file.as_str().context("no text")?);
            ensure!(path.is_file(), "{}", path.display());
        }
        Ok(Self { folder: folder.to_path_buf(), _temporary: None })
    }

    fn path(&self) -> PathBuf {
        self.folder.join("my-plugin")
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path());
        command
    }

    /// What was built is valid, passes its cases, and lacks nothing that `pelton lint` knows of.
    fn passes(&self) -> Result<()> {
        for arguments in [&["validate"][..], &["lint"]] {
            let output = pelton(&self.path(), arguments)?;
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            ensure!(output.status.success(), "pelton {arguments:?}: {said}");
        }
        let tested = pelton(&self.path(), &["test", "-o", "json"])?;
        let tested: Value = serde_json::from_slice(&tested.stdout)?;
        ensure!(tested[0]["passed"].as_u64() > Some(1) && tested[0]["failed"] == 0, "{tested}");
        Ok(())
    }
}

/// In a folder that stays, since cargo tells crates apart by where they are, and with what the example plugins were built
/// with: the same versions, in the same build folder. So only SDK and plugin are built.
#[test]
fn a_project_in_rust_builds_and_passes_its_tests_at_once() -> Result<()> {
    let built = plugins()?.join("../..").canonicalize()?;
    for role in ["handler", "projector"] {
        let parent = target()?.join("authors").join(role);
        if parent.exists() {
            fs::remove_dir_all(&parent)?;
        }
        fs::create_dir_all(&parent)?;
        let project = Project::new_in(&parent, "rust", role)?;
        fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/Cargo.lock"), project.path().join("Cargo.lock"))?;
        let cargo = |arguments: &[&str]| {
            let mut cargo = project.command(env!("CARGO"));
            cargo
                .env("CARGO_TARGET_DIR", &built)
                .env_remove("RUSTC_WORKSPACE_WRAPPER")
                .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
            succeed(cargo.args(arguments).arg("--offline"))
        };
        cargo(&["build", "--release", "--target", "wasm32-unknown-unknown"])?;
        let file = "wasm32-unknown-unknown/release/my_plugin.wasm";
        let place = project.path().join("target").join(file);
        fs::create_dir_all(place.parent().context("no folder")?)?;
        fs::copy(built.join(file), place)?;
        project.passes()?;
        cargo(&["test"])?;
    }
    Ok(())
}

/// Whether the tools of a language are there; with `PELTON_LANGUAGES=all` they must be.
fn tools(name: &str) -> Result<Option<PathBuf>> {
    let tools = target()?.join("tools").join(name);
    if tools.join("installed").exists() {
        return Ok(Some(tools));
    }
    let why = format!("the tools for {name} are not installed; `cargo xtask languages` does it");
    if std::env::var("PELTON_LANGUAGES").is_ok_and(|languages| languages == "all") {
        bail!(why);
    }
    eprintln!("skipped: {why}");
    Ok(None)
}

#[test]
fn a_project_in_javascript_builds_and_passes_its_tests_at_once() -> Result<()> {
    let Some(tools) = tools("js")? else { return Ok(()) };
    for role in ["handler", "projector"] {
        let project = Project::new("js", role)?;
        // In the place of `npm install`: what the SDK needs is there, and the SDK is the one in the project.
        std::os::unix::fs::symlink(tools.join("node_modules"), project.path().join("node_modules"))?;
        let package: Value = serde_json::from_slice(&fs::read(project.path().join("package.json"))?)?;
        let build = package["scripts"]["build"].as_str().context("no build")?;
        let arguments = build.strip_prefix("pelton-build ").context("another build")?.split(' ');
        succeed(project.command("node").arg("vendor/pelton-sdk/js/build.js").args(arguments))?;
        project.passes()?;
    }
    Ok(())
}

#[test]
fn a_project_in_python_builds_and_passes_its_tests_at_once() -> Result<()> {
    let Some(tools) = tools("python")? else { return Ok(()) };
    for role in ["handler", "projector"] {
        let project = Project::new("python", role)?;
        let path = format!("{}:{}", tools.join("bin").display(), std::env::var("PATH")?);
        succeed(project.command("sh").arg("build.sh").env("PATH", path).env("PYTHONPATH", &tools))?;
        project.passes()?;
    }
    Ok(())
}

#[test]
fn a_project_in_c_builds_and_passes_its_tests_at_once() -> Result<()> {
    let Some(tools) = tools("c")? else { return Ok(()) };
    let cache = target()?.join("tools/zig-cache");
    for role in ["handler", "projector"] {
        let project = Project::new("c", role)?;
        let mut build = project.command("sh");
        build.env("CC", format!("{} cc", tools.join("ziglang/zig").display()));
        build.env("ZIG_GLOBAL_CACHE_DIR", &cache).env("ZIG_LOCAL_CACHE_DIR", &cache);
        succeed(build.arg("build.sh"))?;
        project.passes()?;
    }
    Ok(())
}

#[test]
fn what_cannot_be_made_is_refused_and_nothing_is_written() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("taken"))?;
    fs::write(folder.path().join("taken/file"), "mine")?;
    for (arguments, code, said) in [
        (&["new", "My Plugin", "--lang", "rust"][..], 2, "is not a name"),
        (&["new", "a", "--lang", "cobol"], 2, "cobol"),
        (&["new", "a"], 2, "--lang"),
        (&["new", "taken", "--lang", "c"], 1, "not empty"),
        (&["new", "a", "--lang", "rust", "--path", "taken"], 1, "not empty"),
        (&["new", "a", "--lang", "rust", "--path", "taken/file"], 1, "taken/file"),
        (&["new", "serde", "--lang", "rust"], 1, "serde"),
    ] {
        let output = pelton(folder.path(), arguments)?;
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
    let names: Vec<_> = fs::read_dir(folder.path())?.map(|entry| entry.map(|entry| entry.file_name())).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    fs::create_dir(folder.path().join("empty"))?;
    let made = pelton(folder.path(), &["new", "a", "--lang", "c", "--path", "empty"])?;
    assert!(made.status.success(), "a folder may be there if it is empty");
    assert!(String::from_utf8_lossy(&made.stdout).contains("cd empty\n"));
    Ok(())
}
