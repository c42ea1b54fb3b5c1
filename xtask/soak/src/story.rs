//! The soak from its beginning to its end: calm, faults under load, recovery, verdict.

use std::{
    fs, mem,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use async_nats::{Client, ConnectOptions};
use pelton_demo::retail;
use pelton_tests::{eventually, seed};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::{
    busy,
    chaos::Chaos,
    fleet::{Fleet, HOSTS},
    folder::Folder,
    follow::{self, Shared},
    journal::{Journal, now},
    judge::{Compared, RECOVERY, growth, tasks},
    lag::{self, Stalls},
    latency, load,
    operator::Operator,
    options::Options,
    plan::{LASTING, Plan},
    records::Records,
    report::Report,
    verdict,
};

/// How long starting, and finishing in the end, may take.
const LONG: Duration = Duration::from_secs(120);
/// How long a server may take to answer.
const ASKED: Duration = Duration::from_secs(2);
/// What comes first is not as it always is: caches are empty, connections new.
const WARMING: i128 = 5_000_000_000;

/// Runs it all.
pub async fn tell(options: &Options, folder: &Folder) -> Result<Report> {
    let seed = options.seed.unwrap_or_else(seed);
    let plan = Plan::draw(seed, options.minutes);
    println!("Soak of {} minutes with seed {seed}: {} faults", options.minutes, plan.faults.len());
    let mut fleet = Fleet::start(folder).await?;
    let clients = clients(&fleet).await?;
    let client = clients.first().context("no server")?.clone();
    load::streams(&client).await?;
    fleet.start_host(LASTING)?;

    let shared = Shared::default();
    let mut beside = JoinSet::new();
    beside.spawn(shared.clone().follow(clients.clone()));
    eventually("all modules to run", LONG, async || {
        Ok(follow::MODULES.iter().all(|(module, ..)| shared.look().covered(module).is_some()).then_some(()))
    })
    .await?;
    // The app is there by now: the others join.
    (0..HOSTS).filter(|host| *host != LASTING).try_for_each(|host| fleet.start_host(host))?;

    let journal = Arc::new(Journal::new());
    let (begin, stalls) = (now(), Arc::<Mutex<Stalls>>::default());
    beside.spawn(lag::watch(clients.clone(), shared.clone(), journal.begin(), stalls.clone()));
    let (stop, stopped) = watch::channel(false);
    let busy = Arc::<Mutex<Vec<busy::Busy>>>::default();
    let lasting = fleet.host(LASTING)?.context("it was started")?.http().await?;
    beside.spawn(busy::watch(lasting, journal.begin(), busy.clone()));
    let mut load = JoinSet::new();
    load.spawn(load::oracle(clients.clone(), stopped.clone(), journal.clone()));
    load.spawn(load::lines(clients.clone(), stopped));

    let records = Records::new(folder.file("records.csv"), &journal)?;
    let mut chaos = Chaos { fleet, records, journal: journal.clone(), plan: &plan };
    let operator = Operator::new(folder, journal.clone())?;
    chaos.run(operator.work(&plan.acts)).await?;

    journal.say("the last fault is over");
    let recovered = chaos.tend(caught_up(&clients, &shared, RECOVERY)).await?;
    stop.send(true)?;
    while let Some(ended) = load.join_next().await {
        ended??;
    }
    let mut wrong: Vec<String> = recovered.as_ref().err().map(|behind| format!("I5: {behind}")).into_iter().collect();
    // What was done last is an input of modules behind.
    for _ in 0..2 {
        wrong.extend(chaos.tend(caught_up(&clients, &shared, LONG)).await?.err());
    }
    for stream in ["IN", retail::STREAM, "KV_demo"] {
        chaos.fleet.cluster.in_step(stream).await?;
    }
    wrong.extend(ended(&mut chaos.fleet).await?);
    beside.shutdown().await;

    let history = mem::take(&mut *shared.look());
    let mut verdict = verdict::decide(&client, &history).await?;
    verdict.wrong.extend(wrong);
    let entries = journal.entries();
    fs::write(folder.file("journal.txt"), entries.lines.join("\n"))?;
    let took = latency::took(&history, &verdict.lines, &verdict::items()?)?;
    fs::write(folder.file("latency.csv"), latency::table(&took, begin)?)?;
    let calm = begin + i128::try_from(plan.quiet.as_nanos())?;
    let p99 = |from, to| latency::p99(&took, from, to, &entries.troubled);
    let p99 = p99(begin + WARMING, calm).zip(p99(calm, now())).map(|(before, after)| Compared { before, after });
    let stalls = stalls.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let busy = busy.lock().unwrap_or_else(PoisonError::into_inner).clone();
    fs::write(folder.file("tasks.csv"), busy::table(&busy))?;
    let whole = Duration::from_secs(u64::from(options.minutes) * 60);
    Ok(Report {
        minutes: options.minutes,
        seed,
        taken: (history.takeovers, history.handed_over),
        held: growth(&chaos.records.samples, whole),
        tasks: tasks(&busy, whole),
        recovered: recovered.ok(),
        entries,
        verdict,
        stalls,
        p99,
    })
}

/// A connection to each server, which goes nowhere else.
async fn clients(fleet: &Fleet) -> Result<Vec<Client>> {
    let mut clients = Vec::new();
    for url in fleet.cluster.urls() {
        clients.push(ConnectOptions::new().request_timeout(Some(ASKED)).connect(url).await?);
    }
    Ok(clients)
}

/// Waits until all modules have done what is there by now, and says how long that took; or who is behind after `patience`.
async fn caught_up(
    clients: &[Client],
    shared: &Shared,
    patience: Duration,
) -> Result<std::result::Result<Duration, String>> {
    let since = Instant::now();
    let last = eventually("a server that knows the last inputs", patience, async || {
        for client in clients {
            if let Ok(Ok(last)) = timeout(ASKED, follow::last_inputs(client)).await {
                return Ok(Some(last));
            }
        }
        Ok(None)
    })
    .await?;
    let behind = || {
        let covered = |module| shared.look().covered(module).unwrap_or_default();
        let behind = last.iter().map(|(module, last)| (module, covered(module), last));
        behind
            .filter(|(_, covered, last)| covered < last)
            .map(|(module, covered, last)| format!("{module} is at {covered} of {last}"))
            .collect::<Vec<_>>()
    };
    let waited = eventually("", patience, async || Ok(behind().is_empty().then_some(()))).await;
    Ok(match waited {
        Ok(()) => Ok(since.elapsed()),
        Err(_) => Err(format!("{} after {patience:?}", behind().join(", "))),
    })
}

/// Ends all hosts in good order. What they do not do as they should is wrong.
async fn ended(fleet: &mut Fleet) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for number in 0..HOSTS {
        let mut host = fleet.take_host(number)?.with_context(|| format!("host {number} does not run"))?;
        let ready = host.http().await?.get("/readyz").await?;
        if ready.status != 200 {
            wrong.push(format!("host {number} is not ready in the end: {}", ready.text()));
        }
        let status = host.terminate().await?;
        if !status.success() {
            wrong.push(format!("host {number} does not end as it should: {status}"));
        }
    }
    Ok(wrong)
}
