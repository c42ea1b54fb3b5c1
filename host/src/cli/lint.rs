//! `pelton lint`: what is odd in an app's config, its plugins and their cases. Needs no NATS.

use anyhow::{Context, bail};

use super::Common;
use super::output::print;
use crate::cases;
use crate::config::Module;
use crate::guest::{Contents, Engines, PluginFile};
use crate::lint::{App, Facts, Finding, Known, Source, Weight, lint};

#[derive(clap::Args)]
#[command(after_help = "\
Warnings are what does not do what it seems to; they end with 1. Notes may be meant so.

Example:
  pelton lint -c shop/pelton.toml")]
pub struct Lint {
    #[command(flatten)]
    common: Common,
}

impl Lint {
    pub fn main(self) -> anyhow::Result<()> {
        let path = &self.common.config;
        let config = self.common.load()?;
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let source = Source::new(path, &text);
        let mut engines = Engines::default();
        let mut modules = Vec::new();
        for (module, folder) in cases::folders(&config, path)? {
            let cases = folder.map_or_else(|| Ok(Vec::new()), |folder| cases::read(&folder))?;
            modules.push(Known { module, plugin: facts(&mut engines, module), cases });
        }
        let findings = lint(&App { config: &config, source: &source, modules });
        print(self.common.output, &findings, |findings| match findings.as_slice() {
            [] => "Nothing is odd.".to_owned(),
            findings => findings.iter().map(shown).collect::<Vec<_>>().join("\n"),
        })?;
        match findings.iter().filter(|finding| finding.weight == Weight::Warning).count() {
            0 => Ok(()),
            1 => bail!("1 warning"),
            count => bail!("{count} warnings"),
        }
    }
}

fn facts(engines: &mut Engines, module: &Module) -> Result<Facts, String> {
    let engine = engines.with_stack(module.limits.stack).map_err(|error| error.to_string())?;
    let facts = || {
        let file = PluginFile::read(&module.plugin)?;
        file.check(module.digest.as_deref())?;
        let contents = Contents::of(&engine, file)?;
        let form = contents.file.form;
        Ok(Facts { role: contents.role()?, imports: contents.imports, form })
    };
    facts().map_err(|error: crate::guest::LoadError| error.to_string())
}

fn shown(finding: &Finding) -> String {
    let Finding { weight, rule, module, file, line, message, help } = finding;
    let weight = format!("{weight:?}").to_lowercase();
    format!("{}:{line}: {weight}: module {module}: {message} [{rule}]\n    {help}", file.display())
}
