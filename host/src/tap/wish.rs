//! What a tap is asked to show. Pure.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::item::{Item, What};
use crate::event::Sequence;
use crate::subject::Name;

/// Bytes of data that are shown when nobody asks for more or less.
pub const DATA: usize = 4 << 10;

/// What is to be shown: everything that each of these takes.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Of these modules; none is all.
    pub modules: BTreeSet<Name>,
    /// Of these kinds.
    pub what: BTreeSet<What>,
    /// With this key.
    pub key: Option<String>,
    /// With this CloudEvents type.
    pub kind: Option<String>,
    /// From here on.
    pub since: Since,
    /// In at most so many bytes of data.
    pub largest: usize,
}

impl Default for Wish {
    /// All modules, from now on, without commits, of which there is one for each lane every second.
    fn default() -> Self {
        Self {
            modules: BTreeSet::new(),
            what: What::ALL.into_iter().filter(|what| *what != What::Commit).collect(),
            key: None,
            kind: None,
            since: Since::Now,
            largest: DATA,
        }
    }
}

impl Wish {
    /// Whether `item` is to be shown.
    pub fn takes(&self, item: &Item) -> bool {
        let Self { modules, what, key, kind, .. } = self;
        (modules.is_empty() || modules.contains(&item.module))
            && what.contains(&item.what)
            && (key.is_none() || *key == item.key)
            && (kind.is_none() || *kind == item.kind)
    }
}

/// Whether the server can count a time: in nanoseconds since 1970, up to 2262.
pub fn is_counted(time: OffsetDateTime) -> bool {
    i64::try_from(time.unix_timestamp_nanos()).is_ok_and(|nanos| nanos >= 0)
}

/// Where to begin.
#[derive(Clone, Debug, PartialEq)]
pub enum Since {
    /// With what is stored from now on.
    Now,
    /// With the first message that there still is.
    First,
    /// With what was stored at this time or later.
    Time(OffsetDateTime),
    /// With this message and what was stored after it. Without a stream: of the one that the modules read, besides what
    /// the app itself emits.
    Sequence(Option<String>, Sequence),
}
