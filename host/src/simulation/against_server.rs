//! The model of the app stream held against a real nats-server: the same batches to both, by the host's own publisher, give
//! the same outcomes and leave the same behind.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{Context, stream::Config};
use bytes::Bytes;
use pelton_tests::{Server, eventually};
use tokio::sync::watch;

use super::module::subjects;
use super::random::Random;
use super::stream::{Stream, value};
use crate::commit::app_stream;
use crate::commit::batch::{Outcome, Publisher};
use crate::commit::committer::replacing;
use crate::commit::read::{Reader, is_deletion};
use crate::effects::{GUARD, Outgoing};
use crate::event::Sequence;

/// The server's own limit.
const BATCH: usize = 1_000;

/// How long the mark of an expiry stays where one is waited for.
const MARK: Duration = Duration::from_secs(6);

/// A real stream, and the model beside it.
struct Both {
    _server: Server,
    context: Context,
    publisher: Publisher,
    reader: Reader,
    model: Stream,
}

impl Both {
    async fn start() -> Self {
        let server = Server::start().await.unwrap();
        let context = async_nats::jetstream::new(server.client().await.unwrap());
        let reader = app_stream::create(&context, &subjects(), 1).await.unwrap();
        let (_, denied) = watch::channel(String::new());
        let publisher = Publisher::new(server.client().await.unwrap(), denied);
        Self { _server: server, context, publisher, reader, model: Stream::new(BATCH) }
    }

    /// Sends a batch to both. Gives what came of it.
    async fn send(&mut self, batch: &[Outgoing]) -> Outcome {
        let real = self.publisher.publish(batch).await;
        let modelled = self.model.store(batch);
        assert_eq!(class(&real), class(&modelled), "{real:?} and {modelled:?} for {}", shown(batch));
        real
    }

    /// Both hold the same on each of these subjects.
    async fn compare(&self, subjects: &[Arc<str>]) {
        for subject in subjects {
            let real = self.reader.last(subject).await.unwrap();
            let real = real.map(|real| (real.sequence, (!is_deletion(&real.headers)).then_some(real.payload)));
            let modelled = self.model.get(subject, 0).map(|kept| (kept.revision.0, value(&kept.value)));
            assert_eq!(real, modelled, "on {subject}");
        }
    }
}

/// What the committer tells outcomes apart by.
fn class(outcome: &Outcome) -> (&'static str, u64) {
    match outcome {
        Outcome::Committed(last) => ("committed", last.0),
        Outcome::GuardRejected => ("guard rejected", 0),
        Outcome::Ambiguous(_) => ("ambiguous", 0),
        Outcome::Refused(_) => ("refused", 0),
        Outcome::Unavailable(..) => ("unavailable", 0),
    }
}

fn shown(batch: &[Outgoing]) -> String {
    let messages = batch.iter().take(20).map(|message| format!("\n  {} {:?}", message.subject, message.headers));
    messages.collect()
}

fn message(subject: &str, headers: &[(&'static str, &str)]) -> Outgoing {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).into(), (*value).to_owned())).collect();
    Outgoing { subject: subject.into(), headers: headers.into(), payload: "x".into() }
}

const SUB: (&str, &str) = ("Nats-Rollup", "sub");
const A: &str = "$KV.shop.v.1.a";
const B: &str = "$KV.shop.v.1.b";

#[tokio::test(flavor = "multi_thread")]
async fn the_model_takes_and_refuses_what_the_server_does() {
    let mut both = Both::start().await;
    let empty = Outgoing { payload: Bytes::new(), ..message(A, &[SUB]) };
    let script = [
        ("one message", vec![message(A, &[])], "committed"),
        ("a right guard and a rollup", vec![message(A, &[SUB, (GUARD, "1")])], "committed"),
        ("a stale guard", vec![message(A, &[SUB, (GUARD, "1")])], "guard rejected"),
        ("a guard on what was never written", vec![message(B, &[(GUARD, "0")])], "committed"),
        ("a guard of the future", vec![message(B, &[(GUARD, "99")])], "guard rejected"),
        (
            "one of two guards is stale",
            vec![message(A, &[(GUARD, "2")]), message(B, &[(GUARD, "1")])],
            "guard rejected",
        ),
        ("two right guards", vec![message(A, &[SUB, (GUARD, "2")]), message(B, &[SUB, (GUARD, "3")])], "committed"),
        ("a guard on a second write", vec![message(A, &[]), message(A, &[(GUARD, "4")])], "guard rejected"),
        ("a rollup of a second write", vec![message(A, &[SUB]), message(A, &[SUB])], "refused"),
        ("a second write without either", vec![message(A, &[SUB]), message(A, &[])], "committed"),
        ("a time to live", vec![message(A, &[("Nats-TTL", "1h")])], "committed"),
        ("no time to live", vec![message(A, &[("Nats-TTL", "soon")])], "refused"),
        (
            "a bad time behind a stale guard",
            vec![message(B, &[(GUARD, "1")]), message(A, &[("Nats-TTL", "soon")])],
            "guard rejected",
        ),
        (
            "a stale guard behind a bad time",
            vec![message(A, &[("Nats-TTL", "soon")]), message(B, &[(GUARD, "1")])],
            "refused",
        ),
        ("both of one message", vec![message(A, &[(GUARD, "1"), ("Nats-TTL", "soon")])], "refused"),
        ("a stale guard on a bad rollup", vec![message(A, &[]), message(A, &[SUB, (GUARD, "1")])], "guard rejected"),
        ("nothing in it", vec![empty], "committed"),
        ("a deletion", vec![message(A, &[SUB, ("KV-Operation", "DEL")])], "committed"),
        ("what was never written, though it was", vec![message(A, &[(GUARD, "0")])], "guard rejected"),
    ];
    for (name, batch, expected) in script {
        assert_eq!(class(&both.send(&batch).await).0, expected, "{name}");
        both.compare(&[A.into(), B.into()]).await;
    }
    let guard = both.model.revision(A).to_string();
    assert_eq!(class(&both.send(&[message(A, &[(GUARD, &guard)])]).await).0, "committed", "behind a deletion");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_bounds_a_batch_as_the_server_does() {
    let mut both = Both::start().await;
    let batch = |messages| (0..messages).map(|at| message(&format!("{A}{at}"), &[SUB])).collect::<Vec<_>>();
    for (messages, expected) in [(BATCH, "committed"), (BATCH + 1, "refused"), (BATCH - 1, "committed")] {
        assert_eq!(class(&both.send(&batch(messages)).await).0, expected, "{messages}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_leaves_the_mark_of_an_expiry_that_the_server_does() {
    let mut both = Both::start().await;
    // The server raises a shorter time to live to that of the mark, which is a day.
    let config = Config { subject_delete_marker_ttl: Some(MARK), ..both.reader.info().config.clone() };
    both.context.update_stream(config).await.unwrap();
    let (subject, reader) = (Arc::from(A), both.reader.clone());
    both.send(&[message(A, &[SUB, ("Nats-TTL", "1s")])]).await;
    eventually("the mark of an expiry", Duration::from_secs(60), async || {
        let last = reader.last(A).await?;
        Ok(last.filter(|last| is_deletion(&last.headers)).map(drop))
    })
    .await
    .unwrap();
    both.model.expire(&subject);
    both.compare(&[subject]).await;
    for (guard, expected) in [("0", "guard rejected"), ("1", "guard rejected"), ("2", "committed")] {
        assert_eq!(class(&both.send(&[message(A, &[(GUARD, guard)])]).await).0, expected, "{guard}");
    }
}

/// Batches as committers send them, and worse: several checkpoints, guards that hold or not, writes of one subject in many
/// ways.
fn random_batch(model: &Stream, random: &mut Random, subjects: &[Arc<str>]) -> Vec<Outgoing> {
    let length = 1 + random.index(8);
    let errs = random.pick(&[0, 0, 3, 20]);
    let mut batch = Vec::new();
    for _ in 0..length {
        let subject = random.pick(&subjects.iter().collect::<Vec<_>>()).clone();
        let is_written = batch.iter().any(|message: &Outgoing| message.subject == subject);
        if is_written && !random.percent(errs) {
            continue;
        }
        let revision = model.revision(&subject).0;
        let guard = if random.percent(errs) { random.below(revision + 2) } else { revision };
        let payload = random.below(1_000).to_string();
        let mut one = match random.below(4) {
            0 => Outgoing { payload: payload.into(), ..message(&subject, &[]) },
            1 => Outgoing { payload: payload.into(), ..message(&subject, &[SUB]) },
            2 => Outgoing { payload: Bytes::new(), ..message(&subject, &[SUB, ("KV-Operation", "DEL")]) },
            _ => replacing(&subject, payload.into_bytes(), Sequence(guard)),
        };
        if random.percent(errs / 3) {
            one.push("Nats-TTL", random.pick(&["1h", "90", "never", "soon", "0s", "5m", "2d"]).to_owned());
        }
        batch.push(one);
    }
    batch
}

#[tokio::test(flavor = "multi_thread")]
async fn random_batches_come_to_the_same_in_model_and_server() {
    let mut both = Both::start().await;
    let again = std::env::var("PELTON_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = again.unwrap_or_else(pelton_tests::seed);
    println!("PELTON_SEED={seed} repeats this");
    let mut random = Random::new(seed);
    let checkpoints = (0..4).map(|lane| Arc::from(format!("pelton.shop.ckpt.m.1.{lane}")));
    let subjects: Vec<Arc<str>> = checkpoints.chain([A, B, "pelton.shop.events.m.k"].map(Arc::from)).collect();
    let mut classes = std::collections::BTreeMap::new();
    for _ in 0..1_500 {
        let batch = random_batch(&both.model, &mut random, &subjects);
        *classes.entry(class(&both.send(&batch).await).0).or_insert(0) += 1;
    }
    both.compare(&subjects).await;
    println!("{classes:?}");
    assert!(["committed", "guard rejected", "refused"].iter().all(|class| classes.contains_key(class)), "{classes:?}");
}
