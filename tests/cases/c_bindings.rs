//! The C SDK's generated files are what the WIT gives. They are committed, so that an author needs a compiler only.
//!
//! `PELTON_GENERATE=1 cargo test -p pelton-tests --test it c_bindings` writes them anew.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use wit_bindgen_core::{Files, wit_parser::Resolve};

const HEAD: &str = "\
// What wit-bindgen makes of wit/v0.1. Committed, so that an author needs nothing but a compiler; a test compares it with
// the WIT, and `PELTON_GENERATE=1 cargo test -p pelton-tests --test it c_bindings` writes it anew.
";
/// The roles that the SDK has.
const WORLDS: [&str; 2] = ["handler-plugin", "projector-plugin"];

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn generate(world_name: &str) -> Result<Vec<(String, String)>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(folder("wit/v0.1"))?;
    let world = resolve.select_world(&[package], Some(world_name))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files)?;
    let source = |(name, bytes): (&str, &[u8])| match name.strip_suffix(".o") {
        Some(object) => Ok((format!("{object}.c"), type_as_source(bytes, world_name)?)),
        None => Ok((name.to_owned(), format!("{HEAD}{}", std::str::from_utf8(bytes)?))),
    };
    files.iter().map(source).collect()
}

/// The component's type, as source that puts it into the custom section that the generated object has it in: a text
/// can be reviewed, and any compiler can read it.
fn type_as_source(object: &[u8], world: &str) -> Result<String> {
    let section = format!("component-type:{world}");
    let content = custom_section(object, &section).context("the object has no component type")?;
    let mut source = format!("{HEAD}\n__asm__(\n    \".section \\\".custom_section.{section}\\\",\\\"\\\",@\\n\"\n");
    for line in content.chunks(24) {
        let bytes: Vec<String> = line.iter().map(u8::to_string).collect();
        writeln!(source, "    \".byte {}\\n\"", bytes.join(","))?;
    }
    // What the bindings call so that a linker does not leave the component's type out.
    let linked = format!("__component_type_object_force_link_{}", world.replace('-', "_"));
    write!(source, ");\n\nvoid {linked}(void) {{}}\n")?;
    Ok(source)
}

/// The content of the custom section of that name in a core module.
fn custom_section<'a>(module: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = module.get(8..)?;
    while let [id, after @ ..] = rest {
        let (size, after) = leb128(after)?;
        let (section, next) = after.split_at_checked(size)?;
        if *id == 0 {
            let (length, section) = leb128(section)?;
            let (found, content) = section.split_at_checked(length)?;
            if found == name.as_bytes() {
                return Some(content);
            }
        }
        rest = next;
    }
    None
}

fn leb128(mut bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        value |= usize::from(byte & 0x7f) << shift;
        (bytes, shift) = (rest, shift + 7);
        if byte < 0x80 {
            return Some((value, bytes));
        }
    }
}

#[test]
fn the_c_bindings_are_those_of_the_wit() -> Result<()> {
    let anew = std::env::var_os("PELTON_GENERATE").is_some();
    let generated: Vec<_> = WORLDS.into_iter().map(generate).collect::<Result<_>>()?;
    for (name, source) in generated.concat() {
        let path = folder("guest-sdk/c/generated").join(name);
        if anew {
            fs::write(&path, &source)?;
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        ensure!(
            committed == source,
            "{} is not what the WIT gives: run `PELTON_GENERATE=1 cargo test -p pelton-tests --test it c_bindings`",
            path.display()
        );
    }
    Ok(())
}
