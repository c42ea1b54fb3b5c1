//! Asks a host to replay dead letters, in the lane that owns them.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};

use super::Error;
use crate::commit::LaneId;
use crate::commit::audit::{Letter, Replaying};
use crate::commit::format;
use crate::commit::read::{Reader, is_deletion};
use crate::dlq::{self, DeadLetter};
use crate::event::Sequence;
use crate::lane::replay::{Answer, Order};
use crate::source::{Decoded, InputStream, Routing};
use crate::subject::Subjects;

/// How long a replay may take, with what its lane has in hand before it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request to replay one dead letter, to the lane that its key has now.
#[derive(Debug, Serialize, Deserialize)]
struct Replay {
    /// The lane that it was written in.
    lane: u16,
    sequence: Sequence,
    who: String,
}

/// Asks the host that runs `lane` to replay a dead letter of whose key it is, as `who` says.
pub async fn replay(
    client: &Client,
    subjects: &Subjects,
    (letter, lane): (&Letter, u16),
    who: &str,
) -> Result<Answer, Error> {
    let wish = Replay { lane: letter.lane, sequence: letter.sequence, who: who.to_owned() };
    let subject = subjects.replay(&letter.module, lane);
    let lane = LaneId { module: letter.module.clone(), lane };
    super::ask(client, subject, &wish, || lane.to_string(), PATIENCE + Duration::from_secs(5)).await
}

/// A lane that serves.
pub struct Lane {
    /// Which.
    pub id: LaneId,
    /// How its module's inputs are found.
    pub routing: Arc<Routing>,
    /// Their stream.
    pub stream: InputStream,
    /// Where to hand it what is to be replayed.
    pub orders: mpsc::Sender<Order>,
}

/// Serves the requests for one lane, until the lane has ended.
pub async fn serve(
    client: &Client,
    subjects: &Subjects,
    reader: &Reader,
    lane: Lane,
) -> Result<impl Future<Output = ()> + Send + 'static, async_nats::SubscribeError> {
    let mut requests = client.subscribe(subjects.replay(&lane.id.module, lane.id.lane)).await?;
    let (client, subjects, reader) = (client.clone(), subjects.clone(), reader.clone());
    Ok(async move {
        loop {
            let request = tokio::select! {
                request = requests.next() => request,
                () = lane.orders.closed() => return,
            };
            let Some(request) = request else { return };
            let answer = order(&subjects, &reader, &lane, &request.payload).await;
            let Some(reply) = request.reply else { continue };
            let client = client.clone();
            tokio::spawn(async move {
                let answer = match answer {
                    Ok(waiting) => waited(waiting).await,
                    Err(answer) => answer,
                };
                super::answer(&client, reply, &answer).await;
            });
        }
    })
}

async fn waited(waiting: oneshot::Receiver<Answer>) -> Answer {
    let again = |reason: &str| Answer::Again { reason: reason.to_owned() };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => again("the lane has ended"),
        Err(_) => again("the lane has not come to it in time; it may still do it"),
    }
}

/// Has the lane replay what is asked for; or says at once why not.
async fn order(
    subjects: &Subjects,
    reader: &Reader,
    lane: &Lane,
    payload: &[u8],
) -> Result<oneshot::Receiver<Answer>, Answer> {
    let again = |reason: String| Answer::Again { reason };
    let Replay { lane: written, sequence, who } =
        serde_json::from_slice(payload).map_err(|error| again(error.to_string()))?;
    let subject = subjects.dead_letter(&lane.id.module, written, sequence.0);
    let last = reader.last(&subject).await.map_err(|error| again(error.to_string()))?;
    let last = last.filter(|last| !is_deletion(&last.headers)).ok_or(Answer::Gone)?;
    let letter: DeadLetter =
        format::read(&last.payload).map_err(|error| again(format!("the dead letter on {subject} {error}")))?;
    let original = if letter.is_cut() {
        lane.stream.message(sequence).await.map_err(|error| again(error.to_string()))?
    } else {
        None
    };
    let message = letter.input(original).map_err(|error| again(error.to_string()))?;
    let decoded = Decoded::new(lane.stream.name(), Arc::new(message)).route(&lane.routing);
    let (owner, input) = decoded.ok_or_else(|| again("the module does not take its subject any more".to_owned()))?;
    if owner != lane.id.lane {
        return Err(again(format!("its key is lane {owner}'s by now")));
    }
    let letter = Letter { module: lane.id.module.clone(), lane: written, sequence };
    let note = Replaying { subjects: subjects.clone(), who, letter, now: OffsetDateTime::now_utc() };
    let removal = dlq::removal(subject, Sequence(last.sequence));
    let (answer, waiting) = oneshot::channel();
    let order = Order { input: Arc::new(input), removal, note, answer };
    lane.orders.send(order).await.map_err(|_| again("the lane has ended".to_owned()))?;
    Ok(waiting)
}
