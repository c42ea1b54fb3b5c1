//! The terminal: taken over, drawn on, and given back however this ends.

use std::io::{IsTerminal, stdin, stdout};
use std::time::Duration;

use anyhow::Context;
use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures::StreamExt;
use ratatui::layout::Rect;
use ratatui::widgets::{Paragraph, Widget, Wrap};
use ratatui::{DefaultTerminal, Frame};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Update, Watch};
use crate::failpoint;
use crate::query::ModuleState;
use crate::subject::Name;
use crate::top::draw::View;
use crate::top::figures::Figures;
use crate::top::look::Seen;
use crate::top::screen::{Goes, Key, Screen};

/// Whether there is a terminal that can be drawn on, and that has keys.
pub fn is_one() -> bool {
    stdout().is_terminal() && stdin().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Shows what `watch` sees of `app` until an operator has seen enough.
pub async fn show(app: &Name, mut watch: Watch, every: Duration) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let mut taken = Taken { terminal: ratatui::try_init().context("the terminal cannot be drawn on")? };
    let mut shown = Shown::new(app, every);
    let mut events = EventStream::new();
    loop {
        failpoint::reach("top", "frame");
        let area = taken.terminal.draw(|frame| shown.draw(frame))?.area;
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Key(key))) => {
                    if shown.press(&key, area) == Goes::Home {
                        return Ok(());
                    }
                    watch.wanted.send_if_modified(|wanted| shown.wants(wanted));
                }
                Some(Ok(_)) => {}
                // The terminal is gone.
                Some(Err(_)) | None => return Ok(()),
            },
            update = watch.updates.recv() => shown.update(update.context("nobody looks at the app any more")?),
            () = signals.any() => return Ok(()),
        }
    }
}

/// What is on the screen.
struct Shown {
    app: Name,
    every: Duration,
    colours: bool,
    screen: Screen,
    seen: Option<Seen>,
    figures: Option<Figures>,
    lanes: Option<ModuleState>,
    trouble: Option<String>,
}

impl Shown {
    fn new(app: &Name, every: Duration) -> Self {
        // https://no-color.org
        let colours = crate::telemetry::wants_colours();
        let app = app.clone();
        Self { app, every, colours, screen: Screen::default(), seen: None, figures: None, lanes: None, trouble: None }
    }

    fn update(&mut self, update: Update) {
        match update {
            Update::Seen(seen) => {
                let mut figures = Figures::of(&self.app, self.seen.as_ref(), &seen);
                self.screen.arrange(&mut figures);
                (self.figures, self.seen, self.trouble) = (Some(figures), Some(seen), None);
            }
            Update::Lanes(lanes) => self.lanes = Some(*lanes),
            Update::Trouble(why) => self.trouble = Some(why),
        }
    }

    /// Calls `does` with what is to be drawn, if anything is known yet.
    fn view<T>(&self, does: impl FnOnce(View<'_>) -> T) -> Option<T> {
        let figures = self.figures.as_ref()?;
        Some(does(View {
            figures,
            screen: &self.screen,
            lanes: self.lanes.as_ref(),
            trouble: self.trouble.as_deref(),
            every: Some(self.every),
            colours: self.colours,
        }))
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let (area, buffer) = (frame.area(), frame.buffer_mut());
        if self.view(|view| view.draw(area, buffer)).is_none() {
            let asks = self.trouble.clone().unwrap_or_else(|| format!("asking the hosts of {}", self.app));
            Paragraph::new(asks).wrap(Wrap::default()).render(area, buffer);
        }
    }

    fn press(&mut self, key: &KeyEvent, area: Rect) -> Goes {
        let Some(key) = meant(key) else { return Goes::On };
        let lines = self.view(|view| view.beginnings(area)).unwrap_or_default();
        let modules = self.figures.as_ref().map(|figures| figures.modules.as_slice()).unwrap_or_default();
        let goes = self.screen.press(key, modules, lines);
        if let Some(figures) = &mut self.figures {
            self.screen.arrange(figures);
        }
        goes
    }

    /// Notes the module whose lanes are to be read. True if it is another one.
    fn wants(&self, wanted: &mut Option<Name>) -> bool {
        let is_other = wanted.as_ref() != self.screen.detailed();
        *wanted = self.screen.detailed().cloned();
        is_other
    }
}

/// What a key means here.
fn meant(key: &KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Key::Quit);
    }
    match key.code {
        KeyCode::Up | KeyCode::Char('k') => Some(Key::Up),
        KeyCode::Down | KeyCode::Char('j') => Some(Key::Down),
        KeyCode::Home | KeyCode::Char('g') => Some(Key::First),
        KeyCode::End | KeyCode::Char('G') => Some(Key::Last),
        KeyCode::Char('s') => Some(Key::Sort),
        KeyCode::Enter => Some(Key::Open),
        KeyCode::Esc => Some(Key::Back),
        KeyCode::Char('?' | 'h') => Some(Key::Help),
        KeyCode::Char('q') => Some(Key::Quit),
        _ => None,
    }
}

/// The terminal while it is ours. Dropped, it is given back. After a panic, `ratatui`'s hook does it before the panic is told.
struct Taken {
    terminal: DefaultTerminal,
}

impl Drop for Taken {
    fn drop(&mut self) {
        // Nothing is left to do if it does not work.
        ratatui::try_restore().ok();
    }
}

/// The signals that end it.
struct Signals([Signal; 4]);

impl Signals {
    fn new() -> std::io::Result<Self> {
        let on = |kind| signal(kind);
        let [hangup, interrupt, quit, terminate] =
            [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate()];
        Ok(Self([on(hangup)?, on(interrupt)?, on(quit)?, on(terminate)?]))
    }

    /// Waits for any of them.
    async fn any(&mut self) {
        let each = self.0.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures::future::select_all(each).await;
    }
}
