//! What the audit says of a module's past, as far as it decides what inputs gave: where it begins, which plugin ran which
//! input, what was run again. Pure.

use std::collections::{BTreeSet, VecDeque};

use crate::commit::audit::{Act, Entry};
use crate::commit::record::Record;
use crate::event::Sequence;
use crate::lane::version::Outcome;
use crate::route::lane_of;

/// An entry of the audit, with its position in the app stream.
#[derive(Clone, Debug)]
pub struct Noted {
    /// Where it stands.
    pub at: Sequence,
    /// What it says.
    pub entry: Entry,
}

/// A module's past, since it was last sent elsewhere.
#[derive(Clone, Debug)]
pub struct History {
    /// The last time that it was sent elsewhere, if it was.
    pub reset: Option<Reset>,
    /// Its dead letters that were run again, in that order.
    pub replays: VecDeque<Replay>,
    /// The inputs of all dead letters that are gone: run again, or thrown away.
    pub gone: BTreeSet<Sequence>,
    turns: Vec<Turn>,
    /// The turn with which it begins, as far as is known.
    first: usize,
}

/// Where a module was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Reset {
    /// It went on behind this input.
    pub behind: Sequence,
    /// Nothing before this position of the app stream counts.
    pub since: Sequence,
    /// Whether its views began anew.
    pub anew: bool,
}

/// A dead letter that was run again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// Its input.
    pub sequence: Sequence,
    /// It ran behind this input of its lane, if that was kept.
    pub behind: Option<Sequence>,
}

/// The time of one plugin.
#[derive(Clone, Debug, PartialEq)]
struct Turn {
    plugin: String,
    begins: Option<Decided>,
}

/// The input that decided about a plugin: exact for its lane, and a guess for the others, which go over at their next.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Decided {
    lanes: u16,
    lane: u16,
    sequence: Sequence,
}

impl Decided {
    fn is_exact_for(&self, key: &str) -> bool {
        lane_of(key, self.lanes) == self.lane
    }
}

impl History {
    /// The past of the module of `record`, of the whole audit. `more` are plugins that are at hand: those that the audit
    /// does not name may have run before all others.
    pub fn of(record: &Record, audit: &[Noted], more: &[String]) -> Self {
        let mut history =
            Self { reset: None, replays: VecDeque::new(), gone: BTreeSet::new(), turns: Vec::new(), first: 0 };
        let scales = audit.iter().find_map(|noted| match &noted.entry.act {
            Act::Scale { module, was, .. } if *module == record.module => Some(*was),
            _ => None,
        });
        let mut lanes = scales.unwrap_or(record.lanes);
        let mut generation = crate::subject::Generation::default();
        for Noted { at, entry } in audit {
            match &entry.act {
                Act::Swap { module, was, plugin, outcome } if *module == record.module => {
                    history.swapped(lanes, was, plugin, outcome.as_ref());
                }
                Act::Scale { module, lanes: now, .. } if *module == record.module => lanes = *now,
                Act::Reset { module, behind, generation: now } if *module == record.module => {
                    let anew = *now != generation;
                    generation = *now;
                    history.sent(Reset { behind: *behind, since: *at, anew });
                }
                Act::Replay { letter, behind } if letter.module == record.module => {
                    history.gone.insert(letter.sequence);
                    history.replays.push_back(Replay { sequence: letter.sequence, behind: *behind });
                }
                Act::Discard(letter) if letter.module == record.module => {
                    history.gone.insert(letter.sequence);
                }
                Act::Swap { .. } | Act::Scale { .. } | Act::Reset { .. } | Act::Replay { .. } | Act::Discard(_) => {}
                Act::Pause { .. } | Act::Resume { .. } => {}
            }
        }
        history.runs(&record.edition.plugin);
        let place = |replay: &Replay| replay.behind.unwrap_or(replay.sequence);
        // Those of one lane stand in order already.
        history.replays.make_contiguous().sort_by_key(place);
        let named = |plugin: &String| history.turns.iter().any(|turn| turn.plugin == *plugin);
        let mut turns: Vec<Turn> = Vec::new();
        for plugin in more.iter().filter(|plugin| !named(plugin)) {
            turns.push(Turn { plugin: plugin.clone(), begins: None });
        }
        history.first = turns.len();
        turns.append(&mut history.turns);
        history.turns = turns;
        history
    }

    /// Notes that `plugin` runs now: since a time that nobody wrote down, if it was another before.
    fn runs(&mut self, plugin: &str) {
        if self.turns.last().is_none_or(|last| last.plugin != plugin) {
            self.turns.push(Turn { plugin: plugin.to_owned(), begins: None });
        }
    }

    fn swapped(&mut self, lanes: u16, was: &str, plugin: &str, outcome: Option<&Outcome>) {
        self.runs(was);
        let decided = match outcome {
            Some(Outcome::Stays { lane, sequence } | Outcome::Returns { lane, sequence, .. }) => {
                Some(Decided { lanes, lane: *lane, sequence: *sequence })
            }
            None => None,
        };
        self.turns.push(Turn { plugin: plugin.to_owned(), begins: decided });
        if matches!(outcome, Some(Outcome::Returns { .. })) {
            // Other lanes may have run it for a moment.
            self.turns.push(Turn { plugin: was.to_owned(), begins: decided });
        }
    }

    fn sent(&mut self, reset: Reset) {
        self.reset = Some(reset);
        self.replays.clear();
        self.gone.clear();
        if let Some(last) = self.turns.pop() {
            self.turns = vec![Turn { begins: None, ..last }];
        }
    }

    /// The plugin of a turn.
    pub fn plugin(&self, turn: usize) -> Option<&str> {
        self.turns.get(turn).map(|turn| turn.plugin.as_str())
    }

    /// The turns that may have run the input at `sequence` with this key, the likeliest first. No lane goes back: none
    /// before `floor`.
    pub fn candidates(&self, key: &str, sequence: Sequence, floor: usize) -> Vec<usize> {
        let exact = |turn: &Turn| turn.begins.filter(|decided| decided.is_exact_for(key));
        let begun = |turn: &Turn| exact(turn).map(|decided| sequence >= decided.sequence);
        let low = self.turns.iter().rposition(|turn| begun(turn) == Some(true)).unwrap_or(0).max(floor);
        let later = self.turns.iter().position(|turn| begun(turn) == Some(false));
        let high = later.unwrap_or(self.turns.len()).saturating_sub(1);
        let has_come = |turn: &Turn| turn.begins.is_some_and(|decided| sequence >= decided.sequence);
        let guess = self.turns.iter().rposition(has_come).unwrap_or(self.first);
        let likeliest = guess.min(high).max(low);
        let mut all = vec![likeliest];
        all.extend(likeliest + 1..=high);
        all.extend((low..likeliest).rev());
        all
    }

    /// The same for an input that was run again behind the one at `behind`: a plugin on trial may have run it too, before the
    /// input that decided.
    pub fn candidates_again(&self, key: &str, behind: Sequence, floor: usize) -> Vec<usize> {
        let mut all = self.candidates(key, behind.next(), floor);
        let highest = all.iter().copied().max().map_or(0, |highest| highest + 1);
        all.extend(highest..self.turns.len());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::audit::Letter;
    use crate::commit::record::State;
    use crate::ownership::Edition;
    use crate::policy::{Cause, CauseKind};
    use crate::route::{HASH_VERSION, KeyExpr};
    use crate::subject::{Generation, Name};

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn record(lanes: u16, plugin: &str) -> Record {
        Record {
            format: 1,
            module: name("m"),
            stream: "IN".to_owned(),
            filters: Vec::new(),
            key: KeyExpr::Subject,
            hash: HASH_VERSION,
            lanes,
            scaled: Vec::new(),
            views: Vec::new(),
            edition: Edition { plugin: plugin.to_owned(), settings: String::new() },
            generation: Generation::default(),
            state: State::Running,
        }
    }

    fn audit(acts: Vec<Act>) -> Vec<Noted> {
        let entry = |act| Entry { time: "t".to_owned(), who: "w".to_owned(), act };
        (1..).zip(acts).map(|(at, act)| Noted { at: Sequence(at), entry: entry(act) }).collect()
    }

    fn swap(was: &str, plugin: &str, outcome: Option<Outcome>) -> Act {
        Act::Swap { module: name("m"), was: was.to_owned(), plugin: plugin.to_owned(), outcome }
    }

    fn stays(lane: u16, sequence: u64) -> Option<Outcome> {
        Some(Outcome::Stays { lane, sequence: Sequence(sequence) })
    }

    fn returns(lane: u16, sequence: u64) -> Option<Outcome> {
        Some(Outcome::Returns { lane, sequence: Sequence(sequence), cause: Cause::new(CauseKind::Trap, "t") })
    }

    /// The plugins that may have run an input.
    fn ran(history: &History, key: &str, sequence: u64) -> Vec<String> {
        let turns = history.candidates(key, Sequence(sequence), 0);
        turns.iter().map(|turn| history.plugin(*turn).unwrap().to_owned()).collect()
    }

    /// A key of that lane.
    fn key_of(lane: u16, lanes: u16) -> String {
        (0..).map(|n| format!("k{n}")).find(|key| lane_of(key, lanes) == lane).unwrap()
    }

    #[test]
    fn what_is_run_again_may_have_run_on_any_plugin_from_its_place_on() {
        let history =
            History::of(&record(1, "c"), &audit(vec![swap("a", "b", stays(0, 10)), swap("b", "c", stays(0, 20))]), &[]);
        let again = |behind| {
            let turns = history.candidates_again("k", Sequence(behind), 0);
            turns.iter().map(|turn| history.plugin(*turn).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(again(3), ["a", "b", "c"], "the next plugin may have been on trial");
        assert_eq!(again(9), ["b", "c"]);
        assert_eq!(again(25), ["c"]);
    }

    #[test]
    fn in_one_lane_the_input_that_decided_is_the_first_of_the_new_plugin() {
        let acts = vec![swap("a", "b", stays(0, 10)), swap("b", "c", returns(0, 20)), swap("b", "d", stays(0, 30))];
        let history = History::of(&record(1, "d"), &audit(acts), &[]);
        for (sequence, plugin) in [(1, "a"), (9, "a"), (10, "b"), (20, "b"), (29, "b"), (30, "d"), (99, "d")] {
            assert_eq!(ran(&history, "k", sequence), [plugin], "{sequence}");
        }
    }

    #[test]
    fn other_lanes_go_over_about_then_and_never_back() {
        let history = History::of(&record(4, "b"), &audit(vec![swap("a", "b", stays(2, 10))]), &[]);
        let (deciding, other) = (key_of(2, 4), key_of(1, 4));
        assert_eq!(ran(&history, &deciding, 9), ["a"]);
        assert_eq!(ran(&history, &deciding, 10), ["b"]);
        assert_eq!(ran(&history, &other, 9), ["a", "b"]);
        assert_eq!(ran(&history, &other, 10), ["b", "a"]);
        assert_eq!(history.candidates(&other, Sequence(9), 1), [1], "it has gone over");
    }

    #[test]
    fn a_plugin_that_nobody_swapped_in_may_have_come_at_any_time() {
        let acts = vec![swap("a", "b", None), swap("c", "d", stays(0, 50))];
        let history = History::of(&record(1, "d"), &audit(acts), &["z".to_owned(), "a".to_owned()]);
        assert_eq!(ran(&history, "k", 1), ["a", "b", "c", "z"]);
        assert_eq!(ran(&history, "k", 50), ["d"]);
        assert_eq!(ran(&History::of(&record(1, "d"), &[], &[]), "k", 7), ["d"]);
    }

    #[test]
    fn the_lanes_that_there_were_say_which_keys_a_swap_was_exact_for() {
        let scale = |was, lanes| Act::Scale { module: name("m"), was, lanes, behind: Sequence(0) };
        let acts = vec![swap("a", "b", stays(1, 10)), scale(2, 8), swap("b", "c", stays(5, 20))];
        let history = History::of(&record(8, "c"), &audit(acts), &[]);
        let key = (0..).map(|n| format!("k{n}")).find(|key| lane_of(key, 2) == 1 && lane_of(key, 8) == 5).unwrap();
        for (sequence, plugin) in [(9, "a"), (10, "b"), (19, "b"), (20, "c")] {
            assert_eq!(ran(&history, &key, sequence), [plugin], "{sequence}");
        }
    }

    #[test]
    fn a_module_begins_where_it_was_last_sent() {
        let letter = |sequence| Letter { module: name("m"), lane: 0, sequence: Sequence(sequence) };
        let reset = |generation| Act::Reset { module: name("m"), behind: Sequence(6), generation };
        let replay = |sequence| Act::Replay { letter: letter(sequence), behind: Some(Sequence(8)) };
        let second = Generation::default().next();
        let mut acts = vec![Act::Discard(letter(1)), replay(2), swap("a", "b", stays(0, 5)), reset(second), replay(7)];
        let history = History::of(&record(1, "b"), &audit(acts.clone()), &[]);
        assert_eq!(history.reset, Some(Reset { behind: Sequence(6), since: Sequence(4), anew: true }));
        assert_eq!(history.replays, [Replay { sequence: Sequence(7), behind: Some(Sequence(8)) }]);
        assert!(history.gone.iter().eq([&Sequence(7)]));
        assert_eq!(ran(&history, "k", 1), ["b"], "the plugin of that time runs all");
        acts.push(reset(second));
        assert!(!History::of(&record(1, "b"), &audit(acts), &[]).reset.unwrap().anew, "its views were kept");
    }
}
