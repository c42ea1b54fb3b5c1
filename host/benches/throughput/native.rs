//! The native side: one task that reads, works and gathers, and one batch in flight.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use async_nats::jetstream;
use pelton::cloudevents;
use pelton::commit::app_stream;
use pelton::commit::batch::{Outcome, Publisher};
use pelton::commit::checkpoint::{Checkpoint, NEVER_WRITTEN};
use pelton::commit::committer::checkpoint_message;
use pelton::effects::{Origin, Outgoing};
use pelton::event::{Mark, Message, Sequence};
use pelton::source::{InputStream, reader};
use pelton::subject::{Generation, Name, Subjects};
use pelton::traces::Ratio;
use pelton_tests::Server;
use time::OffsetDateTime;
use tokio::task::JoinHandle;

use crate::effects::Effects;
use crate::gather::Gathered;
use crate::load::Load;
use crate::measure::{Run, Side, Watch, cpu, last_effect};
use crate::work::Module;

/// The server's limit.
const BATCH: usize = 1_000;
/// The most messages that one input of any load gives, over all modules.
const MOST: usize = 10;
/// Where all begin.
const START: Mark = Mark { sequence: Sequence(0), fingerprint: None };

/// Runs `load` as `app` to its end.
pub async fn run(server: &Server, load: &Load, app: &str, inputs: u64) -> Result<Run> {
    let mut pipeline = Pipeline::open(server, load, app).await?;
    pipeline.begin().await?;
    let watch = Watch::start(server, app, load.modules.len(), inputs).await?;
    let (begin, before) = (OffsetDateTime::now_utc(), cpu(std::process::id())?);
    tokio::spawn(pipeline.run(Sequence(inputs))).await??;
    let cpu = cpu(std::process::id())?.saturating_sub(before);
    let batches = watch.finished().await?;
    let end = last_effect(server, app).await?;
    Ok(Run { inputs, time: end - begin, cpu, batches, peak: None })
}

struct Pipeline {
    input: InputStream,
    publisher: Publisher,
    modules: Vec<Running>,
    gathered: Gathered,
    last: Option<Arc<Message>>,
}

/// A module and how far it is.
struct Running {
    module: &'static Module,
    origin: Origin,
    checkpoint: Checkpoint,
    subject: Arc<str>,
    guard: Sequence,
}

/// A batch on its way.
struct Sent {
    messages: Vec<Outgoing>,
    written: Vec<Arc<str>>,
}

impl Pipeline {
    async fn open(server: &Server, load: &Load, app: &str) -> Result<Self> {
        let app: Name = app.parse()?;
        let subjects = Subjects::new(&app);
        let context = jetstream::new(server.client().await?);
        app_stream::create(&context, &subjects, 1).await?;
        let input = InputStream::open(&context, &load.stream(Side::Native)).await?;
        let (stream, created) = (input.name().to_owned(), input.created());
        let running = |module: &'static Module| -> Result<Running> {
            let (name, checkpoint): (Name, _) = (module.name.parse()?, Checkpoint::start(&stream, &created, START));
            let subject = subjects.checkpoint(&name, Generation::default(), 0).into();
            let (subjects, stream, created) = (subjects.clone(), stream.clone(), created.clone());
            let generation = Generation::default();
            let origin = Origin {
                subjects,
                app: app.clone(),
                module: name,
                stream,
                created,
                generation,
                ratio: Ratio::default(),
            };
            Ok(Running { module, origin, checkpoint, subject, guard: NEVER_WRITTEN })
        };
        let modules = load.modules.iter().map(running).collect::<Result<_>>()?;
        let publisher = Publisher::new(server.client().await?, tokio::sync::watch::channel(String::new()).1);
        Ok(Self { input, publisher, modules, gathered: Gathered::default(), last: None })
    }

    /// Writes the first checkpoints, as Pelton does when it takes its lanes over.
    async fn begin(&mut self) -> Result<()> {
        let checkpoints = self.modules.iter().map(|it| checkpoint_message(&it.subject, &it.checkpoint, it.guard));
        let sent = Sent { messages: checkpoints.collect(), written: Vec::new() };
        let (sent, outcome) = publish(self.publisher.clone(), sent).await;
        self.landed(&sent, outcome)
    }

    async fn run(mut self, end: Sequence) -> Result<()> {
        let mut reader = reader::spawn(self.input.clone(), Vec::new(), START);
        let (mut received, mut waiting) = (Vec::new(), VecDeque::new());
        let mut flight: Option<JoinHandle<(Sent, Outcome)>> = None;
        loop {
            while self.has_room()
                && let Some(message) = waiting.pop_front()
            {
                self.work(message)?;
            }
            if flight.is_none() {
                match self.seal() {
                    Some(sent) => flight = Some(tokio::spawn(publish(self.publisher.clone(), sent))),
                    None if self.modules.iter().all(|it| it.checkpoint.covered >= end) => return Ok(()),
                    None => {}
                }
            }
            tokio::select! {
                biased;
                landed = finish(&mut flight) => {
                    flight = None;
                    let (sent, outcome) = landed?;
                    self.landed(&sent, outcome)?;
                }
                count = reader.recv_many(&mut received, 256), if waiting.is_empty() => {
                    ensure!(count > 0, "the reader has ended");
                    for item in received.drain(..) {
                        if let reader::Item::Message(read) = item? {
                            waiting.push_back(read.message);
                        }
                    }
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        self.gathered.len() + MOST + self.modules.len() <= BATCH
    }

    fn work(&mut self, message: Arc<Message>) -> Result<()> {
        let event = cloudevents::decode(self.input.name(), &message)?;
        for Running { module, origin, .. } in &self.modules {
            let mut effects = Effects::new(origin, &event, message.sequence, &mut self.gathered);
            let done = (module.run)(&event, &message.subject, &mut effects);
            done.with_context(|| format!("{} at {}", module.name, message.sequence))?;
        }
        self.last = Some(message);
        Ok(())
    }

    /// What has gathered, with the checkpoints behind it.
    fn seal(&mut self) -> Option<Sent> {
        let last = self.last.take()?;
        let mark = Mark { sequence: last.sequence, fingerprint: Some(last.fingerprint()) };
        let (mut messages, written) = self.gathered.take();
        for it in &mut self.modules {
            it.checkpoint = it.checkpoint.advanced(Some(last.sequence), mark);
            messages.push(checkpoint_message(&it.subject, &it.checkpoint, it.guard));
        }
        Some(Sent { messages, written })
    }

    fn landed(&mut self, sent: &Sent, outcome: Outcome) -> Result<()> {
        let Outcome::Committed(last) = outcome else { bail!("a batch was not committed: {outcome:?}") };
        let checkpoints = last.0 + 1 - self.modules.len() as u64;
        for (it, at) in self.modules.iter_mut().zip(checkpoints..) {
            it.guard = Sequence(at);
        }
        self.gathered.stored(&sent.written, checkpoints - sent.written.len() as u64);
        Ok(())
    }
}

async fn publish(publisher: Publisher, sent: Sent) -> (Sent, Outcome) {
    let outcome = publisher.publish(&sent.messages).await;
    (sent, outcome)
}

/// Waits for the batch in flight; for ever if there is none.
async fn finish(flight: &mut Option<JoinHandle<(Sent, Outcome)>>) -> Result<(Sent, Outcome)> {
    match flight {
        Some(handle) => Ok(handle.await?),
        None => std::future::pending().await,
    }
}
