//! Builds the plugin `flag` in JavaScript, Python and C. Each needs tools that may not be there: then it is left out, and
//! a line says why.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::Hasher,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    locate,
    step::{root, step, wasm_target},
    tools,
};

/// Tells the tests that no language may be left out.
pub const ALL: (&str, &str) = ("PELTON_LANGUAGES", "all");

/// What all plugins are built from.
const WIT: &str = "wit/v0.1";

/// A language that the plugin is written in.
struct Language {
    name: &'static str,
    /// The file that is built.
    plugin: &'static str,
    /// What it is built from, besides the WIT: if none of it changed, it is not built again.
    sources: &'static [&'static str],
    /// Installs its tools, if they are not there yet.
    install: fn(&Path) -> Result<()>,
    /// The command that builds the plugin with these tools into a file.
    build: fn(&Path, &Path) -> Command,
}

const LANGUAGES: [Language; 3] = [
    Language {
        name: "JavaScript",
        plugin: "flag_js.wasm",
        sources: &["guest-sdk/js/package.json", "guest-sdk/js/build.js", "guest-sdk/js/src", "plugins/flag-js"],
        install: install_javascript,
        build: build_javascript,
    },
    Language {
        name: "Python",
        plugin: "flag_python.wasm",
        sources: &["guest-sdk/python", "plugins/flag-python"],
        install: install_python,
        build: build_python,
    },
    Language {
        name: "C",
        plugin: "flag_c.wasm",
        sources: &["guest-sdk/c", "plugins/flag-c"],
        install: install_c,
        build: build_c,
    },
];

/// Builds what can be built.
pub fn build() -> Result<()> {
    let tools = locate::tools()?;
    let folder = wasm_target().join("languages");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    LANGUAGES.iter().try_for_each(|language| language.make(&tools, &folder.join(language.plugin)))
}

impl Language {
    fn make(&self, tools: &Path, plugin: &Path) -> Result<()> {
        let stamp = plugin.with_extension("stamp");
        let wanted = self.digest()?;
        if plugin.exists() && fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        // What was built from other sources must not be taken for this.
        remove(plugin)?;
        if let Err(why) = (self.install)(tools) {
            println!("── the plugin in {} is left out: {why:#}", self.name);
            return Ok(());
        }
        step(&format!("build the plugin in {}", self.name), &mut (self.build)(tools, plugin))?;
        ensure!(plugin.exists(), "the build in {} made no {}", self.name, plugin.display());
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
    }

    /// Differs whenever a source does.
    fn digest(&self) -> Result<String> {
        let mut hasher = DefaultHasher::new();
        for source in self.sources.iter().chain([&WIT]) {
            for file in files(&root().join(source))? {
                hasher.write(file.as_os_str().as_encoded_bytes());
                hasher.write(&fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
            }
        }
        Ok(format!("{:016x}", hasher.finish()))
    }
}

/// All files in a folder, in a fixed order; a file is its own only one.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut entries: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    // Python leaves what it has compiled beside its sources.
    entries.retain(|entry| !entry.ends_with("__pycache__"));
    entries.sort();
    let nested: Result<Vec<_>> = entries.iter().map(|entry| files(entry)).collect();
    Ok(nested?.concat())
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Where the SDK looks for its packages, as everyone's does, and where this tool puts them.
fn install_javascript(tools: &Path) -> Result<()> {
    for program in ["node", "npm"] {
        if !tools::succeeds(Command::new(program).arg("--version")) {
            bail!("there is no {program} (install Node.js 20 or newer, with npm)");
        }
    }
    let (sdk, folder) = (root().join("guest-sdk/js"), tools.join("js"));
    let packages = sdk.join("node_modules");
    if !packages.is_symlink() && packages.is_dir() {
        return Ok(()); // An author's own.
    }
    let packages_wanted = sdk.join("package.json");
    once(&packages_wanted, &folder, || {
        fs::copy(&packages_wanted, folder.join("package.json"))?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel", "error"]);
        npm.current_dir(&folder);
        step("install the tools for JavaScript", &mut npm)
    })?;
    remove(&packages)?;
    std::os::unix::fs::symlink(folder.join("node_modules"), &packages)
        .with_context(|| format!("cannot link {}", packages.display()))
}

fn build_javascript(_: &Path, plugin: &Path) -> Command {
    let mut node = Command::new("node");
    node.current_dir(root()).args(["guest-sdk/js/build.js", "plugins/flag-js/flag.js", "-o"]).arg(plugin);
    node
}

fn install_python(tools: &Path) -> Result<()> {
    install_by_pip(tools, "Python", "guest-sdk/python/requirements.txt", &tools.join("python"))
}

fn build_python(tools: &Path, plugin: &Path) -> Command {
    let mut componentize = Command::new(tools.join("python/bin/componentize-py"));
    componentize.current_dir(root()).env("PYTHONPATH", tools.join("python"));
    componentize.args(["--quiet", "--wit-path", WIT, "--world", "handler-plugin", "componentize", "flag"]);
    componentize.args(["-p", "plugins/flag-python", "-p", "guest-sdk/python", "-o"]).arg(plugin);
    componentize
}

fn install_c(tools: &Path) -> Result<()> {
    install_by_pip(tools, "C", "guest-sdk/c/requirements.txt", &tools.join("c"))
}

fn build_c(tools: &Path, plugin: &Path) -> Command {
    let mut zig = Command::new(tools.join("c/ziglang/zig"));
    zig.current_dir(root());
    for cache in ["ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"] {
        zig.env(cache, tools.join("zig-cache"));
    }
    zig.args(["cc", "--target=wasm32-wasi", "-mexec-model=reactor", "-std=c11", "-O2", "-Wl,--strip-debug"]);
    zig.args(["-Wall", "-Wextra", "-Werror", "-I", "guest-sdk/c"]);
    zig.args(["plugins/flag-c/flag.c", "plugins/flag-c/retail.c", "guest-sdk/c/pelton.c", "-o"]).arg(plugin);
    zig
}

/// Installs the packages that `requirements` lists into `folder`, if they are not there yet.
pub fn install_by_pip(tools: &Path, name: &str, requirements: &str, folder: &Path) -> Result<()> {
    let requirements = root().join(requirements);
    once(&requirements, folder, || {
        let mut pip = tools::pip(tools).context("there is no pip (install Python 3 with pip or venv)")?;
        pip.args(["install", "--quiet", "--no-deps", "--only-binary", ":all:", "--upgrade", "--target"]);
        pip.arg(folder).arg("--requirement").arg(&requirements).env("PIP_ROOT_USER_ACTION", "ignore");
        step(&format!("install the tools for {name}"), &mut pip)
    })
}

/// Runs `install` unless it was done into `folder` for the same list of packages before.
fn once(list: &Path, folder: &Path, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let done = folder.join("installed");
    let wanted = fs::read(list).with_context(|| format!("cannot read {}", list.display()))?;
    if fs::read(&done).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    install()?;
    fs::write(&done, wanted).with_context(|| format!("cannot write {}", done.display()))
}
