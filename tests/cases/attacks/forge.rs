//! Makes plugins that no toolchain would make: core modules in WAT with the metadata of a world, so that the host takes
//! them for what a toolchain gave.

use std::path::Path;

use anyhow::Result;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where the address of the next allocation begins; below it lies what the guest was made with.
pub const HEAP: u32 = 64 << 10;
/// Sixteen words of zeros: as an answer, one without effects.
pub const NOTHING: u32 = 16;

/// A handler in parts, which are harmless unless said otherwise.
pub struct Guest {
    /// The limits of its memory, in pages.
    pub memory: &'static str,
    /// What `handle` does, with a local `$at` of its own; it leaves the address of the answer.
    pub handle: String,
    /// What the allocator does; it leaves an address.
    pub realloc: &'static str,
    /// What else the module holds, imports first.
    pub more: String,
    /// Bytes that stand in its memory from the beginning, by address.
    pub data: Vec<(u32, Vec<u8>)>,
    /// What its world has besides that of a handler: packages of WIT and the world's own lines.
    pub wit: Wit,
}

/// WIT beside Pelton's own.
#[derive(Clone, Copy, Default)]
pub struct Wit {
    /// Packages, each before those that use it.
    pub packages: &'static [&'static str],
    /// What the world imports of them.
    pub imports: &'static str,
}

/// The next addresses, in steps of eight, from [`HEAP`] on for each call.
const BUMP: &str = "(local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 7)) (i32.const -8)))
    (local.get $at)";

impl Default for Guest {
    fn default() -> Self {
        let (handle, more, data) = (format!("(i32.const {NOTHING})"), String::new(), Vec::new());
        Self { memory: "4", handle, realloc: BUMP, more, data, wit: Wit::default() }
    }
}

impl Guest {
    /// A guest whose `handle` does this, before it answers with nothing.
    pub fn that(does: &str) -> Self {
        Self { handle: format!("{does} (i32.const {NOTHING})"), ..Self::default() }
    }

    /// A guest that has this besides what all have.
    pub fn with(more: &str) -> Self {
        Self { more: more.to_owned(), ..Self::default() }
    }

    /// The module as a file.
    pub fn plugin(&self) -> Result<Vec<u8>> {
        let mut module = wat::parse_str(self.text())?;
        embed(&mut module, self.wit)?;
        Ok(module)
    }

    fn text(&self) -> String {
        let Self { memory, handle, realloc, more, data, .. } = self;
        let data: String = data.iter().map(|(at, bytes)| data_segment(*at, bytes)).collect();
        format!(
            r#"(module {more}
                (memory (export "memory") {memory})
                (global $next (mut i32) (i32.const {HEAP}))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "pelton:plugin/handler@0.1.0#handle") (param i32) (result i32) (local $at i32)
                    (global.set $next (i32.const {HEAP}))
                    {handle})
                {data})"#
        )
    }
}

fn data_segment(at: u32, bytes: &[u8]) -> String {
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!("(data (i32.const {at}) \"{escaped}\")\n")
}

/// Puts into `module` that it is of the world `handler-plugin`, or of one with more imports.
fn embed(module: &mut Vec<u8>, wit: Wit) -> Result<()> {
    let mut resolve = Resolve::default();
    resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit/v0.1"))?;
    for package in wit.packages {
        resolve.push_source("package.wit", package)?;
    }
    let world = format!(
        "package hostile:plugin;\nworld hostile {{ include pelton:plugin/handler-plugin@0.1.0; {} }}",
        wit.imports
    );
    let package = resolve.push_source("hostile.wit", &world)?;
    let world = resolve.select_world(&[package], Some("hostile"))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
}
