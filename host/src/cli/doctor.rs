//! `pelton doctor`: looks app and server over, and says what mends what is not as it should be.

use hyper::Uri;
use time::OffsetDateTime;

use super::output::print;
use super::{Common, Silent};
use crate::doctor::{self, Finding, Level, collect::collect};
use crate::host::connect;

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Doctor {
    #[command(flatten)]
    common: Common,
    /// A server's monitoring address: it tells when that server writes to disk and how full its storage is, which an app's
    /// own connection is not told. Once for each server
    #[arg(long, value_name = "http://HOST:8222")]
    monitor: Vec<Uri>,
}

const EXAMPLES: &str = "\
Looks at the server, JetStream and its room, what a commit survives, permissions, clocks, the app stream, plugins, input
streams, modules and dead letters. Nothing is changed. Ends with 1 if an error is among the findings.

Examples:
  pelton doctor
  pelton doctor --monitor http://n1:8222 --monitor http://n2:8222 --monitor http://n3:8222
  pelton doctor -o json | jq '.[] | select(.level != \"ok\")'";

impl Doctor {
    pub async fn main(self) -> anyhow::Result<()> {
        let config = self.common.load()?;
        let connections = connect(&config.nats).await?;
        let facts = collect(&config, &connections, &self.monitor, OffsetDateTime::now_utc()).await;
        let found = doctor::findings(&facts);
        print(self.common.output, &found, |found| found.iter().map(shown).collect())?;
        let is_bad = found.iter().any(|finding| finding.level == Level::Error);
        if is_bad { Err(Silent(1).into()) } else { Ok(()) }
    }
}

fn shown(Finding { level, what, seen, mend }: &Finding) -> String {
    let level = match level {
        Level::Ok => "ok",
        Level::Warn => "warn",
        Level::Error => "ERROR",
    };
    let mend = mend.as_ref().map(|mend| format!("{:7}mend: {mend}\n", "")).unwrap_or_default();
    format!("{level:7}{what}: {seen}\n{mend}")
}
