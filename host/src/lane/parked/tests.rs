use std::time::Duration;

use super::*;

fn sequence(at: u64) -> Sequence {
    Sequence(at)
}

/// A letter of the lane 0 that is in the stream.
fn letter(key: &str, at: u64, waits: bool) -> Letter {
    Letter { key: key.into(), lane: 0, sequence: sequence(at), waits }
}

struct Rig {
    parked: Parked,
    now: Instant,
    /// Letters that it wanted to be looked at.
    looks: Vec<u64>,
}

impl Rig {
    fn new(letters: impl IntoIterator<Item = Letter>) -> Self {
        Self { parked: Parked::new(0, letters), now: Instant::now(), looks: Vec::new() }
    }

    /// The letter to be replayed now.
    fn next(&mut self) -> Option<u64> {
        loop {
            match self.parked.next(self.now)? {
                Wanted::Replay(_, sequence) => return Some(sequence.0),
                Wanted::Look(_, sequence) => self.looks.push(sequence.0),
            }
        }
    }

    fn park(&mut self, key: &str, at: u64, waits: bool) {
        self.parked.park(key.into(), sequence(at), waits);
    }

    /// A replay that is under way runs, and is committed.
    fn done(&mut self, key: &str, at: u64) {
        self.parked.ran(&key.into(), sequence(at));
        self.parked.settled(key, sequence(at));
    }
}

#[test]
fn a_key_waits_behind_its_first_letter_and_others_do_not() {
    let mut rig = Rig::new([]);
    assert_eq!(rig.parked.behind("a"), None);
    rig.park("a", 3, false);
    rig.park("a", 5, true);
    assert_eq!((rig.parked.behind("a"), rig.parked.behind("b"), rig.parked.len()), (Some(sequence(3)), None, 2));
    rig.parked.committed(sequence(5));
    assert_eq!(rig.next(), None, "the first one failed: it is an operator's");
}

#[test]
fn those_behind_a_letter_that_was_replayed_follow_one_by_one_and_then_the_key_goes_on() {
    let mut rig = Rig::new([letter("a", 3, false), letter("a", 5, true), letter("a", 7, true)]);
    assert_eq!(rig.parked.replays("a", sequence(5)), Err(sequence(3)));
    assert_eq!(rig.parked.replays("a", sequence(3)), Ok(()));
    assert_eq!(rig.next(), None, "the first one runs still");
    rig.parked.ran(&"a".into(), sequence(3));
    assert_eq!(rig.next(), Some(5), "what ran is committed in order, so the next may run");
    assert_eq!(rig.next(), None, "one at a time");
    assert_eq!(rig.parked.behind("a"), Some(sequence(5)), "inputs that come now are still later");
    rig.park("a", 9, true);
    rig.parked.settled("a", sequence(3));
    rig.done("a", 5);
    assert_eq!(rig.next(), Some(7));
    rig.done("a", 7);
    assert_eq!(rig.next(), None, "the last one is not in the stream yet");
    rig.parked.committed(sequence(9));
    assert_eq!(rig.next(), Some(9));
    rig.parked.ran(&"a".into(), sequence(9));
    assert_eq!(rig.parked.behind("a"), None, "the key goes on");
    rig.parked.settled("a", sequence(9));
    assert!(rig.parked.is_empty());
}

#[test]
fn when_the_first_letter_is_thrown_away_those_behind_it_follow() {
    let mut rig = Rig::new([letter("a", 3, false), letter("a", 5, true)]);
    rig.parked.gone(sequence(3));
    assert_eq!(rig.next(), Some(5));
    rig.parked.gone(sequence(5));
    assert!(rig.parked.is_empty());
    rig.parked.gone(sequence(5));
    assert_eq!(rig.next(), None);
}

#[test]
fn a_key_that_was_left_in_the_middle_goes_on_at_the_next_start() {
    let mut rig = Rig::new([letter("a", 5, true), letter("b", 6, false), letter("b", 8, true)]);
    assert_eq!((rig.next(), rig.next()), (Some(5), None));
}

#[test]
fn one_that_fails_when_it_follows_takes_the_first_ones_place() {
    let mut rig = Rig::new([letter("a", 3, false), letter("a", 5, true), letter("a", 7, true)]);
    rig.parked.replays("a", sequence(3)).unwrap();
    rig.done("a", 3);
    assert_eq!(rig.next(), Some(5));
    rig.parked.fails("a", sequence(5));
    assert_eq!((rig.next(), rig.parked.behind("a")), (None, Some(sequence(5))));
    rig.parked.settled("a", sequence(5));
    assert_eq!((rig.next(), rig.parked.len()), (None, 2), "it is an operator's now");
    rig.parked.replays("a", sequence(5)).unwrap();
    rig.done("a", 5);
    assert_eq!(rig.next(), Some(7));
}

#[test]
fn one_that_is_to_be_tried_again_rests_first() {
    let mut rig = Rig::new([letter("a", 5, true)]);
    assert_eq!(rig.next(), Some(5));
    let until = rig.now + Duration::from_secs(2);
    rig.parked.rests(&"a".into(), sequence(5), until, true);
    assert_eq!((rig.next(), rig.parked.wakes(), rig.parked.attempts("a", sequence(5))), (None, Some(until), 1));
    rig.park("a", 6, true);
    rig.parked.committed(sequence(6));
    assert_eq!(rig.next(), None, "whatever else happens to its key");
    rig.now = until;
    assert_eq!((rig.next(), rig.parked.wakes()), (Some(5), None));
}

#[test]
fn after_a_reset_it_is_as_it_was_committed() {
    let mut rig = Rig::new([letter("a", 3, false), letter("a", 5, true), letter("b", 4, true)]);
    rig.parked.replays("a", sequence(3)).unwrap();
    rig.parked.ran(&"a".into(), sequence(3));
    assert_eq!((rig.next(), rig.next()), (Some(5), Some(4)));
    rig.parked.fails("b", sequence(4));
    rig.park("c", 8, false);
    rig.park("c", 9, true);
    rig.parked.reset(sequence(8));
    assert_eq!(
        (rig.parked.behind("a"), rig.parked.behind("c"), rig.parked.len()),
        (Some(sequence(3)), Some(sequence(8)), 4)
    );
    assert_eq!((rig.next(), rig.next()), (Some(4), None), "what failed did not, since that was not committed");
}

#[test]
fn one_that_cannot_be_replayed_waits_for_an_operator() {
    let mut rig = Rig::new([letter("a", 5, true), letter("a", 7, true)]);
    assert_eq!(rig.next(), Some(5));
    rig.parked.stuck(sequence(5));
    assert_eq!(rig.next(), None);
    rig.parked.gone(sequence(5));
    assert_eq!(rig.next(), Some(7));
}

#[test]
fn one_that_an_operator_has_replayed_in_vain_stays_first() {
    let mut rig = Rig::new([letter("a", 3, false), letter("a", 5, true)]);
    rig.parked.replays("a", sequence(3)).unwrap();
    rig.parked.stays("a", sequence(3));
    assert_eq!((rig.next(), rig.parked.behind("a")), (None, Some(sequence(3))));
}

#[test]
fn one_that_others_wait_behind_is_looked_at_since_word_of_its_end_may_be_lost() {
    let mut rig = Rig::new([letter("a", 3, false), letter("a", 5, true), letter("b", 4, false)]);
    assert_eq!((rig.next(), rig.looks.as_slice()), (None, &[3][..]), "nobody waits behind the other");
    rig.park("a", 9, true);
    rig.parked.committed(sequence(9));
    assert_eq!((rig.next(), rig.looks.len()), (None, 1), "somebody looks already");
    rig.parked.stands(sequence(3), rig.now);
    rig.park("a", 11, true);
    rig.parked.committed(sequence(11));
    assert_eq!((rig.next(), rig.looks.len()), (None, 1), "and has looked lately");
    rig.now = rig.parked.wakes().unwrap();
    assert_eq!((rig.next(), rig.looks.len()), (None, 2));
    rig.parked.gone(sequence(3));
    assert_eq!(rig.next(), Some(5));
    rig.done("a", 5);
    rig.park("b", 13, true);
    rig.parked.committed(sequence(13));
    assert_eq!((rig.next(), rig.looks.as_slice()), (Some(9), &[3, 3][..]));
    assert_eq!((rig.next(), rig.looks.as_slice()), (None, &[3, 3, 4][..]));
}

#[test]
fn what_is_replayed_first_is_blamed_for_the_ends_of_owners_and_alone() {
    let letters = || [letter("a", 5, true), letter("b", 6, true)];
    let rig = |ends| {
        let mut rig = Rig::new(letters());
        rig.parked = rig.parked.with_ends(ends);
        rig
    };
    let mut first = rig(0);
    assert_eq!((first.next(), first.next(), first.parked.is_careful()), (Some(5), Some(6), false));

    let mut next = rig(1);
    assert_eq!((next.next(), next.next(), next.parked.is_careful()), (Some(5), None, true), "one at a time");
    assert_eq!(next.parked.gives_up(sequence(5)), None);
    next.done("a", 5);
    assert_eq!((next.parked.is_careful(), next.next(), next.parked.is_careful()), (false, Some(6), false));

    let mut last = rig(ENDS);
    assert_eq!(last.next(), Some(5));
    assert_eq!((last.parked.gives_up(sequence(5)), last.parked.gives_up(sequence(6))), (Some(ENDS), None));
    last.parked.fails("a", sequence(5));
    last.parked.settled("a", sequence(5));
    assert_eq!((last.next(), last.parked.gives_up(sequence(6))), (Some(6), None));

    let mut nothing = Rig::new([letter("a", 5, false)]);
    nothing.parked = nothing.parked.with_ends(ENDS);
    assert_eq!((nothing.next(), nothing.parked.is_careful()), (None, false), "nothing is replayed");
}
