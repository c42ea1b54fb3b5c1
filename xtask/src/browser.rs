//! Installs a browser without a window and its driver, for the tests of the web page: Debian's packages, unpacked into the
//! folder of tools. Nothing of the machine changes, and no rights are needed. Where it cannot be, those tests are left out.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{locate, step::step, tools};

/// The browser with all that it needs and that this machine lacks.
const BROWSER: &str = "chromium-headless-shell";
/// What drives it. By itself, since it would have the browser with a window come along.
const DRIVER: &str = "chromium-driver";

/// Installs it, or says why not.
pub fn install() -> Result<()> {
    let folder = locate::tools()?.join("browser");
    if folder.join("installed").exists() {
        return Ok(());
    }
    if let Err(why) = unpack(&folder) {
        println!("── the web page in a browser is left out: {why:#}");
    }
    Ok(())
}

fn unpack(folder: &Path) -> Result<()> {
    for program in ["apt-get", "dpkg-deb"] {
        if !tools::succeeds(Command::new(program).arg("--version")) {
            bail!("there is no {program}, which Debian and Ubuntu have");
        }
    }
    let (lists, packages, root) = (folder.join("lists"), folder.join("packages"), folder.join("root"));
    for needed in [&lists.join("partial"), &folder.join("cache/archives/partial"), &packages, &root] {
        fs::create_dir_all(needed).with_context(|| format!("cannot create {}", needed.display()))?;
    }
    step("look up Debian's packages", apt(folder).args(["-qq", "update"]))?;
    let mut wanted = missing(folder)?;
    wanted.push(DRIVER.to_owned());
    step("fetch a browser", apt(folder).arg("-qq").arg("download").args(&wanted).current_dir(&packages))?;
    for package in fetched(&packages)? {
        step("unpack a package of it", Command::new("dpkg-deb").arg("--extract").arg(package).arg(&root))?;
    }
    for done in [lists, packages, folder.join("cache")] {
        fs::remove_dir_all(&done).with_context(|| format!("cannot remove {}", done.display()))?;
    }
    fs::write(folder.join("installed"), "").with_context(|| format!("cannot write to {}", folder.display()))
}

/// apt-get with lists and a cache of its own.
fn apt(folder: &Path) -> Command {
    let mut command = Command::new("apt-get");
    let at = |name: &str, place: &str| format!("{name}={}", folder.join(place).display());
    command.args(["-o", &at("Dir::State::lists", "lists"), "-o", &at("Dir::Cache", "cache")]);
    command.args(["-o", "APT::Sandbox::User=", "-o", "Debug::NoLocking=true"]);
    command
}

/// The packages that installing the browser would bring.
fn missing(folder: &Path) -> Result<Vec<String>> {
    let mut simulated = apt(folder);
    simulated.args(["--simulate", "--no-install-recommends", "install", BROWSER]);
    let output = simulated.output().context("cannot run apt-get")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    // On a machine that has the browser already, it is fetched all the same, so that it is of the driver's version.
    if !names.iter().any(|name| name == BROWSER) {
        names.extend([BROWSER.to_owned(), "chromium-common".to_owned()]);
    }
    Ok(names)
}

fn fetched(packages: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(packages).with_context(|| format!("cannot read {}", packages.display()))?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|kind| kind == "deb"));
    files.sort();
    Ok(files)
}
