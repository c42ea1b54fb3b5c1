//! Inputs in stream order, with the bytes of their payloads counted, and of what they led to. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::{Delivery, Sequence};

/// Inputs that wait, or that ran ahead of the commit.
#[derive(Debug, Default)]
pub struct Inputs {
    inputs: VecDeque<Arc<Delivery>>,
    bytes: usize,
}

fn size(input: &Delivery) -> usize {
    input.message.payload.len()
}

impl Inputs {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// The bytes of their payloads.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first one.
    pub fn first(&self) -> Option<&Arc<Delivery>> {
        self.inputs.front()
    }

    /// The last one.
    pub fn last(&self) -> Option<&Arc<Delivery>> {
        self.inputs.back()
    }

    /// Adds one behind the others.
    pub fn push(&mut self, input: Arc<Delivery>) {
        self.bytes += size(&input);
        self.inputs.push_back(input);
    }

    /// Takes the first one away if `condition` holds for it.
    pub fn pop_if(&mut self, condition: impl FnOnce(&Delivery) -> bool) -> Option<Arc<Delivery>> {
        let input = self.inputs.pop_front_if(|input| condition(input))?;
        self.bytes -= size(&input);
        Some(input)
    }

    /// Takes the first `count` away, or all if there are fewer.
    pub fn take(&mut self, count: usize) -> Vec<Arc<Delivery>> {
        let taken: Vec<_> = self.inputs.drain(..count.min(self.inputs.len())).collect();
        self.bytes -= taken.iter().map(|input| size(input)).sum::<usize>();
        taken
    }

    /// How many of the first ones `condition` holds for, up to `most`.
    pub fn count_while(&self, most: usize, condition: impl Fn(&Delivery) -> bool) -> usize {
        self.inputs.iter().take(most).take_while(|input| condition(input)).count()
    }

    /// Puts all of `other` behind these, and leaves it empty.
    pub fn append(&mut self, other: &mut Self) {
        self.bytes += std::mem::take(&mut other.bytes);
        self.inputs.append(&mut other.inputs);
    }

    /// Drops the first ones up to where `condition` fails.
    pub fn skip_while(&mut self, condition: impl Fn(&Delivery) -> bool) {
        while self.pop_if(&condition).is_some() {}
    }
}

impl FromIterator<Arc<Delivery>> for Inputs {
    fn from_iter<I: IntoIterator<Item = Arc<Delivery>>>(inputs: I) -> Self {
        let mut all = Self::default();
        inputs.into_iter().for_each(|input| all.push(input));
        all
    }
}

/// The bytes that slices led to which are not committed yet.
#[derive(Debug, Default)]
pub struct Made {
    slices: VecDeque<(Sequence, usize)>,
    bytes: usize,
}

impl Made {
    /// How many there are.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A slice that ended with the input at `last` led to so many.
    pub fn push(&mut self, last: Option<Sequence>, bytes: usize) {
        if let Some(last) = last.filter(|_| bytes > 0) {
            self.slices.push_back((last, bytes));
            self.bytes += bytes;
        }
    }

    /// Everything up to `covered` is committed.
    pub fn committed(&mut self, covered: Sequence) {
        while let Some((_, bytes)) = self.slices.pop_front_if(|(last, _)| *last <= covered) {
            self.bytes -= bytes;
        }
    }
}
