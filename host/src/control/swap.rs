//! Asks a host to run another plugin in a module while it runs.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::{Client, SubscribeError};
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::Error;
use crate::lane::version::Outcome;
use crate::subject::{Name, Subjects};

/// How long a swap waits for an input that decides about it, before it answers.
pub const WAIT: Duration = Duration::from_secs(10);
/// How long the whole may take: compiling a large plugin, and waiting.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wish {
    /// The file of the plugin, on the host's machine; none is the one that the config names.
    pub plugin: Option<PathBuf>,
    /// Whether it stays whatever its first input does.
    pub untried: bool,
    /// Who asks.
    pub who: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "swap", rename_all = "lowercase")]
pub enum Answer {
    /// An input decided.
    Decided {
        /// The digest of the plugin that ran before.
        was: String,
        /// The digest of the new one.
        plugin: String,
        /// Which of them runs now.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// The new plugin runs from the next input on. If it was to be tried, that input decides.
    Next {
        /// The digest of the plugin that ran before.
        was: String,
        /// The digest of the new one.
        plugin: String,
    },
    /// The module runs this plugin already.
    Same {
        /// Its digest.
        plugin: String,
    },
    /// Nothing has changed.
    Refused {
        /// Why.
        reason: String,
        /// Whether it may be asked for again as it is.
        #[serde(default)]
        is_passing: bool,
    },
}

/// Asks the hosts that run `module` to run another plugin in it. One of them answers.
pub async fn swap(client: &Client, subjects: &Subjects, module: &Name, wish: &Wish) -> Result<Answer, Error> {
    super::ask(client, subjects.swap(module.as_str()), wish, || format!("module {:?}", module.as_str()), PATIENCE).await
}

/// A wish, and where its answer goes.
#[derive(Debug)]
pub struct Order {
    /// The module.
    pub module: Name,
    /// What is asked for.
    pub wish: Wish,
    /// Who waits for what comes of it; none if it is another host's to answer.
    pub answer: oneshot::Sender<Option<Answer>>,
}

/// Hands the wishes for all modules of an app to `orders`, until nobody takes them any more.
pub async fn serve(
    client: &Client,
    subjects: &Subjects,
    orders: mpsc::Sender<Order>,
) -> Result<impl Future<Output = ()> + Send + 'static, SubscribeError> {
    let mut requests = client.subscribe(subjects.swap("*")).await?;
    let client = client.clone();
    Ok(async move {
        loop {
            let request = tokio::select! {
                request = requests.next() => request,
                () = orders.closed() => return,
            };
            let Some(request) = request else { return };
            let Some(reply) = request.reply.clone() else { continue };
            let (answer, answered) = oneshot::channel();
            let refused = match order(&request, answer) {
                Ok(order) => orders.send(order).await.err().map(|_| "the host stops".to_owned()),
                Err(reason) => Some(reason),
            };
            let client = client.clone();
            tokio::spawn(async move {
                let refuses = |reason| Answer::Refused { reason, is_passing: false };
                let stopped = || refuses("the host stops, or another swap took its place".to_owned());
                let said = match refused {
                    Some(reason) => Some(refuses(reason)),
                    None => answered.await.unwrap_or_else(|_| Some(stopped())),
                };
                if let Some(said) = said {
                    super::answer(&client, reply, &said).await;
                }
            });
        }
    })
}

fn order(request: &async_nats::Message, answer: oneshot::Sender<Option<Answer>>) -> Result<Order, String> {
    let module = request.subject.rsplit('.').next().unwrap_or_default().parse::<Name>();
    let module = module.map_err(|error| error.to_string())?;
    let wish = serde_json::from_slice(&request.payload).map_err(|error| error.to_string())?;
    Ok(Order { module, wish, answer })
}
