//! How many lanes a host has and how many tasks go on in it, once a second, as its metrics say.

use std::{
    iter,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use pelton_tests::Http;
use tokio::time::{MissedTickBehavior, interval, timeout};

const A_SECOND: Duration = Duration::from_secs(1);

/// A look at a host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Busy {
    /// Since the beginning.
    pub at: Duration,
    /// Lanes that are the host's: each has some tasks.
    pub lanes: u64,
    /// Tasks that have not ended.
    pub tasks: u64,
}

/// Looks at the host once a second, if it answers.
pub async fn watch(host: Http, begin: Instant, seen: Arc<Mutex<Vec<Busy>>>) {
    let mut tick = interval(A_SECOND);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tick.tick().await;
        if let Ok(Ok(answer)) = timeout(A_SECOND, host.get("/metrics")).await {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.extend(read(&answer.text(), begin.elapsed()));
        }
    }
}

/// What the metrics say.
fn read(metrics: &str, at: Duration) -> Option<Busy> {
    let values = |name: &'static str| {
        let of_it = metrics.lines().filter_map(move |line| line.strip_prefix(name));
        let ends = of_it.filter(|rest| rest.starts_with(['{', ' ']));
        ends.filter_map(|rest| rest.rsplit(' ').next()?.parse::<u64>().ok())
    };
    Some(Busy { at, lanes: values("pelton_lanes").sum(), tasks: values("pelton_tasks").next()? })
}

/// All looks as a table.
pub fn table(seen: &[Busy]) -> String {
    let rows = seen.iter().map(|Busy { at, lanes, tasks }| format!("{:.1},{lanes},{tasks}\n", at.as_secs_f64()));
    iter::once("seconds,lanes,tasks\n".to_owned()).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_added_up_over_modules() {
        let metrics = "# TYPE pelton_tasks gauge\npelton_tasks 41\npelton_lanes_taken_total{module=\"a\"} 9\n\
                       pelton_lanes{module=\"a\"} 2\npelton_lanes{module=\"b\"} 3\n# EOF\n";
        assert_eq!(read(metrics, A_SECOND), Some(Busy { at: A_SECOND, lanes: 5, tasks: 41 }));
        assert_eq!(read("", A_SECOND), None);
    }
}
