//! Feeds one lane that is behind from a reader of its own, until the live reader can take it back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info};

use super::live::{Attach, Wish};
use super::reader::{self, Item, Moved};
use super::{Decoded, Error, InputStream, Routing};
use crate::commit::LaneId;
use crate::event::{Mark, Sequence};
use crate::failpoint;
use crate::lane::Input;
use crate::lane::queue::{Closed, Sender};
use crate::route::Filter;

/// How many messages are read before asking the live reader again.
const ASK_EVERY: u64 = 256;
/// How long a lane that seems to have all waits before it is looked at again whether it has.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A lane that is behind.
pub struct Behind {
    /// The lane.
    pub id: LaneId,
    /// How its module's inputs are found.
    pub routing: Arc<Routing>,
    /// Where to hand its inputs.
    pub inputs: Sender,
}

/// Reads `stream` behind `after` for one lane, until the live reader has taken it back or the lane has ended.
pub async fn run(stream: InputStream, behind: Behind, after: Mark, live: mpsc::Sender<Wish>) -> Result<(), Error> {
    let Behind { id, routing, inputs } = behind;
    info!(module = %id.module, lane = id.lane, after = %after.sequence, "lane catches up on a reader of its own");
    let filters = Filter::texts(&routing.input.filters);
    let name = stream.name().to_owned();
    let mut reader = reader::spawn_telling(stream.clone(), filters.clone(), after);
    let mut covered = after.sequence;
    let mut read = 0;
    let mut seems_all = false;
    loop {
        let next = tokio::select! {
            next = reader.recv() => next,
            () = inputs.closed() => return Ok(()),
            () = tokio::time::sleep(LOOK_AGAIN), if seems_all => Some(Ok(Item::Pending(0))),
        };
        let pending = match next {
            Some(Ok(Item::Pending(pending))) => pending,
            Some(Ok(Item::Moved(Moved::Passed(mark)))) => {
                covered = mark.sequence;
                0
            }
            Some(Ok(Item::Moved(Moved::Gap(gap)))) => {
                covered = gap.last;
                let input = Input::Gap(gap);
                match inputs.place(&input).await {
                    Ok(place) => place.take(input),
                    Err(Closed) => return Ok(()),
                }
                continue;
            }
            Some(Ok(Item::Message(message))) => {
                covered = message.message.sequence;
                let decoded = Decoded::new(&name, message.message);
                let own = decoded.route(&routing).filter(|(lane, _)| *lane == id.lane);
                if let Some((_, delivery)) = own {
                    let input = Input::Delivery(Arc::new(delivery));
                    match inputs.place(&input).await {
                        Ok(place) => place.take(input),
                        Err(Closed) => return Ok(()),
                    }
                }
                message.pending
            }
            Some(Err(error)) => return Err(error),
            None => return Err(Error::Failed { stream: name, cause: "it ended without a reason".to_owned() }),
        };
        failpoint::reach("catch-up", id.module.as_str());
        read += 1;
        seems_all = pending == 0;
        if !seems_all && read % ASK_EVERY != 0 {
            continue;
        }
        let all = seems_all && has_all(&stream, covered, &filters).await;
        if attached(&live, &id, &inputs, covered, all).await {
            info!(module = %id.module, lane = id.lane, covered = %covered, "lane has caught up");
            return Ok(());
        }
    }
}

/// Whether there is nothing more for the lane, as the leader says: the reader's consumer may be on a replica that is behind.
async fn has_all(stream: &InputStream, covered: Sequence, filters: &[String]) -> bool {
    match stream.next_behind(covered, filters).await {
        Ok(next) => next.is_none(),
        Err(error) => {
            debug!(%error, "it is not known yet whether a lane has all its inputs");
            false
        }
    }
}

/// Asks the live reader to take the lane back.
async fn attached(live: &mpsc::Sender<Wish>, id: &LaneId, inputs: &Sender, covered: Sequence, all: bool) -> bool {
    let (answer, answered) = oneshot::channel();
    let wish = Wish::Attach(Attach { id: id.clone(), inputs: inputs.clone(), covered, all, answer });
    live.send(wish).await.is_ok() && answered.await.unwrap_or(false)
}
