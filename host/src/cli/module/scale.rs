//! `pelton module scale`: changes the number of a module's lanes.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::warn;

use crate::cli::output::print;
use crate::cli::{Common, Reading, who};
use crate::commit::ledger::{self, Ledger};
use crate::commit::record::{Record, State};
use crate::config::Lanes;
use crate::event::Sequence;
use crate::failpoint;
use crate::ownership::HostId;
use crate::ownership::heartbeats::is_there;
use crate::policy::backoff;
use crate::subject::Name;

/// How long hosts may take to finish and commit what they have in hand.
const DRAINING: Duration = Duration::from_secs(30);
/// How often something is tried again that somebody else keeps from being done.
const TRIES: u32 = 8;
/// How often to look whether they have.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Args)]
pub struct Scale {
    /// The module
    name: Name,
    /// How many lanes it is to have, from 1 to 256. With more than one, its plugin may write only view keys that equal the
    /// event's key or begin with it and a slash
    #[arg(long)]
    lanes: Lanes,
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize)]
struct Done {
    module: Name,
    was: u16,
    lanes: u16,
    state: State,
}

impl Scale {
    pub async fn main(self) -> anyhow::Result<()> {
        let Self { name, lanes, common } = self;
        let reading = common.read().await?;
        let ledger = reading.ledger();
        let (now, who, lanes) = (OffsetDateTime::now_utc, who(), lanes.get());
        let before = record(&ledger, &name).await?;
        if before.lanes == lanes {
            bail!("module {name} has {lanes} lanes already");
        }
        let ran = before.state == State::Running;
        if ran {
            uncontended(async || ledger.set_paused(&name, true, &who, now()).await).await?;
        }
        let scaled = async {
            drained(&reading, &ledger, &before).await?;
            uncontended(async || match ledger.record(&name).await? {
                Some(was) => ledger.scale(was, lanes, &who, now()).await,
                None => Err(ledger::Error::Unknown(name.to_string())),
            })
            .await
        };
        let scaled = scaled.await;
        failpoint::reach("scale", name.as_str());
        // Whether or not that was done: a module that ran is to run.
        if ran {
            uncontended(async || ledger.set_paused(&name, false, &who, now()).await).await?;
        }
        let scaled = scaled?;
        let state = if ran { State::Running } else { scaled.state };
        print(reading.output, &Done { module: name, was: before.lanes, lanes, state }, shown)
    }
}

async fn record(ledger: &Ledger, name: &Name) -> anyhow::Result<Record> {
    let record = ledger.record(name).await?;
    Ok(record.ok_or_else(|| ledger::Error::Unknown(name.to_string()))?.value)
}

/// Does `what` again while somebody else writes at the same time: lanes that finish, or a host that notes how it is.
async fn uncontended<T>(what: impl AsyncFn() -> Result<T, ledger::Error>) -> Result<T, ledger::Error> {
    let mut tries = 1;
    loop {
        match what().await {
            Err(ledger::Error::Contended) if tries < TRIES => {
                tokio::time::sleep(backoff(Sequence(std::process::id().into()), tries)).await;
                tries += 1;
            }
            done => return done,
        }
    }
}

/// Waits until nobody owns a lane of the module. A host that died cannot say that it does not: whatever it had in hand is
/// refused once the number is changed.
async fn drained(reading: &Reading, ledger: &Ledger, record: &Record) -> Result<(), ledger::Error> {
    let patience = Instant::now() + DRAINING;
    loop {
        let lanes = ledger.checkpoints(record, 0..record.lanes).await?;
        let owners: BTreeSet<HostId> = lanes.values().filter_map(|lane| lane.value.owner).collect();
        let mut there = false;
        for owner in owners {
            there |= is_there(&reading.connections.read, &reading.subjects, owner).await;
        }
        if !there {
            return Ok(());
        }
        if Instant::now() > patience {
            warn!(module = %record.module, "a host does not release its lanes: what it has in hand is done again");
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn shown(done: &Done) -> String {
    let Done { module, was, lanes, state } = done;
    let next = if *state == State::Running { "" } else { "; `pelton module resume` starts it" };
    format!("module {module} had {was} lanes and has {lanes}{next}\nSay lanes = {lanes} in the config, too")
}
