//! Why a host does not run, or ended.

use crate::commit::record::Changed;
use crate::commit::{app_stream, ledger, witness};
use crate::guest::{EngineError, LoadError};
use crate::ownership::heartbeats;
use crate::{http, source};

/// Why a host does not run, or ended.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Http(#[from] http::Error),
    #[error("the traces of [traces]: {0}")]
    Traces(String),
    #[error("cannot connect to {url}: {cause}")]
    Connect { url: String, cause: String },
    #[error(transparent)]
    AppStream(#[from] app_stream::Error),
    #[error(transparent)]
    Witness(#[from] witness::Error),
    #[error("module {module:?}: {cause}")]
    Plugin { module: String, cause: LoadError },
    #[error(transparent)]
    Changed(#[from] Changed),
    #[error("module {module:?}: could not be set up: {cause}")]
    SetUp { module: String, cause: ledger::Error },
    #[error("module {module:?}: {cause}")]
    Input { module: String, cause: source::Error },
    #[error("no module can run; see the errors above")]
    NothingRuns,
    #[error(transparent)]
    Hosts(#[from] heartbeats::Error),
    #[error("every module halted; see the errors above")]
    AllHalted,
    #[error("the committer failed; what it had not committed is done again at the next start")]
    Committer,
}

/// What the server or the client says of a stream that has no leader yet.
const EARLY: [&str; 3] = ["timed out", "request error", "temporarily unavailable"];

impl Error {
    /// Whether it may be that a stream of the app has no leader yet.
    pub(super) fn is_early(&self) -> bool {
        let cause = match self {
            Self::AppStream(app_stream::Error::Api { cause, .. })
            | Self::Witness(witness::Error::Api { cause, .. })
            | Self::Hosts(heartbeats::Error { cause, .. }) => cause,
            _ => return false,
        };
        EARLY.iter().any(|early| cause.contains(early))
    }

    /// Whether the app stream is not the one that was seen.
    pub(super) fn is_other_stream(&self) -> bool {
        matches!(self, Self::Witness(error) if !matches!(error, witness::Error::Api { .. }))
    }

    /// Whether it is the config that is to be mended.
    pub fn is_of_config(&self) -> bool {
        matches!(self, Self::Http(http::Error::Token(_) | http::Error::Tls(_)) | Self::Traces(_))
    }
}
