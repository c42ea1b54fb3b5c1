//! The loads: what is published, the modules that take it, and the same modules as functions.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::{self, message::PublishMessage, stream};
use pelton_demo::data::{Data, Item};
use pelton_demo::retail;
use pelton_tests::Server;

use crate::measure::Side;
use crate::work::{self, Module};

/// Entities that plain events are about.
const ENTITIES: u64 = 40;
/// Bytes of a plain event.
const PLAIN: usize = 256;
/// Messages that are on their way at once while publishing.
const IN_FLIGHT: u64 = 2_000;

/// A load.
pub struct Load {
    /// For subjects and streams.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// What the native side runs.
    pub modules: &'static [Module],
    /// Lanes of each of Pelton's modules.
    pub lanes: u16,
    config: &'static str,
    /// What is published; none for plain events.
    lines: Vec<Item>,
}

impl Load {
    /// The first of the demo's invoice lines through three modules. The damaged ones are left out.
    pub fn retail(file: Option<&Path>, inputs: u64, lanes: u16) -> Result<Self> {
        let data = Data::open(file)?;
        let lines = data.items()?.filter(|item| !matches!(item, Ok(Item::Damaged(_))));
        let lines: Vec<Item> = lines.take(usize::try_from(inputs)?).collect::<Result<_>>()?;
        ensure!(!lines.is_empty(), "the data holds no lines");
        let title = "invoice lines through by-country, by-customer and flag";
        Ok(Self { name: "retail", title, modules: &work::RETAIL, lanes, config: include_str!("retail.toml"), lines })
    }

    /// Plain events through one handler that emits one event and writes one view value for each.
    pub fn plain(lanes: u16) -> Self {
        let (title, config) = ("plain events of 256 B about 40 entities through relay", include_str!("plain.toml"));
        Self { name: "plain", title, modules: &work::PLAIN, lanes, config, lines: Vec::new() }
    }

    /// The input stream of a side.
    pub fn stream(&self, side: Side) -> String {
        format!("{}-{}", self.name, side.name())
    }

    /// The config of Pelton as `app` on the server at `url`, with plugins in `plugins`.
    pub fn config(&self, app: &str, url: &str, plugins: &Path) -> String {
        let head = format!("app = \"{app}\"\nnats = {{ url = \"{url}\" }}\nhttp = {{ listen = \"127.0.0.1:0\" }}\n");
        let modules = self.config.replace("@PLUGINS@", &plugins.to_string_lossy());
        head + &modules.replace("@STREAM@", &self.stream(Side::Pelton)).replace("@LANES@", &self.lanes.to_string())
    }

    /// Publishes `inputs` messages to the stream of a side.
    pub async fn publish(&self, server: &Server, side: Side, inputs: u64) -> Result<()> {
        let context = jetstream::new(server.client().await?);
        let name = self.stream(side);
        let subjects = vec![format!("{name}.>")];
        let config = stream::Config { name: name.clone(), subjects, ..stream::Config::default() };
        context.create_stream(config).await?;
        for number in 1..=inputs {
            let (subject, message) = self.message(number)?;
            let stored = context.send_publish(format!("{name}.{subject}"), message).await?;
            // They are stored in order, so one acknowledgement speaks for those before it.
            if number % IN_FLIGHT == 0 || number == inputs {
                ensure!(stored.await?.sequence == number, "a message was not stored");
            }
        }
        Ok(())
    }

    fn message(&self, number: u64) -> Result<(String, PublishMessage)> {
        if self.lines.is_empty() {
            return Ok((format!("entity-{}", number % ENTITIES), plain(number)));
        }
        let line = self.lines.get(usize::try_from(number - 1)? % self.lines.len()).context("no line")?;
        Ok(("lines".to_owned(), retail::message(line)?))
    }
}

/// The number, and dots up to the size.
fn plain(number: u64) -> PublishMessage {
    PublishMessage::build().payload(format!("{number:.<PLAIN$}").into())
}
