//! Reads from NATS as anyone could: a view with a plain key-value client, messages with a plain consumer.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use async_nats::{
    Client,
    jetstream::{
        self,
        consumer::{
            DeliverPolicy,
            pull::{Ordered, OrderedConfig},
        },
        kv::Store,
    },
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

/// Values asked for at a time.
const AT_ONCE: usize = 64;

/// All keys and values of a view's live generation.
pub async fn view(bucket: &Store, name: &str) -> Result<BTreeMap<String, Bytes>> {
    let Some(generation) = bucket.get(name).await? else {
        return Ok(BTreeMap::new());
    };
    let prefix = format!("{name}.{}.", String::from_utf8(generation.to_vec())?);
    let keys: Vec<String> = bucket.keys().await?.try_collect().await?;
    let own = keys.into_iter().filter(|key| key.starts_with(&prefix));
    let values = stream::iter(own).map(async |key| {
        let value = bucket.get(&key).await?.with_context(|| format!("{key} has no value"))?;
        Ok((decode(&key[prefix.len()..])?, value))
    });
    values.buffer_unordered(AT_ONCE).try_collect().await
}

/// Opens a plain consumer, and says how many messages there are for it by now.
pub async fn messages(
    client: &Client,
    stream: &str,
    filter: &str,
    deliver_policy: DeliverPolicy,
) -> Result<(Ordered, usize)> {
    let stream = jetstream::new(client.clone()).get_stream(stream).await?;
    let config = OrderedConfig { filter_subject: filter.into(), deliver_policy, ..OrderedConfig::default() };
    let consumer = stream.create_consumer(config).await?;
    let pending = usize::try_from(consumer.cached_info().num_pending)?;
    Ok((consumer.messages().await?, pending))
}

/// Undoes the encoding of keys: `United=20Kingdom` is `United Kingdom`.
fn decode(encoded: &str) -> Result<String> {
    let mut parts = encoded.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2).with_context(|| format!("{encoded:?} is no encoded key"))?;
        bytes.push(u8::from_str_radix(code, 16)?);
        bytes.extend(rest.as_bytes());
    }
    Ok(String::from_utf8(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded() -> Result<()> {
        assert_eq!(decode("United=20Kingdom")?, "United Kingdom");
        assert_eq!(decode("17850=2E0")?, "17850.0");
        assert_eq!(decode("=C3=A9t=C3=A9")?, "été");
        assert!(decode("=2").is_err());
        Ok(())
    }
}
