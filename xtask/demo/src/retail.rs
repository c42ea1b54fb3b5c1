//! Publishes items to the stream RETAIL as CloudEvents. The stream is always a prefix of the data file, so that an
//! interrupted demo goes on where it stopped: every message states the sequence that it must follow.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Context as _, Result};
use async_nats::{
    Client, HeaderMap,
    jetstream::{
        self, Context,
        context::PublishAckFuture,
        message::PublishMessage,
        stream::{Config, StorageType},
    },
};
use bytes::Bytes;
use serde::Serialize;

use super::data::{Item, Line};

pub const STREAM: &str = "RETAIL";
const SUBJECT: &str = "retail.lines";

/// Acknowledgements awaited at most: enough to keep the server busy, few enough to hold in memory.
const IN_FLIGHT: usize = 2_000;
const TIMEOUT: Duration = Duration::from_secs(30);

/// The stream RETAIL, open for publishing.
pub struct Retail {
    context: Context,
    last: u64,
    in_flight: VecDeque<PublishAckFuture>,
}

impl Retail {
    /// Opens the stream, creating it if need be.
    pub async fn open(client: Client) -> Result<Self> {
        let mut context = jetstream::new(client);
        context.set_timeout(TIMEOUT);
        let config = Config {
            name: STREAM.into(),
            subjects: vec![SUBJECT.into()],
            storage: StorageType::File,
            ..Config::default()
        };
        let stream = context.get_or_create_stream(config).await?;
        let last = stream.cached_info().state.last_sequence;
        Ok(Self { context, last, in_flight: VecDeque::new() })
    }

    /// The sequence of the last message, counting those on their way.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Sends an item; waits only when too many are on their way.
    pub async fn publish(&mut self, item: &Item) -> Result<()> {
        let message = message(item)?.expected_last_sequence(self.last);
        self.in_flight.push_back(self.context.send_publish(SUBJECT, message).await?);
        self.last += 1;
        if self.in_flight.len() >= IN_FLIGHT {
            self.settle_oldest().await?;
        }
        Ok(())
    }

    /// Waits until all that was sent is stored.
    pub async fn flush(&mut self) -> Result<()> {
        while !self.in_flight.is_empty() {
            self.settle_oldest().await?;
        }
        Ok(())
    }

    async fn settle_oldest(&mut self) -> Result<()> {
        if let Some(oldest) = self.in_flight.pop_front() {
            oldest.await.context("the server did not store a line")?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Payload<'a> {
    invoice: &'a str,
    stock_code: &'a str,
    description: &'a str,
    quantity: i64,
    unit_price: &'a str,
    customer: Option<&'a str>,
    country: &'a str,
    sold_at: &'a str,
}

/// The message that an item is published as.
pub fn message(item: &Item) -> Result<PublishMessage> {
    let (headers, payload) = match item {
        Item::Line(number, line) => {
            let sold_at = line.sold_at();
            let mut headers = envelope(&format!("line-{number}"));
            headers.insert("ce-time", sold_at.as_str());
            (headers, payload(line, &sold_at)?)
        }
        Item::Damaged(damaged) => {
            let headers = envelope(&format!("damaged-{}", damaged.after));
            (headers, damaged.payload.clone().into())
        }
    };
    Ok(PublishMessage::build().headers(headers).payload(payload))
}

fn envelope(id: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("ce-specversion", "1.0");
    headers.insert("ce-id", id);
    headers.insert("ce-source", "online-retail");
    headers.insert("ce-type", "line.recorded");
    headers.insert("Content-Type", "application/json");
    headers
}

fn payload(line: &Line, sold_at: &str) -> Result<Bytes> {
    let payload = Payload {
        invoice: &line.invoice,
        stock_code: &line.stock_code,
        description: &line.description,
        quantity: line.quantity,
        unit_price: &line.unit_price,
        customer: Some(line.customer.as_str()).filter(|customer| !customer.is_empty()),
        country: &line.country,
        sold_at,
    };
    Ok(serde_json::to_vec(&payload)?.into())
}
