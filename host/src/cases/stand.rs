//! The stand that a plugin is tested on: what its module grants it, and the views that a case gives it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use pelton_cases::{Answer, Case, Emitted, When, Written, defaults};

use super::{Answered, Place, Tested};
use crate::commit::checkpoint::{NEVER_WRITTEN, Stored};
use crate::config::{Config, Limits, Module};
use crate::effects::{self, Bounds, Effects, Grants, Origin, Violation};
use crate::event::{Event, Sequence};
use crate::guest::{Call, Plugin, Rate, Setting};
use crate::lane::views::{Fetch, Views};
use crate::policy::{Failed, Failure, cause_of};
use crate::subject::{BadName, Generation, Name, Subjects};
use crate::traces::Ratio;

/// Bytes of views that are kept while one input runs.
const VIEWS: usize = 32 << 20;
/// What a server takes as it comes: 1 MiB a message, 1,000 messages a batch.
const SERVER: (usize, usize) = (1 << 20, 1_000);

/// Where cases run: a plugin with the limits and grants of its module.
pub struct Stand {
    plugin: Plugin,
    limits: Limits,
    grants: Grants,
    /// Whether views and categories are granted as the plugin names them.
    open: bool,
    origin: Arc<Origin>,
    /// The module's settings; those of a case are laid over them.
    config: BTreeMap<String, String>,
}

/// The values of views, by subject.
type Values = Arc<Mutex<HashMap<String, Bytes>>>;

impl Stand {
    /// A stand for `plugin` as `module` of the app deploys it.
    pub fn of(config: &Config, module: &Module, plugin: Plugin) -> Self {
        let origin = origin(config.app.clone(), module.name.clone());
        Self {
            plugin,
            limits: module.limits,
            grants: module.grants.clone(),
            open: false,
            origin,
            config: module.config.clone(),
        }
    }

    /// A stand for a plugin without a module: with the default limits, one lane, and every view and category granted.
    pub fn open(plugin: Plugin) -> Result<Self, BadName> {
        let name: Name = "test".parse()?;
        let origin = origin(name.clone(), name);
        Ok(Self {
            plugin,
            limits: Limits::default(),
            grants: Grants::default(),
            open: true,
            origin,
            config: BTreeMap::new(),
        })
    }

    /// Runs a case: its steps up to the first that fails, or all that can be run if `through`.
    pub fn run(&mut self, case: &Case, place: &Place, through: bool) -> Tested {
        let start = Instant::now();
        let steps = match self.values(case) {
            Ok(values) => self.steps(case, &values, through),
            Err(violation) => vec![Answered::fault(format!("given: {violation}"))],
        };
        let passed = steps.iter().all(|step| step.diff.is_none());
        let seconds = start.elapsed().as_secs_f64();
        Tested {
            file: case.file.clone(),
            line: place.line,
            name: case.name.clone(),
            passed,
            seconds,
            expected: case.steps.len(),
            steps,
        }
    }

    fn steps(&mut self, case: &Case, values: &Values, through: bool) -> Vec<Answered> {
        let mut steps = Vec::with_capacity(case.steps.len());
        for step in &case.steps {
            let answered = self.step(case, &step.when, &Answer::from(&step.then), values);
            let (failed, faulty) = (answered.diff.is_some(), matches!(answered.answer, Answer::Fault(_)));
            steps.push(answered);
            if faulty || failed && !through {
                break;
            }
        }
        steps
    }

    /// The views that a case begins with.
    fn values(&mut self, case: &Case) -> Result<Values, Violation> {
        let mut values = HashMap::new();
        for (view, keys) in &case.given.views {
            let unknown = Violation::View(view.clone());
            self.grant(&unknown);
            let view = self.grants.views.get(view.as_str()).ok_or(unknown)?;
            for (key, value) in keys {
                values.insert(self.subject(view, key), value.to_string().into());
            }
        }
        Ok(Arc::new(Mutex::new(values)))
    }

    fn subject(&self, view: &Name, key: &str) -> String {
        self.origin.subjects.view_value(view, self.origin.generation, key)
    }

    fn step(&mut self, case: &Case, when: &When, expected: &Answer, values: &Values) -> Answered {
        let key: Arc<str> = when.key.as_deref().unwrap_or(defaults::KEY).into();
        let (event, sequence) = (event(when), Sequence(when.sequence.unwrap_or(defaults::SEQUENCE)));
        let result = loop {
            let result = self.call(case, (&event, &key, sequence), values);
            match &result {
                Err(Failed { failure: Failure::Violation(violation), .. }) if self.grant(violation) => {}
                _ => break result,
            }
        };
        let (answer, log) = match result {
            Ok((effects, log)) => {
                self.apply(&effects, values);
                (answer(effects), log)
            }
            Err(Failed { failure, log }) => (failed(&failure), log),
        };
        Answered { diff: answer.meets(expected, &key).err(), answer, log }
    }

    /// Grants what an open stand was found not to grant; false if it stays refused.
    fn grant(&mut self, refused: &Violation) -> bool {
        match refused {
            Violation::View(view) if self.open => view.parse().is_ok_and(|view| self.grants.views.insert(view)),
            Violation::Category(category) if self.open => {
                category.parse().is_ok_and(|category| self.grants.emits.insert(category, None).is_none())
            }
            _ => false,
        }
    }

    fn call(
        &self,
        case: &Case,
        (event, key, sequence): (&Event, &Arc<str>, Sequence),
        values: &Values,
    ) -> Result<(Effects, Vec<String>), Failed> {
        let Self { limits, origin, grants, .. } = self;
        let setting = Setting {
            module: origin.module.clone(),
            config: Arc::new(self.config.iter().chain(&case.given.config).map(own).collect()),
            limits: *limits,
            log_rate: Arc::new(Rate::new(limits.log_lines, limits.log_bytes)),
        };
        let views = Views::new(origin.clone(), Arc::new(grants.clone()), fetch(values), false, VIEWS);
        let mut instance = self.plugin.instantiate(&setting, views).map_err(|stopped| stopped.0)?;
        let (effects, log) = instance.call(Call { event, key, stream: &origin.stream, sequence })?;
        let bounds = Bounds::new(SERVER.0, SERVER.1).within(limits.effects, limits.effects_bytes);
        let checked = effects::check(effects.clone(), origin, grants, &bounds, (event, key, sequence));
        match checked {
            Ok(_) => Ok((effects, log)),
            Err(violation) => Err(Failed { failure: Failure::Violation(violation), log }),
        }
    }

    /// Does to the views what effects say that were checked.
    fn apply(&self, effects: &Effects, values: &Values) {
        for write in &effects.writes {
            let Some(view) = self.grants.views.get(write.view.as_str()) else { continue };
            let (mut values, subject) = (lock(values), self.subject(view, &write.key));
            match &write.value {
                Some(value) => values.insert(subject, value.clone()),
                None => values.remove(&subject),
            };
        }
    }
}

fn origin(app: Name, module: Name) -> Arc<Origin> {
    Arc::new(Origin {
        subjects: Subjects::new(&app),
        app,
        module,
        stream: defaults::STREAM.to_owned(),
        created: defaults::TIME.to_owned(),
        generation: Generation::default(),
        ratio: Ratio::default(),
    })
}

fn own((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

fn fetch(values: &Values) -> Fetch {
    let values = values.clone();
    Arc::new(move |subject, _| Ok(Stored { value: lock(&values).get(subject).cloned(), revision: NEVER_WRITTEN }))
}

fn lock(values: &Values) -> MutexGuard<'_, HashMap<String, Bytes>> {
    values.lock().unwrap_or_else(PoisonError::into_inner)
}

fn event(when: &When) -> Event {
    let text = |value: &Option<String>, default: &str| value.clone().unwrap_or_else(|| default.to_owned());
    let id = text(&when.id, defaults::ID);
    Event {
        correlation: id.clone(),
        id,
        source: text(&when.source, defaults::SOURCE),
        kind: text(&when.kind, defaults::KIND),
        subject: when.subject.clone(),
        time: text(&when.time, defaults::TIME),
        content_type: text(&when.content_type, defaults::CONTENT_TYPE),
        causation: None,
        attributes: when.attributes.clone().into_iter().collect(),
        data: when.bytes().into(),
    }
}

fn answer(effects: Effects) -> Answer {
    let events = effects.events.into_iter().map(|event| Emitted {
        category: event.category,
        key: event.key,
        kind: event.kind,
        subject: event.subject,
        content_type: event.content_type,
        attributes: event.attributes,
        data: event.data.to_vec(),
    });
    let writes = effects.writes.into_iter().map(|write| Written {
        view: write.view,
        key: write.key,
        value: write.value.map(|value| value.to_vec()),
    });
    Answer::Effects { events: events.collect(), writes: writes.collect() }
}

fn failed(failure: &Failure) -> Answer {
    match failure {
        Failure::Retry(after) => Answer::Retry(*after),
        Failure::Reject(reason) => Answer::Reject(reason.clone()),
        Failure::Trap(_)
        | Failure::Limit(_)
        | Failure::Timeout(_)
        | Failure::Violation(_)
        | Failure::Undecodable(_)
        | Failure::Refused(_)
        | Failure::Crash(_)
        | Failure::Interrupted(_) => {
            let cause = cause_of(failure, 1);
            let kind = format!("{:?}", cause.kind).to_lowercase();
            let backtrace = cause.backtrace.iter().map(|frame| format!("\n  at {frame}"));
            Answer::Fault(format!("{kind}: {}{}", cause.message, backtrace.collect::<String>()))
        }
    }
}
