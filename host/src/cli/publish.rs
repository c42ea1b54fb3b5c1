//! `pelton publish`: CloudEvents to an input stream, from an argument, a file or standard input.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use bytes::Bytes;
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Common;
use super::output::{print, table};
use crate::cloudevents;
use crate::config::Config;
use crate::event::{Event, rfc3339};
use crate::host::connect;
use crate::route::Filter;

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  pelton publish orders.new --data '{\"total\":42}'\n  pelton publish orders.new --file orders.jsonl --lines"
)]
pub struct Publish {
    /// The subject, one that an input stream stores
    subject: String,
    /// The CloudEvents type
    #[arg(long = "type", default_value = "message")]
    kind: String,
    /// The CloudEvents source
    #[arg(long, default_value = "pelton-publish")]
    source: String,
    /// The CloudEvents id; a random one without it
    #[arg(long, conflicts_with = "lines")]
    id: Option<String>,
    /// The media type of the data
    #[arg(long, default_value = "application/json")]
    content_type: String,
    /// The data
    #[arg(long, conflicts_with = "file")]
    data: Option<String>,
    /// A file with the data; `-` is standard input
    #[arg(long)]
    file: Option<PathBuf>,
    /// Publish each line as an event of its own
    #[arg(long)]
    lines: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize)]
struct Published {
    id: String,
    stream: String,
    sequence: u64,
}

impl Publish {
    pub async fn main(self) -> anyhow::Result<()> {
        let config = self.common.load()?;
        if self.subject.split('.').any(|token| matches!(token, "" | "*" | ">")) {
            bail!("{:?} is no subject: tokens with dots between, without wildcards", self.subject);
        }
        let data = self.read()?;
        let payloads: Vec<Bytes> = if self.lines {
            let lines = data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines.map(|line| data.slice_ref(line)).collect()
        } else {
            vec![data]
        };
        for payload in &payloads {
            self.check(payload)?;
        }
        let connections = connect(&config.nats).await?;
        let mut published = Vec::with_capacity(payloads.len());
        for payload in payloads {
            published.push(self.publish(&connections.jetstream(), payload, &config).await?);
        }
        print(self.common.output, &published, |published| {
            let rows = published.iter().map(|one| [one.stream.clone(), one.sequence.to_string(), one.id.clone()]);
            table(["STREAM", "SEQUENCE", "ID"], rows)
        })
    }

    fn read(&self) -> anyhow::Result<Bytes> {
        match (&self.data, &self.file) {
            (Some(data), _) => Ok(data.clone().into()),
            (None, Some(file)) if file.as_os_str() != "-" => {
                let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
                Ok(bytes.into())
            }
            (None, None) if std::io::stdin().is_terminal() => bail!("say what to publish: --data, --file, or a pipe"),
            (None, _) => {
                let mut bytes = Vec::new();
                std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
                if bytes.is_empty() {
                    bail!("standard input is empty: an event without data is `--data ''`");
                }
                Ok(bytes.into())
            }
        }
    }

    /// Refuses data that is not what its media type says.
    fn check(&self, data: &[u8]) -> anyhow::Result<()> {
        if data.is_empty() || !cloudevents::is_json(&self.content_type) {
            return Ok(());
        }
        let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(data);
        let hint = if self.lines { "" } else { ", --lines for one event a line" };
        parsed.map(drop).with_context(|| format!("the data is no JSON (--content-type says what else it is{hint})"))
    }

    async fn publish(&self, context: &Context, data: Bytes, config: &Config) -> anyhow::Result<Published> {
        let id = self.id.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
        let event = Event {
            correlation: id.clone(),
            id: id.clone(),
            source: self.source.clone(),
            kind: self.kind.clone(),
            subject: None,
            time: rfc3339(OffsetDateTime::now_utc()),
            content_type: self.content_type.clone(),
            causation: None,
            attributes: Vec::new(),
            data: data.clone(),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in cloudevents::encode(&event) {
            headers.insert(name.as_ref(), value.as_str());
        }
        let stored = context.publish_with_headers(self.subject.clone(), headers, data).await?.await;
        let stored = stored.with_context(|| {
            let filters = config.modules.iter().flat_map(|module| Filter::texts(&module.input.filters));
            let taken: BTreeSet<String> = filters.collect();
            let taken = taken.into_iter().collect::<Vec<_>>().join(", ");
            format!("no stream took the event on {:?}; the modules take {taken}", self.subject)
        })?;
        Ok(Published { id, stream: stored.stream, sequence: stored.sequence })
    }
}
