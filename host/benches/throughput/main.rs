//! Pelton beside a native pipeline that does the same work without WebAssembly. Run by `cargo xtask bench`.
//!
//! The same on both sides:
//! - the input: a stream each, on one server, published before the rounds begin;
//! - reader, envelope codec and batch publisher, which are the `pelton` library's, on two connections;
//! - the effects: events with the same headers, view writes that replace each other within a batch and are guarded if
//!   they build on what was read, guarded checkpoints, up to 1,000 messages a batch, one batch in flight, into which
//!   goes whatever gathered while the last one was on its way;
//! - the work: each module parses the payload, and reads and writes its view's value as JSON, once for each input.
//!
//! What differs: the native side calls functions where Pelton calls guests, has one lane a module (one checkpoint, one
//! thread for all) where Pelton has four, keeps all views in memory without a limit, and checks neither grants nor
//! sizes. It takes keys from the parsed payload, where Pelton evaluates the module's key expression.
//!
//! The clock runs from the moment a side begins to read (Pelton: its log line `running`, with plugins compiled and
//! lanes taken over) to the time at which the server stored its last effect. Both are checked afterwards for having
//! left the same views and as many events. Processor time is that of Pelton's process, and of the bench's own for the
//! native side.
#![allow(clippy::print_stdout, reason = "printing is what a bench does")]

mod effects;
mod gather;
mod load;
mod measure;
mod native;
mod options;
mod pelton_side;
mod report;
mod work;

use anyhow::{Context, Result, ensure};
use async_nats::jetstream;
use clap::Parser;
use pelton_tests::Server;

use self::load::Load;
use self::measure::{Left, Run, Side};
use self::options::Options;

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let server = Server::start().await?;
    for load in options.loads()? {
        let title = format!("{}, {} inputs", load.title, options.inputs);
        for side in Side::BOTH {
            load.publish(&server, side, options.inputs).await.with_context(|| format!("publish {}", load.name))?;
        }
        let mut rounds = Vec::new();
        for number in 1..=options.rounds {
            rounds.push(round(&server, &load, &options, number).await?);
        }
        println!("{}", report::table(&title, &rounds));
    }
    Ok(())
}

/// One run of each side, in turns who is first: what the native side and Pelton came to.
async fn round(server: &Server, load: &Load, options: &Options, number: u32) -> Result<[Run; 2]> {
    let native = async || run(server, load, options, Side::Native, number).await;
    let pelton = async || run(server, load, options, Side::Pelton, number).await;
    let ((native, by_native), (pelton, by_pelton)) = if number.is_multiple_of(2) {
        let pelton = pelton().await?;
        (native().await?, pelton)
    } else {
        (native().await?, pelton().await?)
    };
    ensure!(by_native.events == by_pelton.events, "{} events against {}", by_native.events, by_pelton.events);
    ensure!(by_native.views == by_pelton.views, "round {number}: the two sides left different views");
    ensure!(!by_native.views.is_empty(), "round {number}: nothing was written");
    Ok([native, pelton])
}

async fn run(server: &Server, load: &Load, options: &Options, side: Side, number: u32) -> Result<(Run, Left)> {
    let app = format!("{}-{}-{number}", side.name(), load.name);
    let run = match side {
        Side::Native => native::run(server, load, &app, options.inputs).await?,
        Side::Pelton => pelton_side::run(server, load, &app, options.inputs).await?,
    };
    println!("{}", report::line(number, side, &run));
    let context = jetstream::new(server.client().await?);
    let left = measure::left(&context, &app).await?;
    // What is over must not weigh on the server in the rounds to come.
    context.delete_stream(format!("KV_{app}")).await?;
    Ok((run, left))
}
