//! A module's breaker: after failures in a row the module waits; after a pause one input probes whether it may go on.
//! Pure: time is passed in.

use std::time::{Duration, Instant};

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Failures in a row that open it; 0 never does.
    pub failures: u32,
    /// The first pause; it doubles with each probe that fails.
    pub pause: Duration,
}

impl Default for Setting {
    fn default() -> Self {
        Self { failures: 50, pause: Duration::from_secs(10) }
    }
}

/// The longest pause, unless the first one is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What a lane may run now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Permit {
    /// As much as it likes.
    Run,
    /// One input, to see whether it works again.
    Probe,
    /// Nothing before this time.
    Wait(Instant),
}

/// The breaker of one module, shared by its lanes.
#[derive(Debug)]
pub struct Breaker {
    setting: Setting,
    failures: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Closed,
    /// No probe before `until`; the pause before it was this long. Whether one probes already.
    Open {
        until: Instant,
        pause: Duration,
        probing: bool,
    },
}

impl Breaker {
    /// A closed breaker.
    pub fn new(setting: Setting) -> Self {
        Self { setting, failures: 0, state: State::Closed }
    }

    /// What a lane that has inputs may run at `now`. Whoever is let probe should report; if it does not, another may
    /// probe after the same pause.
    pub fn permit(&mut self, now: Instant) -> Permit {
        match self.state {
            State::Closed => Permit::Run,
            State::Open { until, .. } if now < until => Permit::Wait(until),
            State::Open { pause, .. } => {
                self.state = State::Open { until: now + pause, pause, probing: true };
                Permit::Probe
            }
        }
    }

    /// An input gave effects. True if that closes the breaker.
    pub fn succeeded(&mut self) -> bool {
        self.failures = 0;
        std::mem::replace(&mut self.state, State::Closed) != State::Closed
    }

    /// An input was given up. Gives the pause if the breaker opens by that, or stays open after a probe. Those that lanes
    /// had begun before it opened say nothing new.
    pub fn failed(&mut self, now: Instant) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        let pause = match self.state {
            State::Closed if self.setting.failures == 0 || self.failures < self.setting.failures => return None,
            State::Closed => self.setting.pause,
            State::Open { probing: false, .. } => return None,
            State::Open { pause, .. } => (pause * 2).min(LONGEST_PAUSE.max(self.setting.pause)),
        };
        self.state = State::Open { until: now + pause, pause, probing: false };
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    fn breaker(failures: u32) -> (Breaker, Instant) {
        (Breaker::new(Setting { failures, pause: PAUSE }), Instant::now())
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_not_after_others() {
        let (mut breaker, now) = breaker(3);
        for _ in 0..10 {
            assert_eq!((breaker.failed(now), breaker.failed(now)), (None, None));
            assert!(!breaker.succeeded());
        }
        assert_eq!(breaker.permit(now), Permit::Run);
        assert_eq!([breaker.failed(now), breaker.failed(now), breaker.failed(now)], [None, None, Some(PAUSE)]);
        assert_eq!(breaker.permit(now), Permit::Wait(now + PAUSE));
    }

    #[test]
    fn one_probe_is_let_through_after_the_pause_and_closes_it() {
        let (mut breaker, now) = breaker(1);
        breaker.failed(now);
        let later = now + PAUSE;
        assert_eq!(breaker.permit(later), Permit::Probe);
        assert_eq!(breaker.permit(later), Permit::Wait(later + PAUSE));
        assert!(breaker.succeeded());
        assert_eq!(breaker.permit(later), Permit::Run);
    }

    #[test]
    fn each_failed_probe_doubles_the_pause_up_to_the_longest() {
        let (mut breaker, mut now) = breaker(1);
        let mut pauses = vec![breaker.failed(now).unwrap()];
        for _ in 0..8 {
            now += *pauses.last().unwrap();
            assert_eq!(breaker.permit(now), Permit::Probe);
            pauses.push(breaker.failed(now).unwrap());
        }
        assert_eq!(pauses.iter().map(Duration::as_secs).collect::<Vec<_>>(), [10, 20, 40, 80, 160, 300, 300, 300, 300]);
    }

    #[test]
    fn what_other_lanes_had_begun_before_it_opened_makes_the_pause_no_longer() {
        let (mut breaker, now) = breaker(1);
        assert_eq!([breaker.failed(now), breaker.failed(now), breaker.failed(now)], [Some(PAUSE), None, None]);
        assert_eq!(breaker.permit(now + PAUSE), Permit::Probe);
    }

    #[test]
    fn a_probe_that_is_never_reported_holds_nobody_up_for_ever() {
        let (mut breaker, now) = breaker(1);
        breaker.failed(now);
        assert_eq!(breaker.permit(now + PAUSE), Permit::Probe);
        assert_eq!(breaker.permit(now + PAUSE * 2), Permit::Probe);
    }

    #[test]
    fn without_a_number_it_never_opens() {
        let (mut breaker, now) = breaker(0);
        assert!((0..1_000).all(|_| breaker.failed(now).is_none()));
    }
}
