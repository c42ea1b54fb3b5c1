//! `pelton inspect`: what a plugin is, what it asks for, and whether this host would run it. Needs no NATS and no config.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use super::output::{Format, print, table};
use crate::config::{Limits, Size};
use crate::guest::{Contents, Engine, Form, LoadError, PluginFile, Role, Shape};

#[derive(clap::Args)]
#[command(after_help = "Example:\n  pelton inspect target/wasm32-unknown-unknown/release/big_orders.wasm")]
pub struct Inspect {
    /// The plugin
    plugin: PathBuf,
    /// How to print
    #[arg(short, long, default_value = "text")]
    output: Format,
}

#[derive(Serialize)]
struct Inspected {
    plugin: PathBuf,
    digest: String,
    size: usize,
    form: Form,
    role: Option<Role>,
    interface: Vec<String>,
    imports: Vec<Import>,
    needs: Shape,
    compiled_ms: u128,
    /// Why this host would not run it.
    refused: Vec<String>,
}

#[derive(Serialize)]
struct Import {
    name: String,
    granted: bool,
}

impl Inspect {
    pub fn main(self) -> anyhow::Result<()> {
        let limits = Limits::default();
        let engine = Engine::new(limits.stack)?;
        let file = PluginFile::read(&self.plugin)?;
        let start = Instant::now();
        let contents = Contents::of(&engine, file)?;
        let inspected = inspected(contents, start.elapsed().as_millis(), &limits);
        print(self.output, &inspected, shown)
    }
}

fn inspected(contents: Contents, compiled_ms: u128, limits: &Limits) -> Inspected {
    let role = contents.role();
    let foreign = contents.refused();
    let shape = contents.file.shape;
    let mut refused: Vec<String> = role.as_ref().err().map(LoadError::to_string).into_iter().collect();
    refused.extend(foreign.iter().map(|name| format!("imports {name}, which is not granted")));
    for (what, found, limit) in [
        ("memory", shape.memory, limits.memory as u64),
        ("tables", shape.tables, limits.tables as u64),
        ("instances", shape.instances as u64, limits.instances as u64),
    ] {
        if found > limit {
            refused.push(format!("starts with {found} of {what}, and has {limit}: raise limits.{what}"));
        }
    }
    Inspected {
        role: role.ok(),
        interface: contents.exports.clone(),
        imports: contents
            .imports
            .iter()
            .map(|name| Import { name: name.clone(), granted: !foreign.contains(name) })
            .collect(),
        needs: shape,
        compiled_ms,
        refused,
        plugin: contents.file.path,
        digest: contents.file.digest,
        size: contents.file.size,
        form: contents.file.form,
    }
}

fn shown(inspected: &Inspected) -> String {
    let needs = &inspected.needs;
    let role = inspected.role.map_or_else(|| "none".to_owned(), |role| format!("{role:?}").to_lowercase());
    let memory = Size(usize::try_from(needs.memory).unwrap_or(usize::MAX));
    let facts = [
        ("plugin", inspected.plugin.display().to_string()),
        ("digest", inspected.digest.clone()),
        ("size", format!("{} bytes, a {:?}", inspected.size, inspected.form).to_lowercase()),
        ("role", role),
        ("exports", inspected.interface.join(", ")),
        (
            "needs",
            format!(
                "{memory} of memory and {} table elements at the start, {} core instances; {} functions in {} modules",
                needs.tables, needs.instances, needs.functions, needs.modules
            ),
        ),
        ("compiled", format!("in {} ms", inspected.compiled_ms)),
    ];
    let facts = facts.map(|(name, fact)| format!("{name:10}{fact}\n")).concat();
    let rows = inspected.imports.iter().map(|import| {
        let granted = match import.granted {
            true if import.name.starts_with("wasi:") => "granted, with none of the system behind it",
            true => "granted",
            false => "NOT granted",
        };
        [import.name.clone(), granted.to_owned()]
    });
    let verdict = match inspected.refused.as_slice() {
        [] => "This host runs it.".to_owned(),
        refused => format!("This host does not run it as it is:\n  {}", refused.join("\n  ")),
    };
    format!("{facts}\n{}\n\n{verdict}", table(["IMPORT", ""], rows))
}
