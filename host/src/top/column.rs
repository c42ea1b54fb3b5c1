//! The columns of the list of modules: what stands in them, and how modules are sorted by them. Pure.

use std::cmp::Ordering;

use super::figures::{Module, State};
use super::text;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in figures::Module")]
pub enum Column {
    State,
    Name,
    Inputs,
    Effects,
    Lag,
    Age,
    DeadLetters,
    Retries,
    Breaker,
    P50,
    P99,
}

impl Column {
    /// All of them, as they are sorted by in turn.
    pub const ALL: [Self; 11] = [
        Self::State,
        Self::Name,
        Self::Inputs,
        Self::Effects,
        Self::Lag,
        Self::Age,
        Self::DeadLetters,
        Self::Retries,
        Self::Breaker,
        Self::P50,
        Self::P99,
    ];

    /// The figures, as they are left out where there is no room for all: the last one first.
    pub const DEAREST: [Self; 9] = [
        Self::Inputs,
        Self::Lag,
        Self::Age,
        Self::DeadLetters,
        Self::Effects,
        Self::P99,
        Self::Retries,
        Self::P50,
        Self::Breaker,
    ];

    /// Those behind name and state, as they stand beside each other.
    pub fn figures() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().skip(2)
    }

    /// The column behind this one, and behind the last the first.
    pub fn next(self) -> Self {
        let rest = Self::ALL.into_iter().skip_while(|column| *column != self);
        rest.chain(Self::ALL).nth(1).unwrap_or(self)
    }

    /// What stands over it.
    pub fn title(self) -> &'static str {
        match self {
            Self::State => "STATE",
            Self::Name => "MODULE",
            Self::Inputs => "IN/S",
            Self::Effects => "EFF/S",
            Self::Lag => "LAG",
            Self::Age => "AGE",
            Self::DeadLetters => "DEAD",
            Self::Retries => "RETRY",
            Self::Breaker => "BREAKER",
            Self::P50 => "P50",
            Self::P99 => "P99",
        }
    }

    /// Characters that its figures need, whatever they are: so nothing moves while they change.
    pub fn width(self) -> u16 {
        match self {
            Self::State => 11,
            Self::Name => 12,
            Self::Inputs | Self::Effects | Self::Lag | Self::Breaker => 7,
            Self::Age | Self::DeadLetters | Self::Retries | Self::P50 | Self::P99 => 6,
        }
    }

    /// What stands in it.
    pub fn text(self, module: &Module) -> String {
        match self {
            Self::State => state(module.state).to_owned(),
            Self::Name => module.module.to_string(),
            Self::Inputs => text::rate(module.inputs_per_second),
            Self::Effects => text::rate(module.effects_per_second),
            Self::Lag => module.lag.map_or_else(|| text::UNKNOWN.to_owned(), text::count),
            Self::DeadLetters | Self::Retries | Self::Breaker if module.hosts == 0 => text::UNKNOWN.to_owned(),
            Self::Age => text::maybe_seconds(module.lag_seconds),
            Self::DeadLetters => text::count(module.dead_letters),
            Self::Retries => text::count(module.retries),
            Self::Breaker => if module.breaker_open { "open" } else { "closed" }.to_owned(),
            Self::P50 => text::maybe_seconds(module.call_seconds.map(|took| took.p50)),
            Self::P99 => text::maybe_seconds(module.call_seconds.map(|took| took.p99)),
        }
    }

    /// Sorts by this column: the worst state or the largest figure first, alike ones by name.
    pub fn sort(self, modules: &mut [Module]) {
        modules.sort_by(|one, other| self.order(one, other).then_with(|| one.module.cmp(&other.module)));
    }

    fn order(self, one: &Module, other: &Module) -> Ordering {
        let falling =
            |figure: fn(&Module) -> Option<f64>| figure(other).unwrap_or(-1.0).total_cmp(&figure(one).unwrap_or(-1.0));
        match self {
            Self::State => one.rank().cmp(&other.rank()),
            Self::Name => Ordering::Equal,
            Self::Inputs => falling(|module| module.inputs_per_second),
            Self::Effects => falling(|module| module.effects_per_second),
            Self::Lag => other.lag.cmp(&one.lag),
            Self::Age => falling(|module| module.lag_seconds),
            Self::DeadLetters => other.dead_letters.cmp(&one.dead_letters),
            Self::Retries => other.retries.cmp(&one.retries),
            Self::Breaker => other.breaker_open.cmp(&one.breaker_open),
            Self::P50 => falling(|module| module.call_seconds.map(|took| took.p50)),
            Self::P99 => falling(|module| module.call_seconds.map(|took| took.p99)),
        }
    }
}

impl Module {
    /// How bad its state is, the worst first: one that runs but waits stands before those that run.
    fn rank(&self) -> (State, bool) {
        (self.state, !self.breaker_open)
    }
}

/// A state in words.
pub fn state(state: State) -> &'static str {
    match state {
        State::Halted => "halted",
        State::Differs => "differs",
        State::NotRunning => "not running",
        State::Starting => "starting",
        State::Paused => "paused",
        State::Running => "running",
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::Quantiles;
    use super::super::figures::tests::idle;
    use super::*;

    fn sorted(column: Column, mut modules: Vec<Module>) -> Vec<String> {
        column.sort(&mut modules);
        modules.iter().map(|module| module.module.to_string()).collect()
    }

    #[test]
    fn each_column_sorts_what_matters_to_the_top_and_alike_ones_by_name() {
        let took = |seconds| Some(Quantiles { p50: seconds, p99: seconds });
        let made = |change: fn(&mut Module)| {
            let mut module = idle("made");
            change(&mut module);
            module
        };
        let cases: [(Column, Module); 10] = [
            (Column::State, made(|module| module.state = State::Halted)),
            (Column::State, made(|module| module.breaker_open = true)),
            (Column::Inputs, made(|module| module.inputs_per_second = Some(0.5))),
            (Column::Effects, made(|module| module.effects_per_second = Some(0.5))),
            (Column::Lag, made(|module| module.lag = Some(1))),
            (Column::Age, made(|module| module.lag_seconds = Some(1.0))),
            (Column::DeadLetters, made(|module| module.dead_letters = 1)),
            (Column::Retries, made(|module| module.retries = 1)),
            (Column::Breaker, made(|module| module.breaker_open = true)),
            (Column::P99, Module { call_seconds: took(1.0), ..idle("made") }),
        ];
        for (column, made) in cases {
            let all = || vec![idle("z"), made.clone(), idle("a")];
            assert_eq!(sorted(column, all()), ["made", "a", "z"], "{column:?}");
            assert_eq!(sorted(Column::Name, all()), ["a", "made", "z"]);
        }
    }

    #[test]
    fn going_on_from_column_to_column_comes_by_all_and_back() {
        let mut seen = vec![Column::State];
        for _ in 1..Column::ALL.len() {
            seen.push(seen.last().unwrap().next());
        }
        assert_eq!(seen, Column::ALL);
        assert_eq!(Column::P99.next(), Column::State);
    }

    #[test]
    fn every_figure_fits_its_column() {
        let module = Module {
            inputs_per_second: Some(99_999.0),
            effects_per_second: Some(123_456_789.0),
            lag: Some(99_999),
            lag_seconds: Some(3_000.0),
            dead_letters: 99_999,
            retries: u64::MAX,
            call_seconds: Some(Quantiles { p50: 999e-6, p99: 0.999 }),
            state: State::NotRunning,
            ..idle("name")
        };
        for column in Column::ALL {
            let text = column.text(&module);
            assert!(text.chars().count() <= usize::from(column.width()), "{column:?}: {text}");
        }
        let dearest = Column::DEAREST;
        assert!(Column::figures().all(|column| dearest.contains(&column)));
    }
}
