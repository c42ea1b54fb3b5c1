//! The systemd unit is one that systemd takes, word for word.

use std::{fs, process::Command};

use anyhow::{Result, ensure};
use pelton_tests::binary;

const UNIT: &str = include_str!("../../docs/systemd/pelton.service");

/// What systemd says of a unit; none where there is no systemd.
#[allow(clippy::print_stderr, reason = "a test that is left out says so")]
fn verify(unit: &str) -> Result<Option<String>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pelton.service");
    fs::write(&file, unit)?;
    match Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output() {
        Ok(output) => {
            Ok(Some(format!("{}{}", String::from_utf8_lossy(&output.stderr), output.status.code() != Some(0))))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("left out: there is no systemd-analyze");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

#[test]
fn systemd_takes_the_unit_and_complains_of_nothing() -> Result<()> {
    let unit = UNIT.replace("/usr/local/bin/pelton", &binary("pelton")?.display().to_string());
    ensure!(unit != UNIT, "the unit names the binary elsewhere");
    let Some(said) = verify(&unit)? else { return Ok(()) };
    assert_eq!(said, "false");
    // It does complain of what it does not know.
    let said = verify(&unit.replace("RestartSec=", "RestartSeconds="))?.unwrap_or_default();
    assert!(said.contains("RestartSeconds"), "{said}");
    Ok(())
}
