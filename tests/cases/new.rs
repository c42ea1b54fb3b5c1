//! From an empty folder to a tested plugin: a project that `pelton new` made builds and passes its tests as it is.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, bail, ensure};
use pelton_tests::{SOON, binary, eventually, plugins};
use serde_json::Value;
use tempfile::TempDir;

use crate::dev::Dev;

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
    /// Its name, which is another for each role: projects in Rust share a build folder.
    name: String,
    /// What its build needs in its environment.
    environment: Vec<(&'static str, String)>,
    _temporary: Option<TempDir>,
}

impl Project {
    fn new(language: &str, role: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let project = Self::new_in(folder.path(), language, role)?;
        Ok(Self { _temporary: Some(folder), ..project })
    }

    fn new_in(folder: &Path, language: &str, role: &str) -> Result<Self> {
        let name = format!("my-{role}");
        let made = pelton(folder, &["new", &name, "--lang", language, "--role", role, "-o", "json"])?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let made: Value = serde_json::from_slice(&made.stdout)?;
        assert_eq!((&made["language"], &made["role"]), (&language.into(), &role.into()));
        for file in made["files"].as_array().context("no files")? {
            let path = folder.join(&name).join(file.as_str().context("no text")?);
            ensure!(path.is_file(), "{}", path.display());
        }
        Ok(Self { folder: folder.to_path_buf(), name, environment: Vec::new(), _temporary: None })
    }

    fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).envs(self.environment.iter().cloned());
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

/// The five-minute path: from an empty folder to a plugin on live events, which goes on
/// otherwise when its source changes.
async fn from_an_empty_folder_to_live_events(project: &Project, source: &str, edit: (&str, &str)) -> Result<()> {
    let config = project.path().join("pelton.toml");
    fs::write(&config, format!("http = {{ listen = \"off\" }}\n{}", fs::read_to_string(&config)?))?;
    let mut dev = Dev::run(&project.path(), &project.environment)?;
    dev.logged(&["running"], 1).await?;
    publish_as_the_readme_says(project, &dev).await?;
    counts(&dev, 1).await?;
    project.passes()?;

    let source = project.path().join(source);
    let before = fs::read_to_string(&source)?;
    ensure!(before.contains(edit.0), "{before}");
    fs::write(&source, before.replace(edit.0, edit.1))?;
    dev.logged(&["the plugin runs from the next input on"], 1).await?;
    publish_as_the_readme_says(project, &dev).await?;
    counts(&dev, 3).await?;
    let tested = pelton(&project.path(), &["test"])?;
    assert_eq!(
        tested.status.code(),
        Some(1),
        "the cases want the old one: {}",
        String::from_utf8_lossy(&tested.stderr)
    );
    ensure!(dev.running.terminate().await?.success(), "{}", dev.log());
    Ok(())
}

async fn publish_as_the_readme_says(project: &Project, dev: &Dev) -> Result<()> {
    let readme = fs::read_to_string(project.path().join("README.md"))?;
    let (_, command) = readme.split_once("`pelton publish ").context("the README publishes nothing")?;
    let (subject, data) = command.split_once(" --data '").context("the README has no data")?;
    let data = data.split('\'').next().context("the README's data has no end")?;
    dev.json(&["publish", subject, "--data", data]).await.map(drop)
}

async fn counts(dev: &Dev, expected: u64) -> Result<()> {
    let counted = eventually("the order to be counted", SOON, async || {
        let found = dev.json(&["view", "get", "counts", "ada"]).await.ok();
        Ok(found.filter(|found| *found == expected).map(drop))
    });
    counted.await.with_context(|| dev.log())
}

/// In a folder that stays, since cargo tells crates apart by where they are, and with what the example plugins were built
/// with: the same versions, in the same build folder. So only SDK and plugin are built.
fn rust_project(role: &str) -> Result<Project> {
    let parent = target()?.join("authors").join(role);
    if parent.exists() {
        fs::remove_dir_all(&parent)?;
    }
    fs::create_dir_all(&parent)?;
    let mut project = Project::new_in(&parent, "rust", role)?;
    project.environment = CARGO.map(|(name, value)| (name, value.to_owned())).into();
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/Cargo.lock"), project.path().join("Cargo.lock"))?;
    std::os::unix::fs::symlink(plugins()?.join("../..").canonicalize()?, project.path().join("target"))?;
    Ok(project)
}

const CARGO: [(&str, &str); 4] = [
    ("CARGO_NET_OFFLINE", "true"),
    ("RUSTC_WORKSPACE_WRAPPER", ""),
    ("CARGO_TARGET_DIR", "target"),
    ("CARGO_PROFILE_DEV_DEBUG", "line-tables-only"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_in_rust_goes_from_an_empty_folder_to_live_events() -> Result<()> {
    let project = rust_project("handler")?;
    from_an_empty_folder_to_live_events(&project, "src/lib.rs", ("+ 1;", "+ 2;")).await
}

#[test]
fn a_projector_in_rust_builds_and_passes_its_tests_at_once() -> Result<()> {
    let project = rust_project("projector")?;
    let cargo = |arguments: &[&str]| succeed(project.command(env!("CARGO")).args(arguments));
    cargo(&["build", "--release", "--target", "wasm32-unknown-unknown"])?;
    project.passes()?;
    cargo(&["test"])
}

/// A project in JavaScript. In the place of `npm install`: what the SDK needs is there, and the SDK is the one in the
/// project, as is its command.
fn js_project(role: &str) -> Result<Option<Project>> {
    let Some(tools) = tools("js")? else { return Ok(None) };
    let mut project = Project::new("js", role)?;
    std::os::unix::fs::symlink(tools.join("node_modules"), project.path().join("node_modules"))?;
    let commands = project.folder.join("bin");
    fs::create_dir(&commands)?;
    let command = commands.join("pelton-build");
    let build = project.path().join("vendor/pelton-sdk/js/build.js");
    fs::write(&command, format!("#!/bin/sh\nexec node {} \"$@\"\n", build.display()))?;
    fs::set_permissions(&command, fs::Permissions::from_mode(0o755))?;
    project.environment = vec![("PATH", format!("{}:{}", commands.display(), std::env::var("PATH")?))];
    Ok(Some(project))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_in_javascript_goes_from_an_empty_folder_to_live_events() -> Result<()> {
    let Some(project) = js_project("handler")? else { return Ok(()) };
    // Clock and randomness are there as far as a pure function may have them.
    let pure = "+ (Date.now() === Date.parse(event.time) && Math.random() !== Math.random()
        && new Date().getTime() === Date.now() && crypto.randomUUID().length === 36 ? 2 : 0); console.log(event);";
    from_an_empty_folder_to_live_events(&project, "src/plugin.js", ("+ 1;", pure)).await
}

#[test]
fn a_projector_in_javascript_builds_and_passes_its_tests_at_once() -> Result<()> {
    let Some(project) = js_project("projector")? else { return Ok(()) };
    succeed(project.command("npm").args(["run", "build"]))?;
    project.passes()
}

/// Puts a program into the project's `.venv`, as the README's first command does. What it needs of Python is in `modules`.
fn in_venv(project: &Project, name: &str, program: &Path, modules: &Path) -> Result<()> {
    let bin = project.path().join(".venv/bin");
    fs::create_dir_all(&bin)?;
    // The build puts `bin` before the path, where this would find itself.
    let (modules, program) = (modules.display(), program.display());
    let script = format!("#!/bin/sh\nPATH=\"${{PATH#*:}}\" PYTHONPATH={modules} exec {program} \"$@\"\n");
    fs::write(bin.join(name), script)?;
    Ok(fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755))?)
}

fn python_project(role: &str) -> Result<Option<Project>> {
    let Some(tools) = tools("python")? else { return Ok(None) };
    let project = Project::new("python", role)?;
    in_venv(&project, "componentize-py", &tools.join("bin/componentize-py"), &tools)?;
    Ok(Some(project))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_in_python_goes_from_an_empty_folder_to_live_events() -> Result<()> {
    let Some(project) = python_project("handler")? else { return Ok(()) };
    from_an_empty_folder_to_live_events(&project, "src/plugin.py", ("+ 1\n", "+ 2\n    print(event)\n")).await
}

#[test]
fn a_projector_in_python_builds_and_passes_its_tests_at_once() -> Result<()> {
    let Some(project) = python_project("projector")? else { return Ok(()) };
    succeed(project.command("sh").arg("build.sh"))?;
    project.passes()
}

fn c_project(role: &str) -> Result<Option<Project>> {
    let Some(tools) = tools("c")? else { return Ok(None) };
    let cache = target()?.join("tools/zig-cache").display().to_string();
    let environment = vec![("ZIG_GLOBAL_CACHE_DIR", cache.clone()), ("ZIG_LOCAL_CACHE_DIR", cache)];
    let project = Project { environment, ..Project::new("c", role)? };
    in_venv(&project, "python3", Path::new("python3"), &tools)?;
    Ok(Some(project))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_in_c_goes_from_an_empty_folder_to_live_events() -> Result<()> {
    let Some(project) = c_project("handler")? else { return Ok(()) };
    from_an_empty_folder_to_live_events(&project, "src/plugin.c", ("++count", "count += 2")).await
}

#[test]
fn a_projector_in_c_builds_and_passes_its_tests_at_once() -> Result<()> {
    let Some(project) = c_project("projector")? else { return Ok(()) };
    succeed(project.command("sh").arg("build.sh"))?;
    project.passes()
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
