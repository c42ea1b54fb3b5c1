//! Real invoice lines through Pelton, with an independent count to check against. Run by `cargo xtask demo`.
#![allow(clippy::print_stdout, reason = "printing is what this tool does")]
#![allow(clippy::indexing_slicing, reason = "a tool for developers may end with a panic")]

mod catch_up;
mod folder;
mod keep;
mod latency;
mod options;
mod progress;
mod report;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use async_nats::Client;
use clap::Parser;
use folder::{Folder, Note};
use latency::Latency;
use options::Options;
use pelton_demo::{
    app, count,
    data::{self, Data},
    figures::{self, Figures},
    money, read,
    retail::{self, Retail},
    stored::{self, DeadLetter},
    supervise, table,
};
use pelton_tests::{Host, Server};
use progress::Progress;

/// Lines kept back for the steady phase, at 1,000 a second.
const STEADY: u64 = 5_000;
/// What the demo ends with when it could not do its work.
const FAILED: u8 = 2;
/// What a shell reports for a program ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

#[derive(Parser)]
#[command(name = "cargo xtask demo", bin_name = "cargo xtask demo")]
struct Command {
    #[command(flatten)]
    options: Options,
}

/// What a demo came to.
struct Outcome {
    figures: Figures,
    dead: Vec<DeadLetter>,
    /// Lines a second while catching up.
    rate: Option<u64>,
    latency: Option<Latency>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = run(Command::parse().options).await;
    outcome.unwrap_or_else(|error| {
        println!("error: {}", supervise::explain(&error));
        FAILED.into()
    })
}

/// Runs the demo. Whatever way it ends, server and host end with it.
async fn run(options: Options) -> Result<ExitCode> {
    let data = Data::open(options.data.as_deref())?;
    let folder = options.folder.clone().unwrap_or_else(|| root().join(".pelton/demo"));
    if options.check_only {
        return keep::check_again(&folder, &data).await;
    }
    let mut demo = tokio::select! {
        biased;
        outcome = story(&options, &folder, &data) => outcome?,
        outcome = supervise::interrupted() => {
            outcome?;
            println!("\nInterrupted. Run the same command again to go on.");
            return Ok(INTERRUPTED.into());
        }
    };
    if options.keep {
        println!("{}", keep::invitation(&demo.server, &demo.host, &demo.folder).await?);
        supervise::while_running(&mut demo.host, supervise::interrupted()).await?;
    }
    demo.host.terminate().await?;
    Ok(demo.code)
}

/// A demo that has come to its end, and still runs.
struct Demo {
    code: ExitCode,
    host: Host,
    server: Server,
    folder: Folder,
}

async fn story(options: &Options, folder: &Path, data: &Data) -> Result<Demo> {
    let (counted, messages) = count::count(data)?;
    let folder = Folder::take(folder)?;
    begin(&folder, data, options.fresh)?;

    let server = Server::start_in(&folder.store()).await?;
    let note = |finished| Note { data: data.digest.clone(), finished, nats: server.url() };
    folder.write(&note(false))?;
    let client = server.client().await?;
    let mut retail = Retail::open(client.clone()).await?;
    publish(&mut retail, data, messages - STEADY.min(messages / 2)).await?;

    let plugins = env::var_os("PELTON_PLUGINS").context("run this as `cargo xtask demo`")?;
    folder.make_token()?;
    fs::write(folder.config(), app::config(&server.url(), Path::new(&plugins)))?;
    let mut host = Host::start(&folder.config(), &folder.log())?;
    let outcome = supervise::while_running(&mut host, work(&client, &mut retail, data)).await?;
    print!("{}", report::report(&outcome));
    let (text, code) = report::verdict(&outcome.figures, &counted);
    println!("{text}");
    folder.write(&note(true))?;
    Ok(Demo { code, host, server, folder })
}

/// Clears the folder, unless an interrupted demo of the same data stands in it.
fn begin(folder: &Folder, data: &Data, fresh: bool) -> Result<()> {
    if !fresh && folder.interrupted(&data.digest)? {
        println!("Going on with the interrupted demo (--fresh starts clean).");
        return Ok(());
    }
    folder.clear()
}

/// Publishes the items up to the sequence `last`, from where the stream ends by now.
async fn publish(retail: &mut Retail, data: &Data, last: u64) -> Result<()> {
    let first = retail.last();
    if first >= last {
        return Ok(());
    }
    let mut progress = Progress::new("publish", first, last);
    for item in data.items()?.take(usize::try_from(last)?).skip(usize::try_from(first)?) {
        retail.publish(&item?).await?;
        progress.at(retail.last());
    }
    retail.flush().await?;
    progress.done();
    Ok(())
}

/// Lets the host catch up, measures the steady phase with the lines that are left, and reads what came of it.
async fn work(client: &Client, retail: &mut Retail, data: &Data) -> Result<Outcome> {
    let (covered, last) = (catch_up::lowest_covered(client).await?, retail.last());
    let mut progress = Progress::new("catch up", covered.min(last), last);
    let busy = catch_up::catch_up(client, last, |covered| progress.at(covered)).await?;
    let rate = busy.map(|busy| progress.done_in(busy));

    let rest: Vec<_> = data.items()?.skip(usize::try_from(last)?).collect::<Result<_>>()?;
    let latency = latency::measure(client, retail, &rest).await?;
    catch_up::catch_up(client, retail.last(), |_| ()).await?;
    let (figures, dead) = stored::read(client).await?;
    Ok(Outcome { figures, dead, rate, latency })
}

/// The root of the repository.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_path_buf()
}
