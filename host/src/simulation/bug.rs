//! Bugs that are put between the state machines and the world on purpose, to see that the oracle finds them.

use std::collections::BTreeMap;

use super::stream::header;
use crate::commit::checkpoint::Checkpoint;
use crate::effects::{GUARD, Outgoing};

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bug {
    /// Batches hold checkpoints without their guard.
    NoGuard,
    /// A lane is taken over in the epoch that it had.
    SameEpoch,
    /// Lanes are told that their steps are committed when the batch is sent.
    AckBeforeCommit,
    /// View writes of one batch to the same view are merged, whichever lanes they are of.
    MergedLanes,
    /// A lane that begins again keeps the views that it computed ahead.
    KeptViews,
}

/// The batch without what guards its checkpoints.
pub fn without_guards(batch: &mut [Outgoing]) {
    for message in batch.iter_mut().filter(|message| message.subject.contains(".ckpt.")) {
        let kept = message.headers.iter().filter(|(name, _)| name != GUARD).cloned().collect::<Vec<_>>();
        message.headers = kept.into();
    }
}

/// The batch with the last value that is written to a view in the place of all others of the same view. Where a lane's
/// part of a batch ends its checkpoint stands.
pub fn merged(batch: &mut [Outgoing]) {
    let mut last: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut part = 0;
    for at in 0..batch.len() {
        part += usize::from(batch[at].subject.contains(".ckpt."));
        let is_latest = batch[at].subject.starts_with("$KV.") && batch[at].subject.ends_with("/latest");
        let Some(view) = batch[at].subject.split('.').nth(2).filter(|_| is_latest) else { continue };
        if let Some((earlier, of)) = last.insert(view.to_owned(), (at, part))
            && of != part
            && header(&batch[earlier], "KV-Operation").is_none()
        {
            batch[earlier].payload = batch[at].payload.clone();
        }
    }
}

/// The checkpoints of a batch.
pub fn checkpoints(batch: &[Outgoing]) -> impl Iterator<Item = (&str, Checkpoint)> {
    let checkpoints = batch.iter().filter(|message| message.subject.contains(".ckpt."));
    checkpoints.map(|message| (message.subject.as_ref(), serde_json::from_slice(&message.payload).unwrap()))
}
