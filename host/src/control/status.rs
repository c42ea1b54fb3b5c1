//! Asks all hosts of an app how they fare.

use std::time::Duration;

use async_nats::{Client, StatusCode};
use bytes::Bytes;
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::Error;
use crate::status::Report;
use crate::subject::Subjects;

/// How long the first answer may take. That nobody is there is known at once.
const FIRST: Duration = Duration::from_secs(2);
/// How long the others are waited for behind the first: nobody knows how many there are.
const OTHERS: Duration = Duration::from_millis(300);

/// What each host tells that answers, by host; nothing if none runs.
pub async fn ask(client: &Client, subjects: &Subjects) -> Result<Vec<Report>, Error> {
    let failed = |cause: String| Error::Request { what: "the hosts' status".to_owned(), cause };
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| failed(error.to_string()))?;
    let asked = client.publish_with_reply(subjects.status(), inbox, Bytes::new()).await;
    asked.map_err(|error| failed(error.to_string()))?;
    let (mut until, mut reports) = (Instant::now() + FIRST, Vec::<Report>::new());
    while let Ok(Some(answer)) = timeout_at(until, answers.next()).await {
        if answer.status == Some(StatusCode::NO_RESPONDERS) {
            break;
        }
        let report = serde_json::from_slice(&answer.payload);
        let other = |error| failed(format!("a host of another version answers what this one does not know: {error}"));
        reports.push(report.map_err(other)?);
        if reports.len() == 1 {
            until = Instant::now() + OTHERS;
        }
    }
    reports.sort_by(|one, other| one.host.cmp(&other.host));
    Ok(reports)
}
