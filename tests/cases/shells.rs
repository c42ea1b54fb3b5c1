//! What shells and `man` get: completions that a real shell takes, and pages that say what each verb does.

use std::{collections::BTreeMap, fs, process::Command};

use anyhow::{Context, Result, ensure};
use pelton_tests::binary;

/// What stands in the first lines of each page; written anew with `PELTON_UPDATE=1` in the environment.
const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/cases/shells.txt");

fn pelton(arguments: &[&str]) -> Result<String> {
    let output = Command::new(binary("pelton")?).args(arguments).output()?;
    ensure!(output.status.success(), "pelton {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The words that bash offers for the last of these.
fn offered(script: &str, words: &[&str]) -> Result<Vec<String>> {
    let (typed, before) = (words.last().context("no word")?, words.iter().rev().nth(1).context("one word")?);
    let line = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let asked = format!(
        "COMP_WORDS=({line}); COMP_CWORD={}; _pelton pelton '{typed}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.len() - 1
    );
    let output = Command::new("bash").args(["--norc", "-c", &format!("{script}\n{asked}")]).output()?;
    ensure!(output.stderr.is_empty(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

#[test]
fn bash_completes_verbs_options_and_values() -> Result<()> {
    let script = pelton(&["completion", "bash"])?;
    for (words, expected) in [
        (&["pelton", "mod"][..], &["module"][..]),
        (&["pelton", "module", "re"], &["reset", "resume"]),
        (&["pelton", "dlq", "d"], &["discard"]),
        (&["pelton", "dlq", "ls", "--cau"], &["--cause"]),
        (&["pelton", "new", "--lang", ""], &["c", "js", "python", "rust"]),
        (&["pelton", "module", "ls", "--output", ""], &["json", "text"]),
    ] {
        let mut found = offered(&script, words)?;
        found.sort();
        assert_eq!(found, expected, "{words:?}");
    }
    Ok(())
}

#[test]
fn each_shell_gets_a_script_that_knows_every_verb() -> Result<()> {
    let help = pelton(&["--help"])?;
    let verbs = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs: Vec<&str> = verbs.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next()).collect();
    assert!(verbs.len() > 15, "{verbs:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = pelton(&["completion", shell])?;
        for verb in &verbs {
            assert!(script.contains(verb), "{shell} knows no {verb}");
        }
    }
    Ok(())
}

#[test]
fn there_is_a_page_for_each_verb_that_says_what_it_does() -> Result<()> {
    let folder = tempfile::tempdir()?;
    pelton(&["man", &folder.path().display().to_string()])?;
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(folder.path())? {
        let path = entry?.path();
        let page = fs::read_to_string(&path)?;
        let part = |title: &str| page.split_once(&format!(".SH {title}\n")).map_or("", |(_, rest)| rest);
        let about = part("NAME").lines().next().unwrap_or_default().replace("\\*(Aq", "'").replace('\\', "");
        assert!(!part("SYNOPSIS").is_empty(), "{}: {page}", path.display());
        pages.insert(path.file_name().context("no name")?.to_string_lossy().into_owned(), about);
    }
    let said: String = pages.iter().map(|(name, about)| format!("{name}: {about}\n")).collect();
    if std::env::var_os("PELTON_UPDATE").is_some() {
        fs::write(PAGES, &said)?;
    }
    let kept = fs::read_to_string(PAGES).unwrap_or_default();
    assert_eq!(kept, said, "PELTON_UPDATE=1 cargo test --test it shells:: writes it anew");
    assert_eq!(pelton(&["man"])?, fs::read_to_string(folder.path().join("pelton.1"))?);
    Ok(())
}
