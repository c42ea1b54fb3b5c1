//! Looks at an app again and again, beside the screen, so that keys never wait for NATS.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::query::ModuleState;
use crate::subject::Name;
use crate::top::look::{Error, Looker, Seen};

/// What is new.
pub enum Update {
    /// The app was looked at.
    Seen(Seen),
    /// The lanes of the module whose details are shown were read.
    Lanes(Box<ModuleState>),
    /// Nothing is new, for this reason.
    Trouble(String),
}

/// The looking, while it lasts.
pub struct Watch {
    /// The module whose lanes are to be read.
    pub wanted: watch::Sender<Option<Name>>,
    /// What is new.
    pub updates: mpsc::Receiver<Update>,
    looking: JoinHandle<()>,
}

impl Watch {
    /// Looks every so often.
    pub fn start(looker: Arc<Looker>, every: Duration) -> Self {
        let (wanted, wish) = watch::channel(None);
        let (news, updates) = mpsc::channel(1);
        Self { wanted, updates, looking: tokio::spawn(look(looker, every, wish, news)) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

async fn look(
    looker: Arc<Looker>,
    every: Duration,
    mut wish: watch::Receiver<Option<Name>>,
    news: mpsc::Sender<Update>,
) {
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        let changed = tokio::select! {
            _ = tick.tick() => false,
            changed = wish.changed() => changed.is_ok(),
        };
        let wanted = wish.borrow_and_update().clone();
        let seen = if changed { None } else { Some(looker.look().await.map(Update::Seen)) };
        let lanes = match &wanted {
            Some(module) => Some(looker.lanes(module).await.map(|lanes| Update::Lanes(Box::new(lanes)))),
            None => None,
        };
        for update in [seen, lanes].into_iter().flatten() {
            let update = told(update, &mut last);
            if news.send(update).await.is_err() {
                return;
            }
        }
    }
}

/// An update, or why there is none and since when.
fn told(update: Result<Update, Error>, last: &mut Instant) -> Update {
    match update {
        Ok(update) => {
            *last = Instant::now();
            update
        }
        Err(error) => Update::Trouble(format!("the figures are {} s old: {error}", last.elapsed().as_secs())),
    }
}
