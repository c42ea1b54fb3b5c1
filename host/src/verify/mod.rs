//! Verifies what is stored of a module: runs a range of its inputs again and says whether the stored effects are those that
//! the plugin gives, taking recorded swaps, replays and changes of lanes at their places. Writes nothing.
//!
//! [`history`], [`values`] and [`judge`] decide and know no I/O; [`walk`] goes through the inputs, [`rerun`] runs them, [`read`]
//! and [`views`] read what is stored.

mod history;
mod judge;
mod read;
pub mod report;
mod rerun;
mod values;
mod views;
mod walk;

use std::path::PathBuf;

use self::history::History;
use self::report::{Kind, Report, short};
use self::rerun::{Rerun, text};
use self::values::Values;
use self::views::Views;
use self::walk::{State, Walk};
use crate::commit::checkpoint::{Checkpoint, Stored};
use crate::commit::read as stored;
use crate::commit::record::Record;
use crate::config::{Config, From, Module};
use crate::effects::{Bounds, Origin};
use crate::event::Sequence;
use crate::query::{self, Query};
use crate::route::Filter;
use crate::source::range::Range;
use crate::source::{self, InputStream, Routing};
use crate::traces::Ratio;

/// Why nothing could be verified.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(transparent)]
    Query(#[from] query::Error),
    #[error(transparent)]
    Input(#[from] source::Error),
    #[error(transparent)]
    Read(#[from] stored::Error),
    #[error(transparent)]
    Plugin(#[from] rerun::Error),
    #[error("module {0:?} has no checkpoints: it never ran")]
    Never(String),
    #[error(
        "module {module:?} has one lane, so that inputs of any key may change what others read: verify all of them, without --key"
    )]
    OneLane { module: String },
    #[error(
        "module {module:?} began with what was new at that time (from = \"new\"), and where that was is not stored: say with \
         which input to begin, with --from, and --empty if it was the module's first one"
    )]
    Beginning { module: String },
    #[error("stream {stream} holds at {sequence} on {subject} something else than Pelton wrote: {cause}")]
    Malformed { stream: String, sequence: Sequence, subject: String, cause: String },
}

/// What is to be verified.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// From this input on; else from the module's beginning.
    pub from: Option<Sequence>,
    /// Whether views were empty there: the module began with it.
    pub empty: bool,
    /// Up to this input; else as far as the module is.
    pub to: Option<Sequence>,
    /// Only inputs of this key.
    pub key: Option<String>,
    /// Plugins that ran earlier.
    pub plugins: Vec<PathBuf>,
    /// The most differences that are told one by one.
    pub most: usize,
}

/// Where a verification begins.
struct Begin {
    behind: Sequence,
    /// Nothing before this position of the app stream counts.
    since: Sequence,
    empty: bool,
    has_holes: bool,
}

/// Verifies `module` of the app that `query` reads.
pub async fn verify(
    query: &Query,
    max_payload: usize,
    (config, module): (&Config, &Module),
    wish: &Wish,
) -> Result<Report, Error> {
    let record = query.record(&module.name).await?;
    let is_bound = record.lanes > 1 && record.scaled.iter().all(|before| before.lanes > 1);
    if wish.key.is_some() && !is_bound {
        return Err(Error::OneLane { module: module.name.to_string() });
    }
    // What the checkpoints cover is stored by the time that the end of the app stream is read, and so are the replays of
    // dead letters that are not there any more.
    let checkpoints = read::checkpoints(query, &record).await?;
    let name = query.subjects().stream();
    let letters = read::letters(query, &record, &query.stream(&name).await?).await?;
    let app = query.stream(&name).await?;
    let (end, stream) = (app.last(), query.stream(&record.stream).await?);
    for checkpoint in &checkpoints {
        stream.recognise(&checkpoint.value).await?;
    }
    let plugins = rerun::load(module, wish.plugins.iter().map(PathBuf::as_path))?;
    let digests: Vec<String> = plugins.iter().map(|plugin| plugin.digest.clone()).collect();
    let history = History::of(&record, &read::audit(query, &app, end).await?, &digests);
    let mut report = Report { module: module.name.to_string(), stream: record.stream.clone(), ..Report::default() };
    let begin = begin(config, module, &stream, &history, wish, &mut report).await?;
    let reached = reached(&record, &checkpoints);
    let to = wish.to.map_or(reached, |to| to.min(reached));
    (report.behind, report.to) = (begin.behind, to);
    if record.edition.settings != module.settings() {
        report.notes.push("the config's settings of the module are not those that it runs with".to_owned());
    }
    let mut module = module.clone();
    module.grants.many_lanes = is_bound;
    let origin = origin(query, &module, &record, &stream, config.traces.ratio);
    let bounds = Bounds::new(max_payload, config.stream.batch);
    let first = match module.dedupe {
        Some(window) => stream.history(begin.behind, window).await?.sequence,
        None => begin.behind,
    };
    let routing = Routing::of_record(&record);
    let walk = Walk {
        rerun: Rerun::new(&module, plugins, origin, bounds, Values::new(is_bound, begin.empty)),
        inputs: Range::open(stream.clone(), Filter::texts(&record.filters), first, to).await?,
        events: Range::open(app.clone(), vec![query.subjects().all_events()], begin.since, end).await?,
        source: format!("pelton/{}/{}", query.app(), module.name),
        behind: begin.behind,
        to,
        covered: checkpoints.iter().map(|stored| stored.value.covered).collect(),
        scaled: record.scaled.clone(),
        has_holes: begin.has_holes,
        dedupe: module.dedupe,
        key: wish.key.clone(),
        most: wish.most,
        state: State::default(),
        routing,
        history,
        letters,
        stream,
        report,
    };
    let (mut report, rerun) = walk.run().await?;
    if to < reached {
        let note = "values of views are those of today, and were not compared: the module is further than --to";
        report.notes.push(note.to_owned());
    } else {
        let (key, most) = (wish.key.as_deref(), wish.most);
        let mut values = std::mem::replace(&mut *rerun.values(), Values::new(false, true));
        let views = Views { query, stream: &app, record: &record, checkpoints: &checkpoints, key, most };
        views.compare(&mut values, &mut report).await?;
    }
    show(&app, &mut report).await?;
    Ok(report)
}

/// What the effects of the module's inputs are named by.
fn origin(query: &Query, module: &Module, record: &Record, stream: &InputStream, ratio: Ratio) -> Origin {
    Origin {
        subjects: query.subjects().clone(),
        app: query.app().clone(),
        module: module.name.clone(),
        stream: stream.name().to_owned(),
        created: stream.created(),
        generation: record.generation,
        ratio,
    }
}

/// The last input that any lane has done, of those that there are or were before.
fn reached(record: &Record, checkpoints: &[Stored<Checkpoint>]) -> Sequence {
    let now = checkpoints.iter().map(|stored| stored.value.covered);
    now.chain(record.scaled.iter().flat_map(|before| before.covered.iter().copied())).max().unwrap_or_default()
}

/// Where to begin, and what can be known of the views there.
async fn begin(
    config: &Config,
    module: &Module,
    stream: &InputStream,
    history: &History,
    wish: &Wish,
    report: &mut Report,
) -> Result<Begin, Error> {
    let before = |sequence: Sequence| Sequence(sequence.0.saturating_sub(1));
    let since = history.reset.as_ref().map_or(Sequence(0), |reset| reset.since);
    let (first, was_empty) = match (&history.reset, module.from) {
        (Some(reset), _) => (Some(reset.behind), reset.anew),
        (None, From::New) => (None, false),
        // Where it began, whatever its stream has lost since.
        (None, From::First) => (Some(Sequence(0)), true),
        (None, From::Sequence(first)) => (Some(before(first)), true),
        (None, from @ From::Time(_)) => (Some(stream.start(from).await?.sequence), true),
    };
    let asked = wish.from.map(before);
    let Some(mut behind) = first.max(asked) else {
        return Err(Error::Beginning { module: module.name.to_string() });
    };
    let mut empty = wish.empty || (was_empty && first == Some(behind));
    let is_app = *stream.name() == crate::subject::Subjects::new(&config.app).stream();
    let state = &stream.info().state;
    if !is_app && before(Sequence(state.first_sequence)) > behind {
        behind = before(Sequence(state.first_sequence));
        report.notes.push(format!("stream {} holds no inputs before {}", stream.name(), state.first_sequence));
        empty = wish.empty;
    }
    let has_holes = if is_app {
        config.modules.iter().flat_map(|module| module.grants.emits.values()).any(Option::is_some)
    } else {
        state.messages < (state.last_sequence + 1).saturating_sub(state.first_sequence)
    };
    if has_holes {
        report.notes.push(format!(
            "messages were removed from the middle of stream {}, or may have been: inputs that read views are not verified \
             behind such a gap",
            stream.name()
        ));
    }
    if !empty {
        let note = format!(
            "what views held before input {} is not known: inputs that read it cannot be verified",
            behind.next()
        );
        report.notes.push(note);
    }
    Ok(Begin { behind, since, empty, has_holes })
}

/// Reads what is to be shown of the differences.
async fn show(app: &InputStream, report: &mut Report) -> Result<(), Error> {
    for difference in report.differences.iter_mut().filter(|difference| difference.stored.is_empty()) {
        let Some(at) = difference.at else { continue };
        let message = app.message(at).await?;
        difference.stored = match (message, difference.kind) {
            (None, _) => "nothing any more".to_owned(),
            (Some(message), Kind::DeadLetter) => format!("the dead letter on {}", message.subject),
            (Some(message), Kind::Event | Kind::Value) => {
                format!("{} {}", message.subject, short(&text(&message.payload)))
            }
        };
    }
    Ok(())
}
