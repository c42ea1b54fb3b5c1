//! Rests of a lane that begins again and again.

use std::time::{Duration, Instant};

use crate::event::Sequence;
use crate::policy::backoff;

/// How often a lane began again without getting on. Where a leader has lost its majority it refuses all that builds on what it
/// reads, which is older than what it holds: then only waiting helps.
#[derive(Default)]
pub struct Relapses {
    count: u32,
    rests: Option<Instant>,
}

/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(1);

impl Relapses {
    /// It begins again: at once, but when it has done so lately.
    pub fn again(&mut self, covered: Sequence) {
        self.rests = (self.count > 0).then(|| Instant::now() + backoff(covered, self.count).min(LONGEST_REST));
        self.count += 1;
    }

    /// Until when it rests.
    pub fn rests(&self, now: Instant) -> Option<Instant> {
        self.rests.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_it_begins_at_once_and_then_it_rests_a_second_at_most() {
        let mut relapses = Relapses::default();
        relapses.again(Sequence(7));
        let now = Instant::now();
        assert_eq!(relapses.rests(now), None);
        for _ in 0..40 {
            relapses.again(Sequence(7));
            let rest = relapses.rests(now).expect("it rests") - now;
            assert!(rest <= LONGEST_REST + now.elapsed(), "{rest:?}");
        }
        assert_eq!(relapses.rests(now + 2 * LONGEST_REST + now.elapsed()), None);
    }
}
