//! What a subject of the app stream holds, read back from its tokens. Pure.

use super::{Generation, Name, Subjects, decode};
use crate::event::Sequence;

/// What stands on a subject of the app stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the tokens of docs/reference.md")]
pub enum Place {
    /// An emitted event.
    Event { category: Name, key: String },
    /// A value of a view.
    View { view: Name, generation: Generation, key: String },
    /// A checkpoint.
    Checkpoint { module: Name, generation: Generation, lane: u16 },
    /// A dead letter.
    DeadLetter { module: Name, lane: u16, sequence: Sequence },
}

impl Subjects {
    /// What `subject` holds; none if it is of another kind, or not of this app.
    pub fn place(&self, subject: &str) -> Option<Place> {
        let tokens: Vec<&str> = subject.split('.').collect();
        let [domain, app, rest @ ..] = tokens.as_slice() else { return None };
        if *app != self.app.as_str() {
            return None;
        }
        match (*domain, rest) {
            ("$KV", [view, generation, key]) => {
                Some(Place::View { view: view.parse().ok()?, generation: generation.parse().ok()?, key: decode(key)? })
            }
            ("pelton", ["events", category, key]) => {
                Some(Place::Event { category: category.parse().ok()?, key: decode(key)? })
            }
            ("pelton", ["ckpt", module, generation, lane]) => Some(Place::Checkpoint {
                module: module.parse().ok()?,
                generation: generation.parse().ok()?,
                lane: lane.parse().ok()?,
            }),
            ("pelton", ["dlq", module, lane, sequence]) => Some(Place::DeadLetter {
                module: module.parse().ok()?,
                lane: lane.parse().ok()?,
                sequence: Sequence(sequence.parse().ok()?),
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_says_what_it_holds() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let (subjects, second) = (Subjects::new(&name("shop")), Generation::default().next());
        let cases = [
            (subjects.event(&name("alerts"), "a b"), Place::Event { category: name("alerts"), key: "a b".to_owned() }),
            (
                subjects.view_value(&name("totals"), second, "17850.0"),
                Place::View { view: name("totals"), generation: second, key: "17850.0".to_owned() },
            ),
            (
                subjects.checkpoint(&name("m"), second, 7),
                Place::Checkpoint { module: name("m"), generation: second, lane: 7 },
            ),
            (
                subjects.dead_letter(&name("m"), 2, 42),
                Place::DeadLetter { module: name("m"), lane: 2, sequence: Sequence(42) },
            ),
        ];
        for (subject, place) in cases {
            assert_eq!(subjects.place(&subject), Some(place), "{subject}");
        }
        for other in
            ["$KV.shop.totals", "$KV.other.v.1.k", "pelton.shop.audit", "pelton.shop.ckpt.m.1.x", "orders.new", ""]
        {
            assert_eq!(subjects.place(other), None, "{other}");
        }
    }
}
