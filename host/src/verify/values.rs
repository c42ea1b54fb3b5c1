//! The values of a module's views, as its inputs give them one after the other; which of them are known. Pure.

use std::collections::HashMap;

use bytes::Bytes;

use crate::subject::decode;

/// What is known of a module's views.
#[derive(Debug)]
pub struct Values {
    /// Whether each view key belongs to one event key: its first part, up to the first slash, is the event key's.
    bound: bool,
    /// Whether there was nothing at the beginning.
    empty: bool,
    groups: HashMap<String, Group>,
}

/// View keys that the same inputs may write.
#[derive(Debug)]
struct Group {
    /// Whether what is not here has no value.
    complete: bool,
    /// Whether nothing that is written from now on makes it known again.
    lost: bool,
    known: HashMap<String, Option<Bytes>>,
}

/// What is known of one view key.
#[derive(Debug, PartialEq)]
pub enum Known {
    /// It has this value, or none.
    Is(Option<Bytes>),
    /// Its value came from inputs that were not run.
    Not,
}

impl Values {
    /// The views of a module whose keys are `bound` to the keys of events, as they are before its first input: `empty`, or
    /// unknown.
    pub fn new(bound: bool, empty: bool) -> Self {
        Self { bound, empty, groups: HashMap::new() }
    }

    /// The value of the key on `subject`.
    pub fn get(&self, subject: &str) -> Known {
        match self.groups.get(&self.group_of(subject)) {
            None if self.empty => Known::Is(None),
            None => Known::Not,
            Some(group) => match group.known.get(subject) {
                Some(value) => Known::Is(value.clone()),
                None if group.complete => Known::Is(None),
                None => Known::Not,
            },
        }
    }

    /// An input writes the key on `subject`.
    pub fn set(&mut self, subject: &str, value: Option<Bytes>) {
        let group = self.group_of(subject);
        let group = self.group(group);
        if !group.lost {
            group.known.insert(subject.to_owned(), value);
        }
    }

    /// What the input with this key wrote is not known: nor is anything that it may have written.
    pub fn lose(&mut self, key: &str) {
        let group = self.group(self.group_by(key));
        group.complete = false;
        group.known.clear();
    }

    /// The same for an input whose place in the order nobody knows: what is written behind it is no more known.
    pub fn lose_for_good(&mut self, key: &str) {
        self.lose(key);
        self.group(self.group_by(key)).lost = true;
    }

    /// What inputs of any key wrote is not known.
    pub fn lose_all(&mut self) {
        self.empty = false;
        self.groups.clear();
    }

    /// Forgets the key on `subject`; gives what was known of it.
    pub fn remove(&mut self, subject: &str) -> Known {
        let known = self.get(subject);
        let group = self.group_of(subject);
        if let Some(group) = self.groups.get_mut(&group) {
            group.known.remove(subject);
        }
        known
    }

    /// The subjects of all keys that are known to have a value.
    pub fn existing(&self) -> impl Iterator<Item = &String> {
        let all = self.groups.values().flat_map(|group| &group.known);
        all.filter(|(_, value)| value.is_some()).map(|(subject, _)| subject)
    }

    fn group(&mut self, group: String) -> &mut Group {
        let complete = self.empty;
        self.groups.entry(group).or_insert_with(|| Group { complete, lost: false, known: HashMap::new() })
    }

    fn group_of(&self, subject: &str) -> String {
        let key = subject.rsplit('.').next().filter(|_| self.bound).and_then(decode).unwrap_or_default();
        self.group_by(&key)
    }

    /// The group of an event's key, or of a view's: what its lane comes from.
    fn group_by(&self, key: &str) -> String {
        if self.bound { key.split('/').next().unwrap_or(key).to_owned() } else { String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "$KV.app.v.1.a";
    const BELOW: &str = "$KV.app.v.1.a/x=2Ey";
    const B: &str = "$KV.app.v.1.b";

    fn is(text: &'static str) -> Known {
        Known::Is(Some(text.into()))
    }

    #[test]
    fn what_was_never_written_has_no_value_only_if_there_was_nothing_before() {
        let mut values = Values::new(true, true);
        assert_eq!(values.get(A), Known::Is(None));
        values.set(A, Some("1".into()));
        assert_eq!((values.get(A), values.get(BELOW)), (is("1"), Known::Is(None)));
        let mut values = Values::new(true, false);
        values.set(A, Some("1".into()));
        assert_eq!((values.get(A), values.get(BELOW), values.get(B)), (is("1"), Known::Not, Known::Not));
    }

    #[test]
    fn an_input_that_was_not_run_takes_with_it_what_it_may_have_written() {
        for (bound, other) in [(true, is("2")), (false, Known::Not)] {
            let mut values = Values::new(bound, true);
            values.set(BELOW, Some("1".into()));
            values.set(B, Some("2".into()));
            values.lose("a");
            assert_eq!((values.get(BELOW), values.get(A), values.get(B)), (Known::Not, Known::Not, other));
            values.set(A, None);
            assert_eq!(values.get(A), Known::Is(None), "written since");
            values.lose_for_good("a");
            values.set(A, None);
            assert_eq!(values.get(A), Known::Not, "its place is not known");
            values.lose_all();
            assert_eq!((values.get(A), values.get(B)), (Known::Not, Known::Not));
        }
    }

    #[test]
    fn those_that_are_left_have_values() {
        let mut values = Values::new(false, true);
        values.set(A, Some("1".into()));
        values.set(B, None);
        values.set(BELOW, Some("3".into()));
        assert_eq!(values.remove(BELOW), is("3"));
        assert!(values.existing().eq([A]));
    }
}
