//! `pelton test`: runs the cases of an app's plugins, or of one plugin, in the host's own sandbox. Needs no NATS.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Serialize;

use super::Common;
use super::output::{self, Format, print};
use crate::cases::{self, Stand, Tested, junit};
use crate::config::{self, Limits, Module};
use crate::dev::age;
use crate::guest::{Engine, Engines, LoadError, Plugin};
use crate::subject::Name;

/// How long a plugin may take to load before it is said why.
const SILENT: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
#[command(after_help = "\
Cases are JSON files: given views, when an event comes, then these effects or this failure. Those of a module stand in \
cases/MODULE beside the config file, or in cases if the app has one module.

Examples:
  pelton test                                   the app in this folder
  pelton test --update                          writes what the plugins answer into the cases, to be looked over
  pelton test --plugin flag.wasm --cases cases  one plugin without an app; all it names is granted")]
pub struct Test {
    /// The app's folder, or its config file; without it, that of --config
    path: Option<PathBuf>,
    /// Only the cases of this module
    #[arg(long)]
    module: Option<Name>,
    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    case: Option<String>,
    /// Test this plugin, without a config
    #[arg(long, value_name = "FILE", requires = "cases", conflicts_with_all = ["path", "module"])]
    plugin: Option<PathBuf>,
    /// The folder of its cases
    #[arg(long, value_name = "DIR", requires = "plugin")]
    cases: Option<PathBuf>,
    /// Write what the plugins answer into the cases
    #[arg(long)]
    update: bool,
    /// Write a JUnit report
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// What became of the cases of a module.
#[derive(Serialize)]
struct Report {
    module: String,
    plugin: PathBuf,
    passed: usize,
    failed: usize,
    /// Expectations that were written anew.
    updated: usize,
    cases: Vec<Tested>,
}

impl Test {
    pub fn main(self) -> anyhow::Result<()> {
        let start = Instant::now();
        let reports = match (&self.plugin, &self.cases) {
            (Some(plugin), Some(cases)) => vec![self.alone(plugin, cases)?],
            _ => self.app()?,
        };
        if let Some(path) = &self.junit {
            let suites = reports.iter().map(|report| (report.module.as_str(), report.cases.as_slice()));
            std::fs::write(path, junit(suites)).with_context(|| format!("cannot write {}", path.display()))?;
        }
        print(self.common.output, &reports, |reports| shown(reports, start))?;
        let (passed, failed) = reports.iter().fold((0, 0), |sum, of| (sum.0 + of.passed, sum.1 + of.failed));
        match (passed, failed) {
            (0, 0) => bail!(
                "no case was run{}",
                self.case.map_or_else(String::new, |text| format!(": none is named {text:?}"))
            ),
            (_, 0) => Ok(()),
            (passed, failed) => bail!("{failed} of {} cases failed", passed + failed),
        }
    }

    /// Tests one plugin without an app.
    fn alone(&self, path: &Path, folder: &Path) -> anyhow::Result<Report> {
        let plugin = self.load(&Engine::new(Limits::default().stack)?, path, None)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.run(name, path, &mut Stand::open(plugin)?, folder)
    }

    /// Loads a plugin, and says why that takes long if somebody may be there to wonder.
    fn load(&self, engine: &Engine, path: &Path, pinned: Option<&str>) -> Result<Plugin, LoadError> {
        let is_told = self.common.output != Format::Json || std::io::stderr().is_terminal();
        let say = || {
            if is_told {
                output::error(&format!("compiling {} (once)\n", path.display()));
            }
        };
        output::while_slow(SILENT, say, || Plugin::load(engine, path, pinned))
    }

    /// Tests the modules of an app that have cases.
    fn app(&self) -> anyhow::Result<Vec<Report>> {
        let path = match &self.path {
            Some(path) if path.is_dir() => path.join("pelton.toml"),
            Some(path) => path.clone(),
            None => self.common.config.clone(),
        };
        if path.extension().is_some_and(|end| end == "json") {
            bail!("{} holds cases: name the app's folder, and with --case which of them", path.display());
        }
        let config = config::load(&path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Some((source, build)) = age::unbuilt(&config, folder) {
            let source = source.display();
            output::error(&format!(
                "warning: {source} is newer than the plugin that is tested: build it with `{build}`\n"
            ));
        }
        let is_wanted = |module: &Module| self.module.as_ref().is_none_or(|name| *name == module.name);
        let folders = cases::folders(&config, &path)?;
        let wanted: Vec<_> = folders.into_iter().filter(|(module, _)| is_wanted(module)).collect();
        if let (Some(name), []) = (&self.module, wanted.as_slice()) {
            bail!("the app has no module {name}");
        }
        let mut engines = Engines::default();
        let mut reports = Vec::new();
        for (module, folder) in wanted {
            let Some(folder) = folder else { continue };
            let engine = engines.with_stack(module.limits.stack)?;
            let plugin = self.load(&engine, &module.plugin, module.digest.as_deref());
            let plugin = plugin.with_context(|| {
                let build = module.build.as_ref().filter(|_| !module.plugin.exists());
                let build = build.map_or_else(String::new, |build| format!(" (build its plugin with `{build}`)"));
                format!("module {}{build}", module.name)
            })?;
            let mut stand = Stand::of(&config, module, plugin);
            reports.push(self.run(module.name.to_string(), &module.plugin, &mut stand, &folder)?);
        }
        if reports.is_empty() {
            bail!("{}: there are no cases beside it: put some into cases/first.json", path.display());
        }
        Ok(reports)
    }

    fn run(&self, module: String, plugin: &Path, stand: &mut Stand, folder: &Path) -> anyhow::Result<Report> {
        let mut report =
            Report { module, plugin: plugin.to_owned(), passed: 0, failed: 0, updated: 0, cases: Vec::new() };
        for mut file in cases::read(folder)? {
            if let Some(text) = &self.case {
                file.cases.retain(|(case, _)| case.name.contains(text));
            }
            let mut tested: Vec<Tested> =
                file.cases.iter().map(|(case, place)| stand.run(case, place, self.update)).collect();
            if self.update {
                report.updated += file.update(&mut tested)?;
            }
            report.cases.append(&mut tested);
        }
        report.passed = report.cases.iter().filter(|case| case.passed).count();
        report.failed = report.cases.len() - report.passed;
        Ok(report)
    }
}

fn shown(reports: &Vec<Report>, start: Instant) -> String {
    let mut text = String::new();
    for report in reports {
        for case in report.cases.iter().filter(|case| !case.passed) {
            let Some((step, failed)) = case.failure() else { continue };
            let at = if case.expected > 1 { format!(" (step {step})") } else { String::new() };
            text += &format!("{}:{}: {}{at}\n", case.file.display(), case.line, case.name);
            let said = format!("{}{}", failed.diff.as_deref().unwrap_or_default(), failed.logged());
            text += &said.lines().map(|line| format!("    {line}\n")).collect::<String>();
            text += "\n";
        }
    }
    if !text.is_empty() {
        text = format!("What failed (- expected, + got):\n\n{text}");
    }
    for Report { module, passed, failed, updated, .. } in reports {
        let updated = if *updated > 0 { format!(", {updated} expectations written") } else { String::new() };
        text += &format!("{module}: {passed} passed, {failed} failed{updated}\n");
    }
    text + &took(start.elapsed())
}

/// How long it took: compiling may take most of it.
fn took(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("in {} ms", time.as_millis())
    } else {
        format!("in {:.1} s", time.as_secs_f64())
    }
}
