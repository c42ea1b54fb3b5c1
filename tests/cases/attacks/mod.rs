//! Hostile guests, answers, inputs and files against the running host. Beside each attack two healthy modules do their
//! work, and must have done all of it, once and in order, when the attack is over.

mod answers;
mod calls;
mod forge;
mod guests;
mod inputs;
mod loading;
mod traps;
mod wasi;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use forge::Guest;
use pelton_tests::{App, Host, LONG, oracle, stored};
use serde_json::Value;
use tokio::task::JoinHandle;

/// Inputs that the modules beside the attack must have done in the end.
const BESIDE: u64 = 1_000;

/// A host under attack: healthy modules on the stream `IN`, hostile ones on the stream `ATTACK`.
struct Field {
    app: App,
    host: Host,
    beside: JoinHandle<Result<()>>,
}

impl Field {
    /// A host with these `modules` beside the healthy ones, and the plugins in `files` in the folder of its config.
    async fn new(files: &[(&str, Vec<u8>)], modules: &str) -> Result<Self> {
        let app = App::with_input("").await?;
        app.stream("ATTACK", "attack.>").await?;
        for (name, bytes) in files {
            std::fs::write(app.folder().join(name), bytes)?;
        }
        app.configure(&(oracle::MODULES.to_owned() + modules))?;
        let host = app.host()?;
        let beside = tokio::spawn(oracle::publish_on(app.jetstream(), BESIDE));
        Ok(Self { app, host, beside })
    }

    /// Waits until `module` has done all inputs up to `last`.
    async fn done(&self, module: &str, last: u64) -> Result<()> {
        self.app.covered_within(module, 1, last, LONG).await
    }

    /// Checks that the host still runs, and that the modules beside did what they must, as if nothing had happened.
    async fn stands(mut self) -> Result<()> {
        self.beside.await??;
        oracle::finished(&self.app).await?;
        ensure!(self.host.ended()?.is_none(), "the host has ended: {}", self.app.log_end());
        oracle::verify(&self.app).await?;
        Ok(())
    }
}

/// The table of a module on the stream `ATTACK` that takes the subjects `attack.NAME.>`, with a plugin from the folder of
/// the config. `more` is more of its table.
fn module(name: &str, file: impl AsRef<Path>, more: &str) -> String {
    let file = file.as_ref().display();
    format!(
        "[modules.{name}]\nplugin = '{file}'\ninput = {{ stream = \"ATTACK\", filter = \"attack.{name}.>\" }}\n\
         key = {{ token = 3 }}\nbreaker = {{ failures = 0 }}\n{more}\n"
    )
}

/// The same with the guest `probe`, which may write the view NAME-v and emit the category `out`.
fn probe(name: &str, more: &str) -> Result<String> {
    Ok(module(name, pelton_tests::plugins()?.join("probe.wasm"), &format!("emits = [\"out\"]\n{more}")))
}

/// What must become of the inputs of one attack: dead letters of this kind that say this.
#[derive(Clone, Copy)]
struct Fate {
    kind: &'static str,
    says: &'static str,
}

impl Fate {
    /// Checks a dead letter, whatever the case of its letters.
    fn check(self, what: &str, letters: &BTreeMap<u64, Value>, at: u64) -> Result<()> {
        let letter = letters.get(&at).with_context(|| format!("{what}: input {at} is no dead letter"))?;
        let (kind, said) = (&letter["cause"]["kind"], letter["cause"]["message"].as_str().unwrap_or_default());
        let fits = *kind == self.kind && said.to_lowercase().contains(&self.says.to_lowercase());
        ensure!(fits, "{what}: input {at} is {kind}: {said}; expected {}: {}", self.kind, self.says);
        Ok(())
    }
}

/// A hostile guest, a module of its own, and what must become of its inputs.
struct Row {
    name: &'static str,
    guest: Guest,
    fate: Fate,
}

fn row(name: &'static str, guest: Guest, kind: &'static str, says: &'static str) -> Row {
    Row { name, guest, fate: Fate { kind, says } }
}

/// Runs all `rows` on one host with `inputs` inputs each, and checks what became of them.
/// `table` gives more of a row's module.
async fn run(rows: &[Row], inputs: u64, table: impl Fn(&Row) -> &'static str) -> Result<Field> {
    let files = rows.iter().map(|row| Ok((row.name, row.guest.plugin()?))).collect::<Result<Vec<_>>>()?;
    let modules = rows.iter().map(|row| module(row.name, row.name, table(row)));
    let field = Field::new(&files, &modules.collect::<String>()).await?;
    attack(&field, rows, inputs).await?;
    Ok(field)
}

/// Publishes `inputs` inputs for each of `rows`, waits until they are done, and checks what became of them.
async fn attack(field: &Field, rows: &[Row], inputs: u64) -> Result<()> {
    let mut published = Vec::new();
    for _ in 0..inputs {
        for row in rows {
            published.push((row, field.app.publish(&format!("attack.{}.k", row.name), "{}").await?));
        }
    }
    let last = published.last().map_or(0, |(_, at)| *at);
    for row in rows {
        field.done(row.name, last).await.with_context(|| row.name)?;
    }
    for row in rows {
        let letters = stored::dead_letters(&field.app, row.name).await?;
        for (_, at) in published.iter().filter(|(published, _)| published.name == row.name) {
            row.fate.check(row.name, &letters, *at)?;
        }
    }
    Ok(())
}

/// The events of the category `out` that `module` emitted: the input of each, and its data if that is JSON.
async fn emitted(field: &Field, module: &str) -> Result<Vec<(u64, Value)>> {
    let source = format!("pelton/demo/{module}");
    let events = stored::events(&field.app, "out").await?;
    let own = events.iter().filter(|event| event.header("ce-source") == source);
    own.map(|event| {
        let at = event.header("Pelton-Input").trim_start_matches("ATTACK:").parse()?;
        Ok((at, serde_json::from_slice(&event.payload).unwrap_or_default()))
    })
    .collect()
}

/// A figure of the host's memory in bytes, by its name in `/proc/PID/status`.
fn memory(host: &Host, figure: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure)).context("no such figure")?;
    let kib = line.trim_start_matches(':').trim().trim_end_matches(" kB");
    Ok(kib.parse::<u64>()? << 10)
}
