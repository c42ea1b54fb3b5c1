//! Installs the fuzzer that holds the HTTP server against its OpenAPI document. Where it cannot be, its test is left out.

use anyhow::Result;

use crate::{languages::install_by_pip, locate};

/// The fuzzer and all that it needs, by version.
const REQUIREMENTS: &str = "tests/schemathesis/requirements.txt";

/// Installs it, or says why not.
pub fn install() -> Result<()> {
    let tools = locate::tools()?;
    if let Err(why) = install_by_pip(&tools, "fuzzing HTTP", REQUIREMENTS, &tools.join("schemathesis")) {
        println!("── fuzzing HTTP is left out: {why:#}");
    }
    Ok(())
}
