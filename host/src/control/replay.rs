//! Asks a host to replay dead letters, in the lane that owns them.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use super::Error;
use crate::commit::LaneId;
use crate::commit::audit::{Letter, Replaying};
use crate::commit::format;
use crate::commit::read::Reader;
use crate::dlq::{self, DeadLetter, Lost};
use crate::event::{Delivery, Sequence};
use crate::lane::parked::Wanted;
use crate::lane::replay::{Answer, Order, Replay};
use crate::policy::{Cause, CauseKind, backoff};
use crate::source::{Decoded, InputStream, Routing};
use crate::subject::Subjects;

/// How long a replay may take, with what its lane has in hand before it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a lane is asked about one dead letter of its keys.
#[derive(Debug, Serialize, Deserialize)]
struct Wish {
    /// The lane that it was written in.
    lane: u16,
    sequence: Sequence,
    /// Who wants it replayed; none if the lane is only to see that it is gone.
    #[serde(default)]
    who: Option<String>,
}

/// Asks the host that runs `lane` to replay a dead letter of whose key it is, as `who` says.
pub async fn replay(
    client: &Client,
    subjects: &Subjects,
    (letter, lane): (&Letter, u16),
    who: &str,
) -> Result<Answer, Error> {
    let wish = Wish { lane: letter.lane, sequence: letter.sequence, who: Some(who.to_owned()) };
    let subject = subjects.replay(&letter.module, lane);
    let lane = LaneId { module: letter.module.clone(), lane };
    super::ask(client, subject, &wish, || lane.to_string(), PATIENCE + Duration::from_secs(5)).await
}

/// Tells the host that runs `lane`, if there is one, that a dead letter of whose key it is was thrown away: what waits behind
/// it follows.
pub async fn discarded(client: &Client, subjects: &Subjects, (letter, lane): (&Letter, u16)) {
    let wish = Wish { lane: letter.lane, sequence: letter.sequence, who: None };
    let payload = serde_json::to_vec(&wish).unwrap_or_default();
    let told = async {
        client.publish(subjects.replay(&letter.module, lane), payload.into()).await.map_err(|e| e.to_string())?;
        client.flush().await.map_err(|e| e.to_string())
    };
    if let Err(error) = told.await {
        warn!(error, "the host that runs the lane is not told that a dead letter was thrown away");
    }
}

/// A lane that serves.
pub struct Lane {
    /// Which.
    pub id: LaneId,
    /// How its module's inputs are found.
    pub routing: Arc<Routing>,
    /// Their stream.
    pub stream: InputStream,
    /// What it wants to be done about its dead letters.
    pub wanted: mpsc::UnboundedReceiver<Wanted>,
    /// Where to tell it what is to be done.
    pub orders: mpsc::Sender<Order>,
}

/// Who replays what waited behind another dead letter.
const ITSELF: &str = "the lane, since its key does not wait any more";

/// Serves the requests for one lane, until the lane has ended.
pub async fn serve(
    client: &Client,
    subjects: &Subjects,
    reader: &Reader,
    mut lane: Lane,
) -> Result<impl Future<Output = ()> + Send + 'static, async_nats::SubscribeError> {
    let mut requests = client.subscribe(subjects.replay(&lane.id.module, lane.id.lane)).await?;
    let (client, subjects, reader) = (client.clone(), subjects.clone(), reader.clone());
    Ok(async move {
        loop {
            tokio::select! {
                request = requests.next() => match request {
                    Some(request) => asked(&client, &subjects, &reader, &lane, request).await,
                    None => return,
                },
                Some(wanted) = lane.wanted.recv() => match wanted {
                    Wanted::Replay(written, sequence) => go_on(&subjects, &reader, &lane, (written, sequence)).await,
                    Wanted::Look(written, sequence) => look(&subjects, &reader, &lane, (written, sequence)).await,
                },
                () = lane.orders.closed() => break,
            }
        }
        // Nobody is to wait for what came when the lane had ended.
        if let Err(error) = requests.unsubscribe().await {
            debug!(%error, "requests for a lane that has ended still come");
        }
        while let Some(request) = requests.next().await {
            if let Some(reply) = request.reply {
                super::answer(&client, reply, &again("the lane has ended")).await;
            }
        }
    })
}

/// Has the lane do what somebody asks for, and answers when it is done.
async fn asked(client: &Client, subjects: &Subjects, reader: &Reader, lane: &Lane, request: async_nats::Message) {
    let wish: Wish = match serde_json::from_slice(&request.payload) {
        Ok(wish) => wish,
        Err(error) => return debug!(%error, "a request about a dead letter cannot be read"),
    };
    let (written, sequence) = (wish.lane, wish.sequence);
    let found = found(subjects, reader, lane, (written, sequence)).await;
    if matches!(found, Err(Unfound::Gone)) {
        // The lane may not know: somebody threw it away.
        lane.orders.send(Order::Gone(sequence)).await.ok();
    }
    let (Some(who), Some(reply)) = (wish.who, request.reply) else { return };
    let (answer, waiting) = oneshot::channel();
    let refused = match found {
        Ok(found) => {
            let replay = found.replay(subjects, lane, &who, Some(answer));
            let sent = lane.orders.send(Order::Replay(replay)).await;
            sent.err().map(|_| again("the lane has ended"))
        }
        Err(unfound) => Some(unfound.into()),
    };
    let client = client.clone();
    tokio::spawn(async move {
        let answer = match refused {
            Some(answer) => answer,
            None => waited(waiting).await,
        };
        super::answer(&client, reply, &answer).await;
    });
}

async fn waited(waiting: oneshot::Receiver<Answer>) -> Answer {
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => again("the lane has ended"),
        Err(_) => again("the lane has not come to it in time; it may still do it"),
    }
}

fn again(reason: &str) -> Answer {
    Answer::Again { reason: reason.to_owned() }
}

/// Has the lane replay a dead letter that it wants to, however long it takes to read it.
async fn go_on(subjects: &Subjects, reader: &Reader, lane: &Lane, (written, sequence): (u16, Sequence)) {
    let mut tries = 1;
    let order = loop {
        match found(subjects, reader, lane, (written, sequence)).await {
            Ok(found) => break Order::Replay(found.replay(subjects, lane, ITSELF, None)),
            Err(Unfound::Gone) => break Order::Gone(sequence),
            Err(Unfound::Lost(reason) | Unfound::Removed(reason)) => {
                warn!(lane = %lane.id, %sequence, reason, "a dead letter cannot be replayed: its key waits until it is discarded");
                break Order::Stuck(sequence);
            }
            Err(Unfound::Later(reason)) if !lane.orders.is_closed() => {
                warn!(lane = %lane.id, %sequence, reason, "a dead letter is replayed later");
                tokio::time::sleep(backoff(sequence, tries)).await;
                tries += 1;
            }
            Err(Unfound::Later(_)) => return,
        }
    };
    // A lane that has ended needs it no more.
    lane.orders.send(order).await.ok();
}

/// Tells the lane whether a dead letter still stands. One that cannot be read is looked at again later.
async fn look(subjects: &Subjects, reader: &Reader, lane: &Lane, (written, sequence): (u16, Sequence)) {
    let order = match reader.last_value(&subjects.dead_letter(&lane.id.module, written, sequence.0)).await {
        Ok(None) => Order::Gone(sequence),
        Ok(Some(_)) | Err(_) => Order::Stands(sequence),
    };
    // A lane that has ended needs it no more.
    lane.orders.send(order).await.ok();
}

/// A dead letter with its input, as its lane is to run it again.
struct Found {
    letter: Letter,
    subject: String,
    revision: Sequence,
    input: Delivery,
}

/// Why a dead letter cannot be replayed.
enum Unfound {
    /// It is not there.
    Gone,
    /// Not now: it cannot be read, or is another lane's.
    Later(String),
    /// Not at all.
    Lost(String),
    /// Not at all, since it is of inputs that were removed before the module had them.
    Removed(String),
}

impl From<Unfound> for Answer {
    fn from(unfound: Unfound) -> Self {
        match unfound {
            Unfound::Gone => Self::Gone,
            Unfound::Later(reason) | Unfound::Lost(reason) => Self::Again { reason },
            Unfound::Removed(reason) => Self::Failed { cause: Cause::new(CauseKind::Gap, reason) },
        }
    }
}

impl Found {
    fn replay(self, subjects: &Subjects, lane: &Lane, who: &str, answer: Option<oneshot::Sender<Answer>>) -> Replay {
        let Self { letter, subject, revision, input } = self;
        debug!(lane = %lane.id, sequence = %input.sequence(), who, "a dead letter is replayed");
        let note =
            Replaying { subjects: subjects.clone(), who: who.to_owned(), letter, now: OffsetDateTime::now_utc() };
        Replay { input: Arc::new(input), removal: dlq::removal(subject, revision), note, answer }
    }
}

/// Reads a dead letter that was written in the lane `written`.
async fn found(
    subjects: &Subjects,
    reader: &Reader,
    lane: &Lane,
    (written, sequence): (u16, Sequence),
) -> Result<Found, Unfound> {
    let later = |error: &dyn std::fmt::Display| Unfound::Later(error.to_string());
    let lost = |error: &dyn std::fmt::Display| Unfound::Lost(error.to_string());
    let subject = subjects.dead_letter(&lane.id.module, written, sequence.0);
    let last = reader.last_value(&subject).await.map_err(|e| later(&e))?.ok_or(Unfound::Gone)?;
    let letter: DeadLetter =
        format::read(&last.payload).map_err(|error| Unfound::Lost(format!("the dead letter on {subject} {error}")))?;
    let original = if letter.is_cut() { lane.stream.message(sequence).await.map_err(|e| later(&e))? } else { None };
    let message = letter.input(original).map_err(|e| match e {
        Lost::Removed { .. } => Unfound::Removed(e.to_string()),
        Lost::Gone { .. } | Lost::Differs { .. } | Lost::Damaged(_) => lost(&e),
    })?;
    let decoded = Decoded::new(lane.stream.name(), Arc::new(message)).route(&lane.routing);
    let (owner, input) = decoded.ok_or_else(|| lost(&"the module does not take its subject any more"))?;
    if owner != lane.id.lane {
        return Err(Unfound::Later(format!("its key is lane {owner}'s by now")));
    }
    let letter = Letter { module: lane.id.module.clone(), lane: written, sequence };
    Ok(Found { letter, subject, revision: Sequence(last.sequence), input })
}
