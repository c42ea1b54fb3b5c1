//! Reads everything back once all is done, and decides: the oracle on its part, the independent count on the real data.

use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::Client;
use pelton_demo::{
    count,
    data::{Data, Item},
    retail, stored,
};
use pelton_tests::{
    eventually,
    oracle::{
        self,
        judge::{Seen, judge},
        positions::Done,
    },
    stored::{Stored, messages},
};

use crate::history::History;

/// Servers may answer behind their leader for a moment.
const SOON: Duration = Duration::from_secs(20);

/// What came of it all.
pub struct Verdict {
    pub wrong: Vec<String>,
    pub seen: Seen,
    /// Lines of real data, as they are stored.
    pub lines: Vec<Stored>,
    /// Dead letters of real data.
    pub damaged: usize,
    /// Checkpoints that the oracle looked at.
    pub checkpoints: usize,
}

/// Reads and decides. What is wrong must be so again and again: a server that answers may be a moment behind.
pub async fn decide(client: &Client, history: &History) -> Result<Verdict> {
    let decided = eventually("a verdict without violations", SOON, async || {
        let verdict = once(client, history).await?;
        Ok(verdict.wrong.is_empty().then_some(verdict))
    });
    match decided.await {
        Ok(verdict) => Ok(verdict),
        Err(_) => once(client, history).await,
    }
}

async fn once(client: &Client, history: &History) -> Result<Verdict> {
    let streams = async_nats::jetstream::new(client.clone());
    let found = oracle::found(&streams).await?;
    let (seen, mut wrong) = match judge(&found) {
        Ok(seen) => (seen, Vec::new()),
        Err(wrong) => (Seen { inputs: found.inputs.len(), events: found.events.len(), ..Seen::default() }, wrong),
    };
    let checkpoints = history.written("oracle");
    wrong.extend(Done::new(&found.inputs, &found.events).judge(&checkpoints));
    let lines = messages(&streams, retail::STREAM, ">").await?;
    let (figures, _) = stored::read(client).await.context("what came of the real data")?;
    let (counted, _) = count::count_items(items()?.into_iter().cycle().take(lines.len()).map(Ok))?;
    wrong.extend(figures.differences(&counted).into_iter().map(|differs| format!("the real data: {differs}")));
    Ok(Verdict { wrong, seen, lines, damaged: figures.dead.len(), checkpoints: checkpoints.len() })
}

/// What is published, over and over again.
pub fn items() -> Result<Vec<Item>> {
    Data::open(None)?.items()?.collect()
}
