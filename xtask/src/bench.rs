//! `cargo xtask bench`: Pelton beside a native pipeline that does the same work.

use anyhow::Result;

use crate::{
    build::{self, GUESTS, PLUGINS},
    step::{cargo, step},
    tools,
};

/// Builds, then runs the bench with `args`, in the profile that everything else uses.
pub fn run(args: &[String]) -> Result<()> {
    tools::install()?;
    build::wasm(PLUGINS)?;
    build::wasm(GUESTS)?;
    let mut bench = cargo();
    bench.args(["bench", "--profile", "dev", "--workspace", "--bench", "throughput", "--"]);
    bench.args(args).envs(build::environment()?);
    step("bench", &mut bench)
}
