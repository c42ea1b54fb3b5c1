//! Looks at an app: asks all hosts, and reads back what none of them tells.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use crate::commit::record::State;
use crate::config::Config;
use crate::control;
use crate::host::Connections;
use crate::lag::Lag;
use crate::query::{self, ModuleState, Query};
use crate::status::Report;
use crate::subject::{Name, Subjects};

/// What one look at an app gave.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When.
    pub time: OffsetDateTime,
    /// What each host that answers tells.
    pub reports: Vec<Report>,
    /// The modules that the config or the app stream names, with what their records say; none if it never ran.
    pub known: BTreeMap<Name, Option<State>>,
    /// The lags that no host tells.
    pub lags: BTreeMap<Name, Lag>,
}

/// Why an app could not be looked at.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(transparent)]
    Query(#[from] query::Error),
    #[error(transparent)]
    Hosts(#[from] control::Error),
}

/// Looks at one app.
pub struct Looker {
    connections: Connections,
    subjects: Subjects,
    query: Query,
    configured: Vec<Name>,
}

impl Looker {
    /// Looks at the app of `config`, which `query` reads.
    pub fn new(config: &Config, connections: Connections, query: Query) -> Self {
        let configured = config.modules.iter().map(|module| module.name.clone()).collect();
        Self { connections, subjects: Subjects::new(&config.app), query, configured }
    }

    /// What there is to see now.
    pub async fn look(&self) -> Result<Seen, Error> {
        let asked = async { Ok(control::status::ask(&self.connections.read, &self.subjects).await?) };
        let read = async { Ok::<_, Error>(self.query.records().await?) };
        let (reports, records) = tokio::try_join!(asked, read)?;
        let mut known: BTreeMap<Name, Option<State>> =
            self.configured.iter().map(|name| (name.clone(), None)).collect();
        known.extend(records.into_iter().map(|record| (record.module, Some(record.state))));
        let time = OffsetDateTime::now_utc();
        let told = |name: &Name| {
            let mut modules = reports.iter().flat_map(|report| &report.modules);
            modules.any(|module| module.module == *name && module.lag_is_known)
        };
        let untold = known.iter().filter(|(name, state)| state.is_some() && !told(name));
        let untold: Vec<Name> = untold.map(|(name, _)| name.clone()).collect();
        let lags = self.query.lags(&untold, time).await?;
        let lags = lags.into_iter().map(|lag| (lag.module.clone(), lag)).collect();
        Ok(Seen { time, reports, known, lags })
    }

    /// The lanes of a module.
    pub async fn lanes(&self, module: &Name) -> Result<ModuleState, Error> {
        Ok(self.query.module(module).await?)
    }
}
