//! `cargo xtask fuzz`: runs the fuzz targets for some minutes each; a finding fails it.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    locate,
    step::{cargo, root, step},
};

/// The release of cargo-fuzz.
const CARGO_FUZZ: &str = "0.13.1";
const TARGETS: [&str; 4] = ["envelope", "keys", "config", "results"];

/// What to fuzz, and for how long.
#[derive(clap::Args)]
pub struct Options {
    /// Minutes for each target
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
    /// The targets; all if none is named
    #[arg(value_name = "TARGET", value_parser = TARGETS)]
    targets: Vec<String>,
}

/// Installs cargo-fuzz, if it is not there yet, and runs one target after the other.
pub fn run(options: &Options) -> Result<()> {
    let path = install(&locate::tools()?)?;
    let all = TARGETS.map(str::to_owned);
    let chosen = if options.targets.is_empty() { &all } else { options.targets.as_slice() };
    for target in chosen {
        let title = format!("fuzz {target}, minutes: {}", options.minutes);
        step(&title, fuzz(target, options.minutes)?.env("PATH", &path))?;
    }
    Ok(())
}

/// The search path with cargo-fuzz on it.
fn install(tools: &Path) -> Result<OsString> {
    // By release, so that another one is installed beside it.
    let folder = tools.join(format!("cargo-fuzz-{CARGO_FUZZ}"));
    if !folder.join("bin/cargo-fuzz").exists() {
        let mut install = cargo();
        install.args(["install", "cargo-fuzz", "--quiet", "--locked", "--version", CARGO_FUZZ, "--root"]).arg(&folder);
        step("install cargo-fuzz", &mut install)?;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths([folder.join("bin")].into_iter().chain(env::split_paths(&path))).context("PATH is no search path")
}

/// Runs `target` from the kept corpus on; what it finds worth keeping gathers beside the build.
fn fuzz(target: &str, minutes: u32) -> Result<Command> {
    let crate_folder = root().join("host/fuzz");
    let build = locate::tools()?.join("fuzz");
    let gathered = build.join("corpus").join(target);
    fs::create_dir_all(&gathered).with_context(|| format!("cannot create {}", gathered.display()))?;
    let mut command = cargo();
    // Without a sanitizer it builds with stable Rust. The code under test is safe Rust: there is no memory to watch.
    command.current_dir(root().join("host")).args(["fuzz", "run", "--sanitizer", "none", "--target-dir"]).arg(&build);
    command.arg(target).arg(gathered).arg(crate_folder.join("corpus").join(target));
    command.args(["--", "-max_len=4096", "-timeout=10", "-print_final_stats=1"]);
    command.arg(format!("-max_total_time={}", u64::from(minutes) * 60));
    if let Some(words) = dictionary(&crate_folder, target) {
        command.arg(format!("-dict={}", words.display()));
    }
    Ok(command)
}

fn dictionary(crate_folder: &Path, target: &str) -> Option<PathBuf> {
    Some(crate_folder.join("dictionaries").join(target).with_extension("dict")).filter(|words| words.exists())
}
