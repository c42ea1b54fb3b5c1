//! What the command line says of itself: completions, manual pages, the schema of the config file.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Result, ensure};
use pelton_tests::binary;

/// What a verb that must succeed prints.
fn out(arguments: &[&str]) -> Result<String> {
    let output = Command::new(binary("pelton")?).args(arguments).output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The verbs, as the help lists them.
fn verbs() -> Result<BTreeSet<String>> {
    let help = out(&["--help"])?;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs: BTreeSet<String> = listed.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    ensure!(verbs.contains("run"), "{help}");
    Ok(verbs)
}

#[test]
fn every_shell_completes_every_verb() -> Result<()> {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = out(&["completion", shell])?;
        for verb in verbs()? {
            ensure!(script.contains(&verb), "{shell} does not know {verb}");
        }
        ensure!(!script.contains('\u{FFFD}'), "{shell}: a character was lost");
    }
    // The shell that is always there takes its script.
    let script = tempfile::NamedTempFile::new()?;
    fs::write(script.path(), out(&["completion", "bash"])?)?;
    ensure!(Command::new("bash").arg("-n").arg(script.path()).status()?.success());
    Ok(())
}

#[test]
fn every_verb_has_a_manual_page() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pages = folder.path().join("man1");
    out(&["man", &pages.to_string_lossy()])?;
    for verb in verbs()?.iter().filter(|verb| *verb != "help") {
        let page = fs::read_to_string(pages.join(format!("pelton-{verb}.1")))?;
        ensure!(page.contains(".TH") && page.contains("SYNOPSIS"), "{page}");
    }
    ensure!(out(&["man"])?.contains("WebAssembly"));
    Ok(())
}

#[test]
fn the_schema_is_json() -> Result<()> {
    let schema: serde_json::Value = serde_json::from_str(&out(&["config", "schema"])?)?;
    assert_eq!(schema["title"], "pelton.toml");
    Ok(())
}
