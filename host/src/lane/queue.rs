//! The queue between a reader and a lane: bounded in number and in bytes, so that large inputs cannot fill the memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Input;

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
    let room = Arc::new(Semaphore::new(units as usize));
    (Sender { inputs: sender, room: room.clone(), units }, Receiver { inputs: receiver, room })
}

type Waiting = (Input, Option<OwnedSemaphorePermit>);

/// The reader's end.
#[derive(Clone, Debug)]
pub struct Sender {
    inputs: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    units: u32,
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
            Input::Covered(_) => 1,
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
}

impl Receiver {
    /// The next input; none when all senders are gone.
    pub async fn recv(&mut self) -> Option<Input> {
        self.inputs.recv().await.map(|(input, _)| input)
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
    async fn a_lane_that_ends_holds_nobody_up() {
        let (sender, receiver) = queue(1 << 10);
        assert_eq!(fit(&sender, 1 << 20).await, 1);
        let waiting = tokio::spawn(async move { sender.place(&input(1)).await.is_err() });
        drop(receiver);
        assert!(waiting.await.unwrap());
    }
}
