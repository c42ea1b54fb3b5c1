//! Which modules an input is for, by which key, in which lane. Pure.

mod key;
mod pointer;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh64::xxh64;

pub use self::key::{KeyError, KeyExpr};
pub use self::pointer::Pointer;

/// The version of [`lane_of`], kept in module records: another hash would put keys on other lanes.
pub const HASH_VERSION: u32 = 1;

/// The lane of `key`: XXH64 with seed 0 over its bytes up to the first slash, modulo the number of lanes. So the keys `a`
/// and `a/b`, both of which may write the view key `a/b`, are of one lane.
pub fn lane_of(key: &str, lanes: u16) -> u16 {
    let head = key.split('/').next().unwrap_or(key);
    u16::try_from(xxh64(head.as_bytes(), 0) % u64::from(lanes.max(1))).unwrap_or(0)
}

/// A subject filter with the wildcards of NATS: `*` stands for one token, a last `>` for one or more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Filter(String);

impl TryFrom<String> for Filter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let count = text.split('.').count();
        let fits = |(at, token): (usize, &str)| {
            let wildcard_misplaced = token == ">" && at + 1 != count;
            !token.is_empty() && !token.contains(|c: char| c.is_whitespace() || c.is_control()) && !wildcard_misplaced
        };
        if text.split('.').enumerate().all(fits) {
            Ok(Self(text))
        } else {
            Err(format!("{text:?} is no subject filter: tokens between dots, `*` for one, a last `>` for the rest"))
        }
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.0
    }
}

impl Filter {
    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Filters as text, which is what the server takes.
    pub fn texts<'a>(filters: impl IntoIterator<Item = &'a Self>) -> Vec<String> {
        filters.into_iter().map(|filter| filter.0.clone()).collect()
    }

    /// Whether some subject passes both filters.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
                (Some(one), Some(two)) if one == two || one == "*" || two == "*" => {}
                _ => return false,
            }
        }
    }

    /// Whether every subject that passes `other` passes this one too.
    pub fn covers(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some(">"), Some(_)) => return true,
                (Some(one), Some(two)) if one == two || (one == "*" && two != ">") => {}
                _ => return false,
            }
        }
    }

    /// The narrowest filter that covers both, if they overlap.
    pub fn joined(&self, other: &Self) -> Option<Self> {
        if !self.overlaps(other) {
            return None;
        }
        let mut tokens = Vec::new();
        for (ours, theirs) in self.0.split('.').zip(other.0.split('.')) {
            if ours == ">" || theirs == ">" {
                tokens.push(">");
                break;
            }
            tokens.push(if ours == theirs { ours } else { "*" });
        }
        Some(Self(tokens.join(".")))
    }

    /// Whether `subject` passes.
    pub fn matches(&self, subject: &str) -> bool {
        let mut tokens = subject.split('.');
        for pattern in self.0.split('.') {
            match (pattern, tokens.next()) {
                (_, None) => return false,
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (literal, Some(token)) if literal == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }
}

#[cfg(test)]
mod tests;
