//! What the soak can be told.

/// The soak's options.
#[derive(Clone, clap::Args)]
pub struct Options {
    /// How long hosts and servers are under load and at fault
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub minutes: u32,
    /// What faults are drawn by: the same number gives the same faults
    #[arg(long)]
    pub seed: Option<u64>,
    /// Keep the folder of logs and records even if all is well
    #[arg(long)]
    pub keep: bool,
}
