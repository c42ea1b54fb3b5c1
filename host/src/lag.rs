//! How far behind modules are, and whether that is too far. Pure.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::commit::record::State;
use crate::config::Period;
use crate::subject::Name;

/// How far behind a module is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lag {
    /// The module.
    pub module: Name,
    /// Its state; none if it never ran.
    pub state: Option<State>,
    /// Inputs that the lane furthest behind has before it; none if that cannot be told.
    pub messages: Option<u64>,
    /// For how long the oldest of them has waited, by this machine's clock; 0 if none waits.
    pub seconds: Option<f64>,
}

/// A lag that is too long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// So many inputs.
    Messages(u64),
    /// An input that waits for so long.
    Age(Duration),
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().map(Self::Messages);
        let age = || text.parse().map(|Period(age)| Self::Age(age));
        number
            .or_else(|_| age())
            .map_err(|_: String| format!("{text:?} is neither a number of inputs nor like \"30s\""))
    }
}

/// What a monitor is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// To be looked at.
    Warning,
    /// To be acted on.
    Critical,
}

impl Level {
    /// What monitors that call plugins of Nagios expect as the exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        })
    }
}

/// A lag with what it means.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// The lag.
    #[serde(flatten)]
    pub lag: Lag,
    /// Whether it is too long.
    pub level: Level,
}

impl Lag {
    /// Whether this is too far behind. A module that halted, that never ran or whose lag cannot be told is critical.
    pub fn judge(self, warn: &[Threshold], critical: &[Threshold]) -> Judged {
        let stands = matches!(self.state, None | Some(State::Halted(_))) || self.messages.is_none();
        let over = |thresholds: &[Threshold]| thresholds.iter().any(|threshold| self.is_over(*threshold));
        let level = if stands || over(critical) {
            Level::Critical
        } else if over(warn) {
            Level::Warning
        } else {
            Level::Ok
        };
        Judged { lag: self, level }
    }

    fn is_over(&self, threshold: Threshold) -> bool {
        match threshold {
            Threshold::Messages(most) => self.messages.is_some_and(|messages| messages > most),
            Threshold::Age(longest) => self.seconds.is_some_and(|seconds| seconds > longest.as_secs_f64()),
        }
    }
}

impl fmt::Display for Judged {
    /// A line for a monitor: level, module, what is the matter, and behind a bar the figures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lag: Lag { module, state, messages, seconds }, level } = self;
        write!(f, "{level} {module}: ")?;
        match messages {
            Some(messages) => write!(f, "{messages} inputs behind")?,
            None => write!(f, "how far behind is unknown")?,
        }
        if let Some(seconds) = seconds.filter(|seconds| *seconds > 0.0) {
            write!(f, ", the oldest has waited {seconds:.1} s")?;
        }
        match state {
            Some(State::Running) => {}
            Some(State::Paused) => write!(f, ", paused")?,
            Some(State::Halted(why)) => write!(f, ", halted: {}", why.replace(['\n', '|'], " "))?,
            None => write!(f, ", it never ran")?,
        }
        if let (Some(messages), Some(seconds)) = (messages, seconds) {
            write!(f, " | {module}={messages} {module}_age={seconds:.1}s")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(state: Option<State>, messages: Option<u64>, seconds: Option<f64>) -> Lag {
        Lag { module: "totals".parse().unwrap(), state, messages, seconds }
    }

    #[test]
    fn a_lag_is_judged_by_inputs_and_by_age() {
        let running = || Some(State::Running);
        let warn = [Threshold::Messages(10), Threshold::Age(Duration::from_secs(5))];
        let critical = [Threshold::Messages(100), Threshold::Age(Duration::from_secs(60))];
        let cases = [
            (lag(running(), Some(0), Some(0.0)), Level::Ok, "OK totals: 0 inputs behind | totals=0 totals_age=0.0s"),
            (lag(running(), Some(10), Some(5.0)), Level::Ok, "10 inputs behind, the oldest has waited 5.0 s |"),
            (lag(running(), Some(11), Some(0.2)), Level::Warning, "WARNING totals: 11"),
            (lag(running(), Some(1), Some(5.1)), Level::Warning, "totals_age=5.1s"),
            (lag(running(), Some(101), None), Level::Critical, "CRITICAL totals: 101 inputs behind"),
            (lag(running(), Some(1), Some(61.0)), Level::Critical, "61.0 s"),
            (lag(running(), None, None), Level::Critical, "how far behind is unknown"),
            (lag(Some(State::Paused), Some(3), Some(1.0)), Level::Ok, ", paused |"),
            (lag(Some(State::Halted("a|b\nc".to_owned())), Some(0), None), Level::Critical, "halted: a b c"),
            (lag(None, None, None), Level::Critical, "it never ran"),
        ];
        for (lag, level, part) in cases {
            let judged = lag.judge(&warn, &critical);
            assert_eq!(judged.level, level, "{judged}");
            assert!(judged.to_string().contains(part), "{judged}");
        }
        let without = lag(running(), Some(u64::MAX), Some(1e9)).judge(&[], &[]);
        assert_eq!(without.level, Level::Ok, "nobody said what is too long");
    }

    #[test]
    fn a_threshold_is_a_number_or_a_duration() {
        assert_eq!("100".parse(), Ok(Threshold::Messages(100)));
        assert_eq!("30s".parse(), Ok(Threshold::Age(Duration::from_secs(30))));
        assert!("soon".parse::<Threshold>().unwrap_err().contains("soon"));
    }
}
