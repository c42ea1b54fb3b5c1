//! The C SDK's generated files are what the WIT gives. They are committed, so that an author needs a compiler only.
//!
//! `PELTON_GENERATE=1 cargo test -p pelton-tests --test it c_bindings` writes them anew.

use std::{
    ffi::OsStr,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

const HEAD: &str = "\
// What wit-bindgen makes of wit/v0.1. Committed, so that an author needs nothing but a compiler; a test compares it with
// the WIT, and `PELTON_GENERATE=1 cargo test -p pelton-tests --test it c_bindings` writes it anew.
";
/// The roles that the SDK has.
const WORLDS: [&str; 2] = ["handler-plugin", "projector-plugin"];

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// What `build.rs` has generated for a world, as it is committed.
fn generated(world: &str) -> Result<Vec<(String, String)>> {
    let folder = Path::new(env!("OUT_DIR")).join(world);
    let mut sources = Vec::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let (name, bytes) = (path.file_name().and_then(OsStr::to_str).context("no name")?, fs::read(&path)?);
        sources.push(match name.strip_suffix(".o") {
            Some(object) => (format!("{object}.c"), type_as_source(&bytes, world)?),
            None => (name.to_owned(), format!("{HEAD}{}", String::from_utf8(bytes)?)),
        });
    }
    Ok(sources)
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
    let generated: Vec<_> = WORLDS.into_iter().map(generated).collect::<Result<_>>()?;
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

const NUMBERS: &str = r#"
#include <stdio.h>
#include <string.h>
#include "src/internal.h"
pelton_text pelton_text_of(const char *text) { return (pelton_text){text, strlen(text)}; }
int main(void) {
  double value;
  while (scanf("%lf", &value) == 1) {
    pelton_json json = {0};
    pelton_write_number(&json, NULL, value);
    printf("%.*s\n", (int)json.len, json.at);
  }
}
"#;

/// The part of the SDK that writes JSON is plain C, so it runs here too.
#[test]
fn numbers_are_written_so_that_they_are_read_back_as_they_were() -> Result<()> {
    let (temporary, sdk) = (tempfile::tempdir()?, folder("guest-sdk/c"));
    let (source, program) = (temporary.path().join("numbers.c"), temporary.path().join("numbers"));
    fs::write(&source, NUMBERS)?;
    let built = Command::new("cc")
        .arg("-I")
        .arg(&sdk)
        .arg("-o")
        .arg(&program)
        .arg(&source)
        .arg(sdk.join("src/write.c"))
        .output()?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let numbers =
        [0.0, 0.1, 0.1 + 0.2, 1e300, -2.5e-7, 5e-324, 123_456_789.125, 1.0 / 3.0, f64::MAX, f64::NAN, f64::INFINITY];
    let input = numbers.map(|number| number.to_string()).join("\n");
    fs::write(temporary.path().join("input"), input)?;
    let output = Command::new(&program).stdin(fs::File::open(temporary.path().join("input"))?).output()?;
    let written = String::from_utf8(output.stdout)?;
    let read: Vec<Option<f64>> = written.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(read, numbers.map(|number| number.is_finite().then_some(number)));
    Ok(())
}
