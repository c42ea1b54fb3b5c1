//! What a new project is made of, as it stands in the repository: templates, the SDKs, the WIT. In the binary, so that
//! `pelton new` needs nothing else.

/// A file: where it goes, and what it holds.
pub type File = (&'static str, &'static str);

macro_rules! files {
    ($folder:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/", $path)))),*]
    };
}

/// The interface, under `wit/v0.1`.
pub const WIT: &[File] = files!("../wit/v0.1": "imports.wit", "roles.wit", "types.wit");

/// The SDK for Rust, under `guest-sdk`; its manifests are not among them.
pub const RUST_SDK: &[File] = files!("../guest-sdk":
    "cases/src/answer.rs", "cases/src/lib.rs", "cases/src/written.rs",
    "src/bindings.rs", "src/config.rs", "src/effects.rs", "src/event.rs", "src/failure.rs", "src/handler.rs",
    "src/host.rs", "src/json.rs", "src/json/shape.rs", "src/lib.rs", "src/log.rs", "src/projector.rs", "src/random.rs",
    "src/testing/cases.rs", "src/testing/expected.rs", "src/testing/given.rs", "src/testing/host.rs",
    "src/testing/mod.rs", "src/testing/outcome.rs", "src/testing/sample.rs", "src/view.rs",
);
/// Its manifests, which take from the workspace's.
pub const RUST_MANIFESTS: &[File] = files!("../guest-sdk": "Cargo.toml", "cases/Cargo.toml");
/// The workspace's manifest.
pub const WORKSPACE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));

/// The SDK for JavaScript, under `guest-sdk`.
pub const JS_SDK: &[File] = files!("../guest-sdk":
    "js/build.js", "js/package.json", "js/src/effects.js", "js/src/failure.js", "js/src/handler.js", "js/src/host.js",
    "js/src/index.js", "js/src/json.js", "js/src/projector.js", "js/src/pure.js", "js/src/readers.js", "js/src/role.js",
    "js/src/view.js",
);

/// The SDK for Python, under `guest-sdk`.
pub const PYTHON_SDK: &[File] = files!("../guest-sdk":
    "python/pelton/__init__.py", "python/pelton/effects.py", "python/pelton/failure.py", "python/pelton/handler.py",
    "python/pelton/host.py", "python/pelton/json_text.py", "python/pelton/log.py", "python/pelton/projector.py",
    "python/pelton/read.py", "python/pelton/role.py", "python/pelton/view.py", "python/requirements.txt",
);

/// The SDK for C, under `guest-sdk`.
pub const C_SDK: &[File] = files!("../guest-sdk":
    "c/generated/handler_plugin.c", "c/generated/handler_plugin.h", "c/generated/handler_plugin_component_type.c",
    "c/generated/projector_plugin.c", "c/generated/projector_plugin.h", "c/generated/projector_plugin_component_type.c",
    "c/pelton.c", "c/pelton.h", "c/requirements.txt", "c/src/call.c", "c/src/effects.c", "c/src/host.c",
    "c/src/internal.h", "c/src/read.c", "c/src/scan.c", "c/src/write.c",
);

/// The templates: what stands for a name in them is between double braces.
pub const TEMPLATES: &[File] = files!("templates":
    "c/build.sh", "c/handler/plugin.c", "c/projector/plugin.c",
    "common/README.md", "common/handler/cases.json", "common/handler/pelton.toml", "common/projector/cases.json",
    "common/projector/pelton.toml",
    "js/handler/plugin.js", "js/package.json", "js/projector/plugin.js",
    "python/build.sh", "python/handler/plugin.py", "python/projector/plugin.py",
    "rust/Cargo.toml", "rust/cases.rs", "rust/handler/lib.rs", "rust/projector/lib.rs",
);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The files under a folder of the repository, as git would list them.
    fn found(folder: &Path, below: &str) -> Vec<String> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder.join(below)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
            if ["node_modules", "__pycache__", "tests"].contains(&name.as_str()) || name.starts_with('.') {
                continue;
            }
            if folder.join(&path).is_dir() { files.extend(found(folder, &path)) } else { files.push(path) }
        }
        files
    }

    #[test]
    fn every_file_of_the_sdks_and_the_templates_is_in_the_binary() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let sdks = [RUST_SDK, RUST_MANIFESTS, JS_SDK, PYTHON_SDK, C_SDK].concat();
        for (folder, files) in [("wit/v0.1", WIT.to_vec()), ("guest-sdk", sdks), ("host/templates", TEMPLATES.to_vec())]
        {
            let mut found = found(&repository.join(folder), "");
            let mut embedded: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
            found.sort();
            embedded.sort_unstable();
            assert_eq!(embedded, found, "{folder}");
        }
    }
}
