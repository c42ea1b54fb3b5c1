//! Views read back: which there are, their keys, page by page, and values.

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Error, Query};
use crate::commit::read;
use crate::event::Sequence;
use crate::subject::{Generation, Name, decode};

/// A view that a module owns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct View {
    /// Its name.
    pub view: Name,
    /// Its live generation.
    pub generation: Generation,
    /// The module.
    pub module: Name,
    /// The stream that the module reads.
    pub stream: String,
}

/// A key with its value.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where its value stands in the app stream; 0 if it was never written.
    pub revision: Sequence,
    /// The value; none if the key has none.
    #[serde(serialize_with = "shown")]
    pub value: Option<Bytes>,
}

/// Which keys are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Only keys that begin with this.
    pub prefix: String,
    /// Only keys behind this one.
    pub behind: Option<String>,
    /// The most keys.
    pub limit: usize,
    /// The most bytes of entries in JSON. A page has one entry at least, however large it is.
    pub bytes: usize,
}

/// Some keys of a view, in order.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    /// Those that have a value.
    pub entries: Vec<Entry>,
    /// The key behind which the next page begins; none if this is the last.
    pub next: Option<String>,
}

/// The most keys of a page.
pub const MOST_KEYS: usize = 1_000;
/// The most bytes of entries that one answer has, in JSON.
pub const PAGE_BYTES: usize = 4 << 20;
/// The most keys that one page looks at. A page ends early when many of them were deleted.
const MOST_READ: usize = 5_000;
/// Values that are read at a time.
const AT_A_TIME: usize = 32;

impl Query {
    /// The views that modules own, by name.
    pub async fn views(&self) -> Result<Vec<View>, Error> {
        let modules = self.records().await?;
        let views = modules.into_iter().flat_map(|record| {
            let (module, generation, stream) = (record.module, record.generation, record.stream);
            let view = move |view| View { view, generation, module: module.clone(), stream: stream.clone() };
            record.views.into_iter().map(view)
        });
        let mut views: Vec<_> = views.collect();
        views.sort();
        Ok(views)
    }

    /// The keys of a view that hold something, or did until they were deleted; in order.
    pub async fn keys(&self, view: &Name) -> Result<Vec<String>, Error> {
        self.keys_of(view, self.generation(view).await?).await
    }

    async fn keys_of(&self, view: &Name, generation: Generation) -> Result<Vec<String>, Error> {
        let values = self.subjects.view_values(view, generation);
        let prefix = values.trim_end_matches('>').to_owned();
        let subjects = self.subjects_of(&values).await?;
        let mut keys: Vec<String> =
            subjects.iter().filter_map(|subject| decode(subject.strip_prefix(&prefix)?)).collect();
        keys.sort();
        Ok(keys)
    }

    /// The keys of a view that are wanted and have a value.
    pub async fn page(&self, view: &Name, wanted: &Wanted) -> Result<Page, Error> {
        let generation = self.generation(view).await?;
        let mut keys = self.keys_of(view, generation).await?;
        let behind = |key: &String| wanted.behind.as_ref().is_none_or(|last| key > last);
        keys.retain(|key| key.starts_with(&wanted.prefix) && behind(key));
        let all = keys.len();
        let read = stream::iter(keys).map(|key| self.entry_of(view, generation, key)).buffered(AT_A_TIME);
        page_of(read, all, wanted).await
    }

    /// These keys with their values, in the order given; refused if they have more than `most` bytes in JSON.
    pub async fn entries(&self, view: &Name, keys: Vec<String>, most: usize) -> Result<Vec<Entry>, Error> {
        let generation = self.generation(view).await?;
        let mut read = stream::iter(keys).map(|key| self.entry_of(view, generation, key)).buffered(AT_A_TIME);
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = read.try_next().await? {
            bytes += entry.size();
            if bytes > most {
                return Err(Error::TooLarge { view: view.to_string(), most });
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// A key that has a value.
    pub async fn entry(&self, view: &Name, key: &str) -> Result<(Sequence, Bytes), Error> {
        let entry = self.entry_of(view, self.generation(view).await?, key.to_owned()).await?;
        let unknown = || self.unknown("key", format!("{view}/{key}"), "view ls VIEW");
        Ok((entry.revision, entry.value.ok_or_else(unknown)?))
    }

    async fn entry_of(&self, view: &Name, generation: Generation, key: String) -> Result<Entry, Error> {
        if key.is_empty() {
            // No guest can write it, and it makes no subject.
            return Ok(Entry { key, revision: Sequence(0), value: None });
        }
        let subject = self.subjects.view_value(view, generation, &key);
        let stored = self.reader.view(&subject, true).await.map_err(read::Error::from)?;
        Ok(Entry { key, revision: stored.revision, value: stored.value })
    }

    async fn generation(&self, view: &Name) -> Result<Generation, Error> {
        let stored = self.reader.last_json(&self.subjects.live_generation(view)).await?;
        stored.map(|stored| stored.value).ok_or_else(|| self.unknown("view", view.to_string(), "view ls"))
    }
}

impl Entry {
    /// The bytes that it takes in a list in JSON.
    fn size(&self) -> usize {
        serde_json::to_vec(self).map_or(0, |json| json.len() + ",".len())
    }
}

/// The page that `read` makes, the entries of `all` keys in order.
async fn page_of(read: impl Stream<Item = Result<Entry, Error>>, all: usize, wanted: &Wanted) -> Result<Page, Error> {
    let mut read = std::pin::pin!(read);
    let (mut entries, mut seen, mut bytes, mut last) = (Vec::new(), 0, 0, None);
    while let Some(entry) = read.try_next().await? {
        let size = if entry.value.is_some() { entry.size() } else { 0 };
        bytes += size;
        if bytes > wanted.bytes && !entries.is_empty() {
            break;
        }
        seen += 1;
        last = Some(entry.key.clone());
        entries.extend(entry.value.is_some().then_some(entry));
        if entries.len() >= wanted.limit || bytes >= wanted.bytes || seen >= MOST_READ {
            break;
        }
    }
    Ok(Page { entries, next: last.filter(|_| seen < all) })
}

/// Whether a value is JSON, and as such the same text.
pub fn as_json(value: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(value).ok()
}

/// JSON as it is; other text as text; anything else as an object with its base 64.
fn shown<S: Serializer>(value: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
    use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
    let Some(value) = value else { return serializer.serialize_none() };
    match (as_json(value), std::str::from_utf8(value)) {
        (Some(json), _) => json.serialize(serializer),
        (None, Ok(text)) => text.serialize(serializer),
        (None, Err(_)) => serde_json::json!({ "base64": BASE64.encode(value) }).serialize(serializer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of keys of five digits; each third has a value of 100 digits, the others are deleted.
    async fn page(keys: usize, limit: usize, bytes: usize) -> Page {
        let entry = |at: usize| {
            let value = at.is_multiple_of(3).then(|| Bytes::from("7".repeat(100)));
            Ok(Entry { key: format!("{at:05}"), revision: Sequence(1), value })
        };
        let wanted = Wanted { limit, bytes, ..Wanted::default() };
        page_of(stream::iter((0..keys).map(entry)), keys, &wanted).await.unwrap()
    }

    #[tokio::test]
    async fn a_page_ends_at_its_keys_its_bytes_or_the_keys_it_looked_at() {
        let cases = [
            ((9, 100, PAGE_BYTES), 3, None),
            ((9, 2, PAGE_BYTES), 2, Some("00003")),
            ((9, 100, 300), 2, Some("00005")),
            ((9, 100, 1), 1, Some("00000")),
            ((2 * MOST_READ, 10_000, PAGE_BYTES), MOST_READ.div_ceil(3), Some("04999")),
        ];
        for ((keys, limit, bytes), entries, next) in cases {
            let page = page(keys, limit, bytes).await;
            assert_eq!((page.entries.len(), page.next.as_deref()), (entries, next), "{keys} {limit} {bytes}");
            let written = serde_json::to_vec(&page.entries).unwrap().len();
            assert!(written <= bytes + 2 || page.entries.len() == 1, "{written} {bytes}");
        }
    }
}
