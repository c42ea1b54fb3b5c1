//! Makes a manifest that takes from its workspace one that stands alone. Pure.

use toml::{Table, Value};

/// The manifest of a crate in `folder` of the workspace, with what it takes from there filled in.
pub fn standalone(manifest: &str, workspace: &str, folder: &str) -> Result<String, toml::de::Error> {
    let workspace: Table = toml::from_str(workspace)?;
    let of =
        |name: &str| workspace.get("workspace").and_then(|workspace| workspace.get(name)).and_then(Value::as_table);
    let mut manifest: Table = toml::from_str(manifest)?;
    // Lints are for those who work on the SDK.
    manifest.remove("lints");
    fill(&mut manifest, "package", of("package"), folder);
    fill(&mut manifest, "dependencies", of("dependencies"), folder);
    if let Some(targets) = manifest.get_mut("target").and_then(Value::as_table_mut) {
        for target in targets.iter_mut().filter_map(|(_, target)| target.as_table_mut()) {
            fill(target, "dependencies", of("dependencies"), folder);
        }
    }
    Ok(manifest.to_string())
}

/// Puts what `from` says in the place of every `{ workspace = true }` in a table of the manifest.
fn fill(manifest: &mut Table, table: &str, from: Option<&Table>, folder: &str) {
    let Some(table) = manifest.get_mut(table).and_then(Value::as_table_mut) else { return };
    for (name, value) in table.iter_mut() {
        let is_inherited = value.get("workspace").and_then(Value::as_bool) == Some(true);
        if let Some(meant) = from.and_then(|from| from.get(name)).filter(|_| is_inherited) {
            *value = relative(meant.clone(), folder);
        }
    }
}

/// A dependency whose path is relative to the workspace, as its crate in `folder` sees it.
fn relative(mut dependency: Value, folder: &str) -> Value {
    if let Some(Value::String(path)) = dependency.get_mut("path")
        && let Some(within) = path.strip_prefix(folder).and_then(|within| within.strip_prefix('/'))
    {
        *path = within.to_owned();
    }
    dependency
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_manifest_takes_from_its_workspace_is_filled_in() {
        let workspace = r#"
            [workspace.package]
            version = "1.2.3"
            [workspace.dependencies]
            a = "1"
            b = { path = "sdk/b", features = ["x"] }
        "#;
        let manifest = r#"
            [package]
            name = "sdk"
            version.workspace = true
            [lints]
            workspace = true
            [dependencies]
            a.workspace = true
            c = "3"
            [target.'cfg(unix)'.dependencies]
            b = { workspace = true }
        "#;
        let expected: Table = toml::from_str(
            r#"
            package = { name = "sdk", version = "1.2.3" }
            dependencies = { a = "1", c = "3" }
            target = { 'cfg(unix)' = { dependencies = { b = { path = "b", features = ["x"] } } } }
        "#,
        )
        .unwrap();
        let found = standalone(manifest, workspace, "sdk").unwrap();
        assert_eq!(toml::from_str::<Table>(&found).unwrap(), expected);
    }
}
