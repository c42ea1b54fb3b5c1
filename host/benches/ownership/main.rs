//! What ownership costs the server: heartbeats of hosts and checkpoints of lanes. Run by `cargo xtask bench ownership`.
//!
//! Real hosts run an app that has nothing to do, on one server and on a cluster of three that all hold all streams: first
//! without any input, where there is nothing but heartbeats, then with ten inputs a second for one key, which let all lanes
//! advance once a second. Beside each stand the same servers without hosts. Said are the messages that are stored, their bytes,
//! and the processor time of all servers.
#![allow(clippy::print_stdout, reason = "printing is what a bench does")]

mod watch;

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser;
use pelton_tests::{App, Cluster, Host, LONG, eventually, stored};
use tokio::time::{Instant, interval, sleep};

use self::watch::{Stored, stored_for};

/// The time between two inputs, where there are any.
const PACE: Duration = Duration::from_millis(100);

/// Measures what heartbeats and checkpoints cost the server.
#[derive(Parser)]
#[command(name = "cargo xtask bench ownership", bin_name = "cargo xtask bench ownership")]
struct Options {
    /// How long each measurement takes
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Modules of the app
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    modules: u16,
    /// Lanes of each module
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
    lanes: Vec<u16>,
    /// Hosts
    #[arg(long, value_delimiter = ',', default_value = "1,3")]
    hosts: Vec<usize>,
    /// What cargo passes to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    println!("servers  hosts  modules x lanes  inputs/s  messages/s  batches/s    KiB/s  server CPU");
    for hosts in &options.hosts {
        for lanes in &options.lanes {
            let app = App::new(&modules(1, options.modules, *lanes)).await?;
            let servers = vec![app.server.id()];
            measure(&options, &app, &servers, 1, *hosts, *lanes).await?;
            let app = App::<Cluster>::on_cluster(&modules(3, options.modules, *lanes)).await?;
            let servers = app.server.processes();
            measure(&options, &app, &servers, 3, *hosts, *lanes).await?;
        }
    }
    Ok(())
}

fn modules(replicas: usize, modules: u16, lanes: u16) -> String {
    let module = |number: u16| {
        format!(
            "[modules.m{number}]\nplugin = \"probe.wasm\"\ninput = {{ stream = \"IN\" }}\nkey = {{ token = 2 }}\n\
             lanes = {lanes}\n"
        )
    };
    format!("stream = {{ replicas = {replicas} }}\n") + &(0..modules).map(module).collect::<String>()
}

async fn measure<S>(
    options: &Options,
    app: &App<S>,
    servers: &[u32],
    replicas: usize,
    count: usize,
    lanes: u16,
) -> Result<()> {
    let window = Duration::from_secs(options.seconds);
    let config = async_nats::jetstream::stream::Config {
        name: "IN".into(),
        subjects: vec!["in.>".into()],
        num_replicas: replicas,
        ..Default::default()
    };
    app.jetstream().create_stream(config).await?;
    let before = busy(servers, window, sleep(window)).await?;
    let show = |hosts: usize, inputs: &str, stored: Stored, cpu: f64| {
        let per = |count: u64| count as f64 / options.seconds as f64;
        println!(
            "{:>7}  {hosts:>5}  {:>15}  {inputs:>8}  {:>10.1}  {:>9.1}  {:>7.1}  {:>8.2} %",
            servers.len(),
            format!("{} x {lanes}", options.modules),
            per(stored.messages),
            per(stored.batches),
            per(stored.bytes) / 1024.0,
            cpu * 100.0
        );
    };
    show(0, "0", Stored::default(), before);

    let hosts: Vec<Host> = (0..count).map(|host| app.host_called(&format!("host-{host}"))).collect::<Result<_>>()?;
    shared(app, options.modules, lanes, count).await?;
    let cpu = busy(servers, window, sleep(window)).await?;
    show(count, "0", stored_for(&app.client, window, sleep(window)).await?, cpu);
    let cpu = busy(servers, window, trickle(app, window)).await?;
    show(count, "10", stored_for(&app.client, window, trickle(app, window)).await?, cpu);
    drop(hosts);
    Ok(())
}

/// Waits until all hosts have lanes, and all lanes hosts.
async fn shared<S>(app: &App<S>, modules: u16, lanes: u16, hosts: usize) -> Result<()> {
    eventually("the lanes to be shared", LONG, async || {
        let mut owners = std::collections::BTreeSet::new();
        for module in 0..modules {
            let checkpoints = stored::checkpoints(app, &format!("m{module}"), lanes).await.unwrap_or_default();
            if checkpoints.len() < usize::from(lanes) || checkpoints.iter().any(|lane| lane.owner.is_none()) {
                return Ok(None);
            }
            owners.extend(checkpoints.into_iter().map(|lane| lane.owner));
        }
        // With few lanes some hosts have none.
        Ok((owners.len() == hosts || usize::from(lanes) < 4 * hosts).then_some(()))
    })
    .await
    .with_context(|| app.log_end())
}

/// Publishes ten inputs a second for one key.
async fn trickle<S>(app: &App<S>, time: Duration) {
    let (end, mut pace) = (Instant::now() + time, interval(PACE));
    while Instant::now() < end {
        pace.tick().await;
        // One that is lost is nine that are not.
        app.publish("in.a", "[]").await.ok();
    }
}

/// What part of a processor these processes took while `meanwhile` went on.
async fn busy(processes: &[u32], time: Duration, meanwhile: impl Future<Output = ()>) -> Result<f64> {
    let before = processes.iter().map(|process| cpu(*process)).sum::<Result<Duration>>()?;
    meanwhile.await;
    let after = processes.iter().map(|process| cpu(*process)).sum::<Result<Duration>>()?;
    Ok((after - before).as_secs_f64() / time.as_secs_f64())
}

/// The time that a process has been on a processor, as Linux counts it: in ticks of 10 ms.
fn cpu(process: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(Duration::from_millis(10 * ticks))
}
