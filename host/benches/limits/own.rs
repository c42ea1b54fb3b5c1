//! Pelton's own call with its default limits, and the checks that it adds around it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use pelton::config::Limits;
use pelton::effects::{self, Bounds, Effects, Emitted, Grants, Origin};
use pelton::event::{Event, Sequence};
use pelton::guest::{Call, Engine, Instance, Plugin, Rate, Setting};
use pelton::lane::views::Views;
use pelton::subject::{Generation, Name, Subjects};
use pelton::traces::Ratio;

use super::{ORDERS, Work};

/// The input of every call.
pub struct Input {
    pub event: Event,
    pub key: Arc<str>,
    pub stream: &'static str,
    pub sequence: Sequence,
}

impl Input {
    pub fn new() -> Self {
        let event = Event {
            id: "order-1".to_owned(),
            source: "/shop".to_owned(),
            kind: "placed".to_owned(),
            subject: None,
            time: "2026-01-02T03:04:05Z".to_owned(),
            content_type: "application/json".to_owned(),
            correlation: "order-1".to_owned(),
            causation: None,
            attributes: Vec::new(),
            data: Bytes::from_static(ORDERS.as_bytes()),
        };
        Self { event, key: "order-1".into(), stream: "ORDERS", sequence: Sequence(12_345) }
    }
}

fn name(text: &str) -> Result<Name> {
    text.parse().map_err(|error| anyhow!("{error}"))
}

fn grants() -> Result<Grants> {
    Ok(Grants { views: [name("v")?].into(), emits: [(name("out")?, None)].into(), many_lanes: false })
}

/// A plugin, and how to make instances of it.
struct Made {
    plugin: Plugin,
    setting: Setting,
}

impl Made {
    fn new(path: &Path) -> Result<Self> {
        let limits = Limits::default();
        let log_rate = Arc::new(Rate::new(limits.log_lines, limits.log_bytes));
        let setting = Setting { module: name("probe")?, config: Arc::default(), limits, log_rate };
        Ok(Self { plugin: Plugin::load(&Engine::new(limits.stack)?, path, None)?, setting })
    }

    fn instance(&self) -> Result<Instance> {
        let none: pelton::lane::views::Fetch = Arc::new(|_, _| Err("nothing is read".to_owned()));
        let views = Views::new(Arc::new(origin()?), Arc::new(grants()?), none, true, 1 << 20);
        self.plugin.instantiate(&self.setting, views).map_err(|stopped| anyhow!("{:?}", stopped.0))
    }
}

/// Calls one instance.
pub fn call(path: &Path) -> Result<Work<'static>> {
    let (made, input) = (Made::new(path)?, Input::new());
    let mut instance = made.instance()?;
    Ok(Box::new(move || {
        let Input { event, key, stream, sequence } = &input;
        let answer = instance.call(Call { event, key, stream, sequence: *sequence });
        answer.map(drop).map_err(|failed| anyhow!("{:?}", failed.failure))
    }))
}

/// Makes an instance and drops it.
pub fn instance(path: &Path) -> Result<Work<'static>> {
    let made = Made::new(path)?;
    Ok(Box::new(move || made.instance().map(drop)))
}

/// What the host checks by itself.
pub fn checks() -> Result<Vec<(String, Work<'static>)>> {
    let rate = Rate::new(u32::MAX, usize::MAX);
    let module = name("probe")?;
    let (input, grants) = (Input::new(), grants()?);
    let origin = origin()?;
    let limits = Limits::default();
    let bounds = Bounds::new(1 << 20, 1_000).within(limits.effects, limits.effects_bytes);
    let deadline = Instant::now();
    Ok(vec![
        ("nothing".to_owned(), Box::new(|| Ok(()))),
        (
            "reads: the clock, once for each view key".to_owned(),
            Box::new(move || {
                std::hint::black_box(Instant::now() > deadline);
                Ok(())
            }),
        ),
        (
            "log lines and bytes: once for each line".to_owned(),
            Box::new(move || {
                std::hint::black_box(rate.admits(&module, 80));
                Ok(())
            }),
        ),
        (
            "effects and their bytes: four events turned into messages and checked".to_owned(),
            Box::new(move || {
                let seen = (&input.event, &*input.key, input.sequence);
                effects::check(four_events(), &origin, &grants, &bounds, seen).map(drop).map_err(Into::into)
            }),
        ),
    ])
}

fn origin() -> Result<Origin> {
    Ok(Origin {
        subjects: Subjects::new(&name("shop")?),
        app: name("shop")?,
        module: name("probe")?,
        stream: Input::new().stream.to_owned(),
        created: "2026-01-01T00:00:00Z".to_owned(),
        generation: Generation::default(),
        ratio: Ratio::default(),
    })
}

fn four_events() -> Effects {
    let event = || Emitted {
        category: "out".to_owned(),
        key: None,
        kind: "probe.emitted".to_owned(),
        subject: None,
        content_type: "text/plain".to_owned(),
        attributes: Vec::new(),
        data: Bytes::from_static(b"x"),
    };
    Effects { events: vec![event(), event(), event(), event()], writes: Vec::new() }
}
