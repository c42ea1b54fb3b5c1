//! The queue between a reader and a lane: bounded in number and in bytes, so that large inputs cannot fill the memory.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Input;
use crate::event::{Mark, Message};

/// Inputs that wait for one lane.
const INPUTS: usize = 1_024;
/// What bytes are counted in.
const UNIT: usize = 1 << 10;

/// The lane has ended.
#[derive(Debug)]
pub struct Closed;

/// A queue for so many bytes of payloads; one input that is larger goes alone.
pub fn queue(bytes: usize) -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::channel(INPUTS);
    let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).max(1);
    let (room, feeder) = (Arc::new(Semaphore::new(units as usize)), Feeder::default());
    (
        Sender { inputs: sender, room: room.clone(), units, feeder: feeder.clone() },
        Receiver { inputs: receiver, room, feeder },
    )
}

/// How far a reader is that feeds lanes: it has handed each of them all up to here.
#[derive(Debug, Default)]
pub struct Seen(Mutex<At>);

#[derive(Debug, Default)]
enum At {
    /// It has not begun.
    #[default]
    Nowhere,
    Mark(Mark),
    /// Its mark is only made when somebody asks.
    Message(Arc<Message>),
}

impl Seen {
    /// The reader begins anew.
    pub fn nothing(&self) {
        self.set(At::Nowhere);
    }

    /// It is here.
    pub fn mark(&self, mark: Mark) {
        self.set(At::Mark(mark));
    }

    /// It has handed this message to whom it is for.
    pub fn message(&self, message: Arc<Message>) {
        self.set(At::Message(message));
    }

    fn set(&self, at: At) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    fn get(&self) -> Option<Mark> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            At::Nowhere => None,
            At::Mark(mark) => Some(*mark),
            At::Message(message) => Some(message.mark()),
        }
    }
}

/// The shared reader that feeds a lane; none while it has one of its own.
type Feeder = Arc<Mutex<Option<Arc<Seen>>>>;

type Waiting = (Input, Option<OwnedSemaphorePermit>);

/// The reader's end.
#[derive(Clone, Debug)]
pub struct Sender {
    inputs: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    units: u32,
    feeder: Feeder,
}

/// Room for one input.
pub struct Place<'s> {
    slot: mpsc::Permit<'s, Waiting>,
    room: OwnedSemaphorePermit,
}

impl Place<'_> {
    /// Hands the input over.
    pub fn take(self, input: Input) {
        self.slot.send((input, Some(self.room)));
    }
}

impl Sender {
    /// Waits for room for `input`.
    pub async fn place(&self, input: &Input) -> Result<Place<'_>, Closed> {
        let size = match input {
            Input::Delivery(delivery) => delivery.message.payload.len() / UNIT + 1,
            Input::Covered(_) | Input::Gap(_) => 1,
        };
        let units = u32::try_from(size).unwrap_or(u32::MAX).min(self.units);
        let room = self.room.clone().acquire_many_owned(units).await.map_err(|_| Closed)?;
        let slot = self.inputs.reserve().await.map_err(|_| Closed)?;
        Ok(Place { slot, room })
    }

    /// Hands an input over if it needs no waiting.
    pub fn offer(&self, input: Input) {
        // A lane whose queue is full learns more from what is in it.
        self.inputs.try_send((input, None)).ok();
    }

    /// Says which shared reader feeds the lane from now on, or that none does. Must be said before that reader gets on.
    pub fn fed_by(&self, reader: Option<&Arc<Seen>>) {
        *self.feeder.lock().unwrap_or_else(PoisonError::into_inner) = reader.cloned();
    }

    /// Whether much is waiting already.
    pub fn is_busy(&self) -> bool {
        let most = |left: usize, all: usize| left < all / 4 * 3;
        most(self.inputs.capacity(), INPUTS) || most(self.room.available_permits(), self.units as usize)
    }

    /// Whether both lead to the same lane, since its last start.
    pub fn is_same(&self, other: &Self) -> bool {
        self.inputs.same_channel(&other.inputs)
    }

    /// Whether the lane has ended.
    pub fn is_closed(&self) -> bool {
        self.inputs.is_closed()
    }

    /// Waits until the lane has ended.
    pub async fn closed(&self) {
        self.inputs.closed().await;
    }
}

/// The lane's end.
#[derive(Debug)]
pub struct Receiver {
    inputs: mpsc::Receiver<Waiting>,
    room: Arc<Semaphore>,
    feeder: Feeder,
}

impl Receiver {
    /// The next input; none when all senders are gone.
    pub async fn recv(&mut self) -> Option<Input> {
        self.inputs.recv().await.map(|(input, _)| input)
    }

    /// Up to where the lane has been handed all that there is for it, if a shared reader feeds it and nothing waits here.
    pub fn seen(&self) -> Option<Mark> {
        // Held while the reader is asked, so that the lane is not sent to another one in between.
        let feeder = self.feeder.lock().unwrap_or_else(PoisonError::into_inner);
        feeder.as_ref()?.get().filter(|_| self.inputs.is_empty())
    }

    /// How many inputs wait.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// The next input, if one is there already.
    pub fn try_recv(&mut self) -> Option<Input> {
        self.inputs.try_recv().ok().map(|(input, _)| input)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.room.close();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use time::OffsetDateTime;

    use super::*;
    use crate::event::{Delivery, Message, Sequence};

    fn input(bytes: usize) -> Input {
        let message = Message {
            sequence: Sequence(1),
            stored: OffsetDateTime::UNIX_EPOCH,
            subject: "s".to_owned(),
            headers: Vec::new(),
            payload: Bytes::from(vec![0; bytes]),
        };
        Input::Delivery(Arc::new(Delivery {
            message: Arc::new(message),
            input: Err(crate::route::KeyError::Empty.into()),
        }))
    }

    /// How many inputs of that size find room at once.
    async fn fit(sender: &Sender, bytes: usize) -> usize {
        let mut fit = 0;
        while let Some(place) =
            futures::FutureExt::now_or_never(tokio::task::unconstrained(sender.place(&input(bytes))))
        {
            place.unwrap().take(input(bytes));
            fit += 1;
        }
        fit
    }

    #[tokio::test]
    async fn bytes_and_number_are_bounded_and_come_back() {
        let (sender, mut receiver) = queue(64 << 10);
        assert_eq!(fit(&sender, 9 << 10).await, 6);
        assert!(sender.is_busy());
        receiver.recv().await.unwrap();
        assert_eq!(fit(&sender, 9 << 10).await, 1);
        while receiver.try_recv().is_some() {}
        assert!(!sender.is_busy());
        let (sender, _receiver) = queue(64 << 20);
        assert_eq!(fit(&sender, 0).await, INPUTS);
    }

    #[tokio::test]
    async fn an_input_larger_than_the_queue_goes_alone() {
        let (sender, mut receiver) = queue(64 << 10);
        assert_eq!(fit(&sender, 1 << 20).await, 1);
        receiver.recv().await.unwrap();
        assert_eq!(fit(&sender, 1 << 20).await, 1);
    }

    #[tokio::test]
    async fn what_was_seen_is_told_while_a_shared_reader_feeds_the_lane_and_nothing_waits() {
        let (sender, mut receiver) = queue(1 << 10);
        let (reader, mark) = (Arc::new(Seen::default()), Mark { sequence: Sequence(3), fingerprint: None });
        reader.mark(mark);
        assert_eq!(receiver.seen(), None, "no reader feeds it");
        sender.fed_by(Some(&reader));
        assert_eq!(receiver.seen(), Some(mark));
        sender.place(&input(1)).await.unwrap().take(input(1));
        assert_eq!(receiver.seen(), None, "an input waits");
        receiver.recv().await.unwrap();
        assert_eq!(receiver.seen(), Some(mark));
        reader.nothing();
        assert_eq!(receiver.seen(), None, "the reader begins anew");
        reader.mark(mark);
        sender.fed_by(None);
        assert_eq!(receiver.seen(), None, "it has a reader of its own");
    }

    #[tokio::test]
    async fn a_lane_that_ends_holds_nobody_up() {
        let (sender, receiver) = queue(1 << 10);
        assert_eq!(fit(&sender, 1 << 20).await, 1);
        let waiting = tokio::spawn(async move { sender.place(&input(1)).await.is_err() });
        drop(receiver);
        assert!(waiting.await.unwrap());
    }
}
