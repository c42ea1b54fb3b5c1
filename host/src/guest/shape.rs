//! What a plugin is made of, found by reading over it before anything is compiled, so that no file can make the compiler
//! work without end. Pure.

use serde::Serialize;
use wasmparser::{FunctionBody, Operator, Parser, Payload, TableType};

/// What a component and all modules in it hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// Core modules.
    pub modules: usize,
    /// Core instances that are made of them.
    pub instances: usize,
    /// Functions with a body.
    pub functions: usize,
    /// Bytes of the largest body.
    pub largest_function: usize,
    /// Locals of a function times the loops that stand in each other in it, at most: what the compiler's work and memory
    /// grow with beyond the size of the code.
    pub tangle: usize,
    /// Types, imports and exports.
    pub names: usize,
    /// Globals.
    pub globals: usize,
    /// Bytes of all linear memories at the start.
    pub memory: u64,
    /// Elements of all tables at the start.
    pub tables: u64,
    /// How deep modules and components are nested.
    pub depth: usize,
}

/// The most bytes of a plugin's file. Python's are 18 MB.
pub const LARGEST_FILE: u64 = 64 << 20;
/// The most of each that a plugin may hold: several times what Python's components have, with an interpreter in them.
const MOST: Shape = Shape {
    modules: 1_000,
    instances: 1_000,
    functions: 200_000,
    largest_function: 4 << 20,
    tangle: 200_000,
    names: 500_000,
    globals: 100_000,
    memory: 4 << 30,
    tables: 10_000_000,
    depth: 10,
};

const PAGE: u64 = 64 << 10;

/// Why a file is not to be compiled.
#[derive(Debug)]
pub enum Unfit {
    /// It does not parse.
    Broken(String),
    /// It holds too much of something.
    TooMuch(String),
}

impl From<wasmparser::BinaryReaderError> for Unfit {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Reads over `bytes`, a module or component.
pub fn scan(bytes: &[u8]) -> Result<Shape, Unfit> {
    let mut shape = Shape::default();
    let mut open = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        match &payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                open += 1;
                shape.modules += usize::from(matches!(payload, Payload::ModuleSection { .. }));
                shape.depth = shape.depth.max(open);
            }
            Payload::End(_) => open = open.saturating_sub(1),
            _ => count(&payload, &mut shape)?,
        }
        within(&shape).map_err(Unfit::TooMuch)?;
    }
    Ok(shape)
}

fn count(payload: &Payload<'_>, shape: &mut Shape) -> wasmparser::Result<()> {
    let count = |number: u32| number as usize;
    match payload {
        Payload::CodeSectionEntry(body) => {
            shape.functions += 1;
            shape.largest_function = shape.largest_function.max(body.as_bytes().len());
            shape.tangle = shape.tangle.max(tangle(body)?);
        }
        Payload::FunctionSection(section) => shape.names += count(section.count()),
        Payload::TypeSection(section) => shape.names += count(section.count()),
        Payload::ImportSection(section) => shape.names += count(section.count()),
        Payload::ExportSection(section) => shape.names += count(section.count()),
        Payload::ComponentTypeSection(section) => shape.names += count(section.count()),
        Payload::CoreTypeSection(section) => shape.names += count(section.count()),
        Payload::ComponentImportSection(section) => shape.names += count(section.count()),
        Payload::ComponentExportSection(section) => shape.names += count(section.count()),
        Payload::ComponentAliasSection(section) => shape.names += count(section.count()),
        Payload::ComponentCanonicalSection(section) => shape.names += count(section.count()),
        Payload::ComponentInstanceSection(section) => shape.names += count(section.count()),
        Payload::GlobalSection(section) => shape.globals += count(section.count()),
        Payload::InstanceSection(section) => shape.instances += count(section.count()),
        Payload::MemorySection(section) => {
            for memory in section.clone() {
                shape.memory = shape.memory.saturating_add(memory?.initial.saturating_mul(PAGE));
            }
        }
        Payload::TableSection(section) => {
            for table in section.clone() {
                let TableType { initial, .. } = table?.ty;
                shape.tables = shape.tables.saturating_add(initial);
            }
        }
        _ => {}
    }
    Ok(())
}

fn tangle(body: &FunctionBody<'_>) -> wasmparser::Result<usize> {
    let mut locals = 0_usize;
    for group in body.get_locals_reader()? {
        locals = locals.saturating_add(group?.0 as usize);
    }
    let (mut open, mut loops, mut deepest) = (Vec::new(), 0_usize, 0);
    for operator in body.get_operators_reader()? {
        match operator? {
            Operator::Loop { .. } => {
                open.push(true);
                loops += 1;
                deepest = deepest.max(loops);
            }
            Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => open.push(false),
            Operator::End => loops -= usize::from(open.pop().unwrap_or_default()),
            _ => {}
        }
    }
    Ok(locals.saturating_mul(deepest))
}

fn within(shape: &Shape) -> Result<(), String> {
    let counted = [
        ("modules", shape.modules, MOST.modules),
        ("core instances", shape.instances, MOST.instances),
        ("functions", shape.functions, MOST.functions),
        ("bytes of one function", shape.largest_function, MOST.largest_function),
        ("locals times nested loops in one function", shape.tangle, MOST.tangle),
        ("types, imports and exports", shape.names, MOST.names),
        ("globals", shape.globals, MOST.globals),
        ("levels of nesting", shape.depth, MOST.depth),
    ];
    let measured = [
        ("bytes of memory at the start", shape.memory, MOST.memory),
        ("table elements at the start", shape.tables, MOST.tables),
    ];
    let counted = counted.map(|(what, found, most)| (what, found as u64, most as u64));
    match counted.into_iter().chain(measured).find(|(_, found, most)| found > most) {
        Some((what, found, most)) => Err(format!("it has {found} {what}, and may have {most}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(text: &str) -> Result<Shape, Unfit> {
        scan(&wat::parse_str(text).unwrap())
    }

    #[test]
    fn a_plugin_is_counted_with_all_that_is_nested_in_it() {
        let text = r#"(component
            (core module $a (memory 2) (table 10 funcref) (func) (func (nop) (nop)) (global i32 (i32.const 0)))
            (core module $b (memory 1))
            (core instance (instantiate $a))
            (core instance (instantiate $a))
            (component (core module (func))))"#;
        let shape = scanned(text).unwrap();
        assert_eq!((shape.modules, shape.instances, shape.functions, shape.depth), (3, 2, 3, 2));
        assert_eq!((shape.memory, shape.tables, shape.globals), (3 * PAGE, 10, 1));
    }

    #[test]
    fn what_is_too_much_is_named() {
        let cases = [
            (format!("(module {})", "(func)".repeat(200_001)), "200001 functions, and may have 200000"),
            ("(component ".repeat(12) + &")".repeat(12), "11 levels of nesting"),
            (format!("(component {})", "(core module)".repeat(1_001)), "1001 modules"),
            (
                format!("(module (func (local{}) {} {}))", " i32".repeat(5_000), "(loop ".repeat(100), ")".repeat(100)),
                "500000 locals times nested loops",
            ),
            ("(module (table 20000000 funcref))".to_owned(), "20000000 table elements"),
            (format!("(module (func {}))", "nop ".repeat(5 << 20)), "bytes of one function"),
        ];
        for (text, expected) in cases {
            let error = scanned(&text).unwrap_err();
            assert!(matches!(&error, Unfit::TooMuch(what) if what.contains(expected)), "{error:?}");
        }
    }

    #[test]
    fn what_does_not_parse_is_broken_and_not_too_much() {
        let module = wat::parse_str("(module (func (nop)))").unwrap();
        for end in 9..module.len() {
            assert!(matches!(scan(&module[..end]), Err(Unfit::Broken(_)) | Ok(_)), "{end}");
        }
        assert!(matches!(scan(&module[..module.len() - 1]), Err(Unfit::Broken(_))));
    }
}
