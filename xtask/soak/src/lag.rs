//! How far behind modules are, once a second, and how long any of them stood still with inputs before it. Pure but for [`watch`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_nats::Client;
use tokio::time::{interval, timeout};

use crate::{
    follow::{Shared, last_inputs},
    history::History,
};

/// How long a server may take to say what the last inputs are.
const ASKED: Duration = Duration::from_secs(2);

/// What is known of a module.
#[derive(Clone, Copy, Debug)]
struct Standing {
    covered: u64,
    /// When it last got on, or had nothing to do.
    since: Duration,
}

/// How long modules stood still.
#[derive(Clone, Debug, Default)]
pub struct Stalls {
    modules: BTreeMap<&'static str, Standing>,
    /// The longest time, which module, and when it ended.
    pub longest: Option<(Duration, &'static str, Duration)>,
}

impl Stalls {
    /// Takes in how far modules are at a time, and where their inputs end.
    pub fn look(&mut self, at: Duration, inputs: &BTreeMap<&'static str, u64>, history: &History) {
        for (module, last) in inputs {
            let covered = history.covered(module).unwrap_or_default();
            let standing = self.modules.entry(module).or_insert(Standing { covered, since: at });
            if covered != standing.covered || covered >= *last {
                *standing = Standing { covered, since: at };
                continue;
            }
            let stalled = at.saturating_sub(standing.since);
            if self.longest.is_none_or(|(longest, ..)| stalled > longest) {
                self.longest = Some((stalled, module, at));
            }
        }
    }
}

/// Looks once a second, for ever.
pub async fn watch(clients: Vec<Client>, shared: Shared, begin: Instant, stalls: Arc<Mutex<Stalls>>) {
    let mut tick = interval(Duration::from_secs(1));
    for client in clients.iter().cycle() {
        tick.tick().await;
        // While no server answers modules do not get on either: that is seen with the next answer.
        if let Ok(Ok(inputs)) = timeout(ASKED, last_inputs(client)).await {
            let mut stalls = stalls.lock().unwrap_or_else(PoisonError::into_inner);
            stalls.look(begin.elapsed(), &inputs, &shared.look());
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Result;

    use super::*;

    #[test]
    fn a_module_stalls_while_it_has_inputs_before_it_and_does_not_get_on() -> Result<()> {
        let (mut history, mut stalls) = (History::default(), Stalls::default());
        history.take(1, 0, "pelton.demo.module.flag", br#"{"lanes":1}"#)?;
        let mut sequence = 1;
        for (second, covered, last) in
            [(0, 1, 1), (9, 1, 1), (10, 1, 3), (13, 1, 5), (14, 2, 5), (16, 2, 5), (17, 5, 5)]
        {
            sequence += 1;
            let checkpoint = format!(r#"{{"position":0,"covered":{covered}}}"#);
            history.take(sequence, 0, "pelton.demo.ckpt.flag.1.0", checkpoint.as_bytes())?;
            stalls.look(Duration::from_secs(second), &BTreeMap::from([("flag", last)]), &history);
        }
        assert_eq!(stalls.longest, Some((Duration::from_secs(4), "flag", Duration::from_secs(13))));
        Ok(())
    }
}
