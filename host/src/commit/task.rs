//! The committer's shell: waits for steps and answers, lets [`Committer`] decide, acts.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tracing::{error, warn};

use crate::commit::batch::Publisher;
use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::commit::committer::{Action, Committer};
use crate::commit::read::{Error, Reader};
use crate::commit::sender::{Became, Sender};
use crate::commit::{Done, LaneId};
use crate::event::Sequence;
use crate::failpoint;
use crate::policy::backoff;
use crate::status::Status;
use crate::subject::Generation;
use crate::traces::export::Spans;
use crate::traces::span::Commit;

/// What lanes ask of the committer.
#[derive(Debug)]
pub enum Request {
    /// Takes a lane in, whose checkpoint this host owns.
    Attach {
        /// The lane.
        lane: LaneId,
        /// The generation that it is of.
        generation: Generation,
        /// Its checkpoint.
        owned: Stored<Checkpoint>,
        /// Where to tell the lane what became of its steps.
        notices: mpsc::UnboundedSender<Notice>,
    },
    /// Steps to commit, in order.
    Submit {
        /// The lane.
        lane: LaneId,
        /// The lane's count of resets when it computed them.
        incarnation: u32,
        /// The steps.
        steps: Vec<Done>,
    },
    /// Gives a lane up that hands in nothing more.
    Release {
        /// The lane.
        lane: LaneId,
    },
}

/// What the committer tells a lane.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// Steps are committed.
    Committed {
        /// Up to here.
        covered: Sequence,
        /// How many replays were among them, in the order in which they were handed in.
        replays: usize,
        /// Whether it is stored that the lane is about to run inputs that may end the host.
        suspects: bool,
    },
    /// Drop all that was computed ahead, and begin behind `covered`.
    Reset {
        /// The new count of resets.
        incarnation: u32,
        /// Where the lane stands.
        covered: Sequence,
        /// The input that is to become a minimal dead letter, and why.
        condemned: Option<(Sequence, String)>,
        /// Why the server refuses what the first replay on its way led to, if that is what it refused.
        refused: Option<String>,
    },
    /// Everything is committed, and nobody owns the lane any more.
    Released,
    /// Another host owns the lane from this epoch on.
    Lost(u64),
    /// The lane cannot go on, for this reason.
    Halt(String),
}

/// The committer's task: state machine, connection, and the way back to the lanes.
pub struct Task {
    committer: Committer,
    sender: Sender,
    reader: Reader,
    status: Status,
    lanes: HashMap<LaneId, mpsc::UnboundedSender<Notice>>,
    spans: Option<Spans>,
}

impl Task {
    /// A task that commits with `publisher`, reads checkpoints back with `reader` and tells `status` how it goes.
    pub fn new(committer: Committer, publisher: Publisher, reader: Reader, status: Status) -> Self {
        let sender = Sender::new(publisher, reader.clone(), status.clone());
        Self { committer, sender, reader, status, lanes: HashMap::new(), spans: None }
    }

    /// The same, telling `spans` of sampled inputs.
    pub fn telling(self, spans: Option<Spans>) -> Self {
        Self { spans, ..self }
    }

    /// Commits until all senders of `requests` are gone and everything handed in is settled.
    pub async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut waiting = Vec::new();
        while requests.recv_many(&mut waiting, 1024).await > 0 {
            self.take(&mut waiting);
            while self.commit_one().await {
                while let Ok(request) = requests.try_recv() {
                    waiting.push(request);
                }
                self.take(&mut waiting);
            }
        }
    }

    fn take(&mut self, waiting: &mut Vec<Request>) {
        for request in waiting.drain(..) {
            match request {
                Request::Attach { lane, generation, owned, notices } => {
                    self.status.covered(&lane, owned.value.covered);
                    self.sender.knows_of(owned.revision);
                    self.committer.attach(lane.clone(), generation, owned);
                    self.lanes.insert(lane, notices);
                }
                Request::Submit { lane, incarnation, steps } => self.committer.submit(&lane, incarnation, steps),
                Request::Release { lane } => self.committer.release(&lane),
            }
        }
    }

    /// Sends the next batch and sees it through; false if there was none.
    async fn commit_one(&mut self) -> bool {
        let Some(messages) = self.committer.next_batch() else { return false };
        failpoint::reach("committer", "batch");
        let began = SystemTime::now();
        let (mut became, mut size) = self.sender.send(messages).await;
        let mut resent = 0;
        loop {
            let mut actions = VecDeque::from(match became {
                Became::Whole(outcome) => self.committer.resolve(outcome),
                Became::Cut(landed, reason) => self.committer.cut(landed.first, landed.stored, reason),
            });
            let mut resend = false;
            while let Some(action) = actions.pop_front() {
                match action {
                    Action::Check(lane) => {
                        actions = match self.checkpoint(&lane).await {
                            Ok(stored) => self.committer.checked(stored).into(),
                            Err(newer) => {
                                error!(%lane, error = %newer, "a host of a newer version has the lane");
                                self.committer.overtaken().into()
                            }
                        };
                    }
                    Action::Resend(_) => {
                        resent += 1;
                        let longest = if self.committer.holds_rest() { PAUSE_OF_REST } else { LONGEST_PAUSE };
                        tokio::time::sleep(pause(resent).min(longest)).await;
                        resend = true;
                    }
                    told => self.tell(told),
                }
            }
            for (lane, tally) in self.committer.tallies() {
                self.status.committed(&lane.module, &tally);
            }
            self.tell_spans(began, size, resent + 1);
            match if resend { self.committer.resend() } else { None } {
                Some(messages) => (became, size) = self.sender.send(messages).await,
                None => {
                    self.status.settled();
                    return true;
                }
            }
        }
    }

    /// Tells of the sampled inputs that a batch of that size stored, which was sent so often.
    fn tell_spans(&mut self, began: SystemTime, (messages, bytes): (usize, usize), attempts: u32) {
        let Some(spans) = &self.spans else { return };
        let commit = Commit { began, ended: SystemTime::now(), messages, bytes, attempts };
        for processed in self.committer.spans() {
            spans.send(processed.committed(commit));
        }
    }

    /// The lane's checkpoint from the leader, however long it takes to answer. Fails if a newer version wrote it.
    async fn checkpoint(&self, lane: &LaneId) -> Result<Option<Stored<Checkpoint>>, Error> {
        let Some(subject) = self.committer.checkpoint_subject(lane) else { return Ok(None) };
        let mut tries = 0;
        loop {
            match self.reader.last_json(subject).await {
                Ok(stored) => return Ok(stored),
                Err(Error::Malformed { .. }) => return Ok(None),
                Err(newer @ Error::Newer { .. }) => return Err(newer),
                Err(Error::Unreadable(error)) => warn!(%error, "cannot tell yet what became of a batch"),
            }
            tries += 1;
            tokio::time::sleep(pause(tries)).await;
        }
    }

    fn tell(&self, action: Action) {
        let (lane, notice) = match action {
            Action::Committed { lane, covered, replays, suspects } => {
                self.status.covered(&lane, covered);
                (lane, Notice::Committed { covered, replays, suspects })
            }
            Action::Reset { lane, incarnation, covered, condemned, refused } => {
                warn!(module = %lane.module, lane = lane.lane, "lane begins again behind its checkpoint");
                (lane, Notice::Reset { incarnation, covered, condemned, refused })
            }
            Action::Released { lane } => (lane, Notice::Released),
            Action::Lost { lane, epoch } => (lane, Notice::Lost(epoch)),
            Action::Halt { lane, reason } => (lane, Notice::Halt(reason)),
            Action::Check(_) | Action::Resend(_) => return,
        };
        // A lane that has ended needs no notice.
        if let Some(notices) = self.lanes.get(&lane) {
            notices.send(notice).ok();
        }
    }
}

/// The longest pause before another try: so late, at most, does a host see that what was in the way is mended.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The same for the rest of a batch that was cut. While nothing is stored the hosts hear nothing of each other, and take each
/// other's lanes some beats after they can: it must be stored by then.
const PAUSE_OF_REST: Duration = Duration::from_millis(500);

/// The pause before another try, spread so that hosts do not retry in step.
pub(super) fn pause(tries: u32) -> Duration {
    backoff(Sequence(u64::from(std::process::id())), tries).min(LONGEST_PAUSE)
}
