//! What operators ask of a running host, over NATS.

pub mod replay;
pub mod status;
pub mod swap;

use std::time::Duration;

use async_nats::Client;
use async_nats::client::RequestErrorKind;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;

/// Why nothing came of a request.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("no host runs {0}: start it with `pelton run`, or resume its module")]
    NoHost(String),
    #[error("{what}: {cause}")]
    Request { what: String, cause: String },
}

/// Sends `wish` about `what` to the host that listens on `subject`, and gives its answer.
async fn ask<A: DeserializeOwned>(
    client: &Client,
    subject: String,
    wish: &impl Serialize,
    what: impl Fn() -> String,
    patience: Duration,
) -> Result<A, Error> {
    let failed = |cause: String| Error::Request { what: what(), cause };
    let payload = serde_json::to_vec(wish).map_err(|error| failed(error.to_string()))?;
    let request = async_nats::Request::new().payload(payload.into()).timeout(Some(patience));
    let reply = client.send_request(subject, request).await.map_err(|error| match error.kind() {
        RequestErrorKind::NoResponders => Error::NoHost(what()),
        _ => failed(error.to_string()),
    })?;
    serde_json::from_slice(&reply.payload).map_err(|error| failed(error.to_string()))
}

/// Answers a request.
async fn answer(client: &Client, reply: async_nats::Subject, answer: &impl Serialize) {
    let payload = serde_json::to_vec(answer).unwrap_or_default();
    if let Err(error) = client.publish(reply, payload.into()).await {
        warn!(%error, "an answer to an operator could not be sent");
    }
}
