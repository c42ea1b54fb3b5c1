//! A lane with its views, as one owner runs it.

use super::*;

/// A lane as one owner runs it.
pub(super) struct Member {
    pub(super) lane: u16,
    pub(super) spine: Spine,
    pub(super) views: Views,
    /// The inputs that its reader has not handed it yet.
    pub(super) unread: Vec<u64>,
    /// What the slice that runs will give.
    pub(super) running: Option<(Vec<Done>, Ran)>,
    /// Whether it hands in nothing more, and waits to be released.
    pub(super) releases: bool,
}

impl Member {
    pub(super) fn read(&mut self, count: usize) {
        for input in self.unread.drain(..count.min(self.unread.len())) {
            self.spine.offer(Input::Delivery(delivery(input)));
        }
    }

    /// Tells the lane that there is nothing for it up to its next input.
    pub(super) fn cover(&mut self) {
        let next = self.unread.first().copied().unwrap_or(INPUTS * u64::from(LANES) + 1);
        let mark = Mark { sequence: Sequence(next - 1), fingerprint: None };
        self.spine.offer(Input::Covered(mark));
    }

    /// Takes one step: begins a slice, or ends it. Gives what the committer is to be handed.
    pub(super) fn turn(&mut self, now: Instant) -> Vec<Done> {
        if self.releases {
            return Vec::new();
        }
        if let Some((mut steps, ran)) = self.running.take() {
            return match self.spine.ran(&ran, now) {
                Verdict::Drop | Verdict::Halt(..) => Vec::new(),
                Verdict::Keep(given_up) => {
                    steps.extend(given_up.map(|given_up| self.give_up(&given_up.input)));
                    steps
                }
            };
        }
        match self.spine.step(now, || Permit::Run) {
            Step::Run(slice) => {
                self.running = Some(self.run(&slice));
                Vec::new()
            }
            Step::Cover(mark) => vec![Done::nothing(Covers::Read(mark))],
            // Its stream loses nothing, no key waits, and no host ends.
            Step::Skip(_) | Step::Halt(_) | Step::Park(_) | Step::Tell(_) | Step::Until(_) | Step::Wait => Vec::new(),
        }
    }

    pub(super) fn run(&mut self, slice: &Slice) -> (Vec<Done>, Ran) {
        if slice.fresh {
            self.views.forget();
        }
        let mut steps = Vec::new();
        for input in &slice.inputs {
            let is_condemned = slice.condemned.as_ref().is_some_and(|(sequence, _)| *sequence == input.sequence());
            match kind(input.sequence().0) {
                _ if is_condemned => steps.push(self.give_up(input)),
                Kind::Silent => steps.push(Done::nothing(Covers::Input(input.clone()))),
                Kind::Counts => steps.push(self.count(input, &[])),
                Kind::Poisonous => steps.push(self.count(input, POISON)),
                Kind::Rejected => {
                    let ran = Ran { done: steps.len(), failed: Some(Failure::Reject("no".to_owned()).into()) };
                    return (steps, ran);
                }
            }
        }
        let done = steps.len();
        (steps, Ran { done, failed: None })
    }

    pub(super) fn count(&mut self, input: &Arc<Delivery>, payload: &'static [u8]) -> Done {
        let (lane, sequence) = (self.lane, input.sequence().0);
        let key = counter(sequence);
        let counted = self.views.get("v", &format!("{lane}-{key}"), "").unwrap();
        let counted = counted.value.as_ref().map_or(0, number) + 1;
        let write = |key: &str, value: u64| CheckedWrite {
            subject: view_key(lane, key),
            value: Some(value.to_string().into()),
        };
        let writes = vec![self.views.put(write(&key, counted)), self.views.put(write("latest", sequence))];
        let payload = Bytes::from_static(payload);
        let event = Outgoing { payload, ..outgoing(format!("pelton.shop.events.m.{lane}.{sequence}")) };
        Done { events: vec![event], writes, ..Done::nothing(Covers::Input(input.clone())) }
    }

    pub(super) fn give_up(&self, input: &Arc<Delivery>) -> Done {
        let letter = outgoing(dead_letter(self.lane, input.sequence().0));
        Done { own: vec![letter], ..Done::nothing(Covers::Input(input.clone())) }
    }
}
