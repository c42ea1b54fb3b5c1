//! Generates the bindings of the C SDK, which a test compares with those that are committed. Here, and not in the test, since
//! the generator is then the one that the Rust SDK's macro is built with.

use std::{env, error::Error, fs, path::Path};

use wit_bindgen_core::{Files, wit_parser::Resolve};

const WIT: &str = "../wit/v0.1";
/// The roles that the SDK has.
const WORLDS: [&str; 2] = ["handler-plugin", "projector-plugin"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={WIT}");
    let out = env::var_os("OUT_DIR").ok_or("no OUT_DIR")?;
    for name in WORLDS {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path(WIT)?;
        let world = resolve.select_world(&[package], Some(name))?;
        let mut files = Files::default();
        wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files)?;
        let folder = Path::new(&out).join(name);
        fs::create_dir_all(&folder)?;
        for (file, bytes) in files.iter() {
            fs::write(folder.join(file), bytes)?;
        }
    }
    Ok(())
}
