//! How a reader notices what was removed before it read it, and how far there is nothing for it.
//!
//! A reader of a whole stream notices a message that is missing by the next one. One of a part of it does not know which of
//! those that did not come were for it: it looks at the head of the stream when it begins, and when it may have been
//! overtaken since. While it keeps up, the server sends it what is for it as soon as that is stored.

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{Consumer, pull};
use tracing::debug;

use super::super::api;
use super::{CREDIT, CREDIT_BYTES, Error, IDLE, Item, Moved, Reader};
use crate::event::{Gap, Sequence};

/// How long a look may take.
const LOOK: Duration = Duration::from_secs(1);
/// A reader that waited so long, though it wakes every [`IDLE`], stood still.
const STOOD_STILL: Duration = IDLE.saturating_mul(3);
/// How often the head is looked at where messages are missing all the time, since newer ones replace them.
const REPLACED: Duration = Duration::from_millis(50);

/// Whether a reader of a part of a stream may have been overtaken since it last looked at the stream's head.
#[derive(Debug, Default)]
pub struct Doubts {
    has_any: bool,
    /// Messages read since, and their bytes.
    read: (usize, usize),
    /// When a reader of a whole stream last looked at its head.
    looked: Option<Instant>,
}

impl Doubts {
    /// It has looked.
    pub fn clear(&mut self) {
        (self.has_any, self.read) = (false, (0, 0));
    }

    /// It waited for so long.
    pub fn waited(&mut self, time: Duration) {
        self.has_any |= time > STOOD_STILL;
    }

    /// It read a message of so many bytes: with many at once the server may have had to wait until more were asked for.
    pub fn read(&mut self, bytes: usize) {
        self.read = (self.read.0 + 1, self.read.1 + bytes);
        self.has_any |= self.read.0 > CREDIT / 4 || self.read.1 > CREDIT_BYTES / 4;
    }
}

/// What a look around gave.
enum Found {
    /// Nothing new.
    Nothing,
    /// Messages that the reader has not got yet, so that nothing can be said.
    OnItsWay,
    Moved(Moved),
}

impl Reader {
    fn position(&self) -> Sequence {
        self.last.as_ref().map_or(self.at.sequence, |last| last.sequence)
    }

    /// Tells what is missing, if it was to, and goes on behind it.
    pub async fn lacks(&mut self, gap: Gap) {
        if self.tells {
            debug!(stream = self.stream.name(), %gap, "removed before it was read");
            self.moved(Moved::Gap(gap)).await;
        }
    }

    async fn moved(&mut self, moved: Moved) {
        self.at = match moved {
            Moved::Passed(mark) => mark,
            Moved::Gap(gap) => gap.mark(),
        };
        self.last = None;
        // That nobody listens any more is noticed before the next message.
        self.sender.send(Ok(Item::Moved(moved))).await.ok();
    }

    /// Looks at the head of the stream where messages did not come before `next`, if they may have been for this reader.
    pub async fn look_before(&mut self, next: Sequence) -> Result<(), Error> {
        let (at, of_part) = (self.position(), !self.filters.is_empty());
        if next <= at.next() || (of_part && !self.doubts.has_any) {
            return Ok(());
        }
        let looked = self.doubts.looked.is_some_and(|looked| looked.elapsed() < REPLACED);
        if !of_part && self.stream.replaces() && looked {
            return Ok(());
        }
        let head = self.stream.head().await?;
        self.doubts.looked = Some(Instant::now());
        if of_part && head.first > next {
            // What is gone itself by now was sent before that, with what stood before it. The next one may tell.
            return Ok(());
        }
        self.doubts.clear();
        if let Some(gap) = head.gap_between(at, next) {
            self.lacks(gap).await;
        }
        Ok(())
    }

    /// Looks around while nothing comes, after `received` messages of `consumer`.
    pub async fn look(&mut self, consumer: &Consumer<pull::Config>, received: u64) {
        match tokio::time::timeout(LOOK, self.found(consumer, received)).await {
            Ok(Ok(Found::OnItsWay)) => {}
            Ok(Ok(found)) => {
                self.doubts.clear();
                match found {
                    Found::Moved(Moved::Gap(gap)) => self.lacks(gap).await,
                    Found::Moved(passed) => self.moved(passed).await,
                    Found::Nothing | Found::OnItsWay => {}
                }
            }
            // Whatever it is, reading will notice it.
            Ok(Err(error)) => debug!(stream = self.stream.name(), %error, "the reader could not look around"),
            Err(_) => debug!(stream = self.stream.name(), "the reader could not look around in time"),
        }
    }

    async fn found(&self, consumer: &Consumer<pull::Config>, received: u64) -> Result<Found, Error> {
        let (at, of_part) = (self.position(), !self.filters.is_empty());
        let head = self.stream.head().await?;
        let gap = head.gap_behind(at).filter(|_| !of_part || self.doubts.has_any);
        let moved = match gap {
            Some(gap) => Some(Moved::Gap(gap)),
            None if of_part => self.stream.nothing_behind(at, head.last, &self.filters).await?.map(Moved::Passed),
            None => None,
        };
        let Some(moved) = moved else { return Ok(Found::Nothing) };
        // What is on its way is not missing.
        let info = consumer.get_info().await.map_err(|error| api(self.stream.name(), &error))?;
        let has_all = info.delivered.consumer_sequence == received && info.num_pending == 0;
        Ok(if has_all { Found::Moved(moved) } else { Found::OnItsWay })
    }
}
