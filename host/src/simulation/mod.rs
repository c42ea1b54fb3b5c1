//! Several hosts in one world, run by a seed: real [`Members`](crate::ownership::members::Members),
//! [`Claims`](crate::ownership::claims::Claims), [`Committer`](crate::commit::committer::Committer),
//! [`Lane`](crate::lane::Lane), [`Views`](crate::lane::views::Views) and [`policy`](crate::policy) against models of the
//! app stream, the input stream and the hosts' bucket. A seed is one run, exactly.
//!
//! [`world`] picks what happens next; [`faults`] is what goes wrong. [`host`], [`taking`], [`committing`] and [`member`]
//! are the shells around the state machines: thin, and with no waiting, since the scheduler decides when an answer comes.
//! [`oracle`] judges each batch as it is stored. [`stream`] is the model of the app stream, which [`against_server`] holds
//! to a real one. [`bug`] breaks the shells on purpose, to see that the oracle notices.

mod against_server;
mod beats;
mod bucket;
mod bug;
mod committing;
mod env;
mod faults;
mod host;
mod inputs;
mod member;
mod module;
mod oracle;
mod random;
mod seeds;
mod server;
mod stream;
mod taking;
mod trace;
mod world;

use self::trace::Trace;

/// What must not be, and was.
#[derive(Debug)]
struct Violation(String);

/// A run that is over.
struct Run {
    trace: Trace,
    violation: Option<Violation>,
}
