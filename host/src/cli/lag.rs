//! `pelton lag`: how far behind modules are, for monitors.

use time::OffsetDateTime;

use super::output::{self, print};
use super::{Common, Silent};
use crate::config::Config;
use crate::host;
use crate::lag::{Judged, Level, Threshold};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Lag {
    /// More than so many inputs, or an input waiting longer than this, is a warning: `1000`, `30s`, or both with a comma
    #[arg(long, value_delimiter = ',')]
    warn: Vec<Threshold>,
    /// The same for critical
    #[arg(long, value_delimiter = ',')]
    crit: Vec<Threshold>,
    #[command(flatten)]
    common: Common,
}

const EXAMPLES: &str = "\
Prints a line for each module of the config, as plugins of Nagios do. A module that halted, that never ran, or whose lag
cannot be told is critical.

Exit codes, unlike those of other verbs: 0 all is well, 1 a warning, 2 critical. 69 if NATS is not reachable and 78 if the
config cannot be used, which monitors take as unknown; an error of any other kind, also in the command line, is 3.

Examples:
  pelton lag
  pelton lag --warn 1000 --crit 10000
  pelton lag --warn 30s --crit 5m,100000 -o json";

/// What plugins of Nagios end with when they cannot tell.
pub const UNKNOWN: u8 = 3;

impl Lag {
    pub async fn main(self) -> anyhow::Result<()> {
        let config = self.common.load()?;
        let judged = match self.judged(&config).await {
            Err(error) if error.is::<host::Error>() => return Err(error),
            Err(error) => {
                output::error(&format!("error: {error:#}\n"));
                return Err(Silent(UNKNOWN).into());
            }
            Ok(judged) => judged,
        };
        print(self.common.output, &judged, |judged| judged.iter().map(|one| format!("{one}\n")).collect())?;
        match judged.iter().map(|one| one.level).max().unwrap_or(Level::Ok) {
            Level::Ok => Ok(()),
            level => Err(Silent(level.exit_code()).into()),
        }
    }

    async fn judged(&self, config: &Config) -> anyhow::Result<Vec<Judged>> {
        let reading = self.common.connect(config).await?;
        let modules: Vec<_> = config.modules.iter().map(|module| module.name.clone()).collect();
        let lags = reading.query.lags(&modules, OffsetDateTime::now_utc()).await?;
        Ok(lags.into_iter().map(|lag| lag.judge(&self.warn, &self.crit)).collect())
    }
}
